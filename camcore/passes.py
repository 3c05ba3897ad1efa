"""Passes: one forward through a network, hooked at layers, and one backward to them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from camx.camcore import arithmetic
from camx.camcore.arithmetic import Arithmetic
from camx.camcore.layers import Layer, sole, spatial
from camx.camcore.targets import scores

Seen = tuple[Tensor, int]  # a module's output, and its version when it left the module
# Modules whose output a later operation overwrites in place, by network (see `forward`).
_OVERWRITTEN: WeakKeyDictionary[nn.Module, set[str]] = WeakKeyDictionary()


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients of parameters; each module's state is restored after."""
    modes = [(m, m.training) for m in network.modules()]
    asked = [(p, p.requires_grad) for p in network.parameters()]
    try:
        network.eval()
        for parameter, _ in asked:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, flag in asked:
            parameter.requires_grad_(flag)


@contextmanager
def replaced(forwards: dict[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Modules whose ``forward`` is another for the moment; each is what it was after."""
    before = {m: m.__dict__["forward"] for m in forwards if "forward" in m.__dict__}
    try:
        for module, forward in forwards.items():
            module.__dict__["forward"] = forward
        yield
    finally:
        for module in forwards:
            module.__dict__.pop("forward", None)
        for module, forward in before.items():
            module.__dict__["forward"] = forward


def answer(network: nn.Module, images: Tensor, count: int | None = None) -> Tensor:
    """The network's logits ``(N,K)``: its output, or its output's first, or its ``logits``.

    Computed as the network is told to (`arithmetic`). Raises `ValueError` for anything else. N is
    the images' number unless `count` is given.
    """
    count = len(images) if count is None else count
    how = arithmetic.of(network)
    with how.asked(images.device):
        output = network(how.placed(images))
    logits = sole(getattr(output, "logits", output))
    if isinstance(logits, Tensor) and logits.ndim == 2 and len(logits) == count:
        return how.full(logits)
    what = f"{tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
    raise ValueError(f"the network must return logits (N,K), N={count}, not {what}")


def submodule(network: nn.Module, path: str) -> nn.Module:
    """The module at a path. `ValueError` names those at the network's top."""
    try:
        return network.get_submodule(path)
    except AttributeError:
        top = ", ".join(name for name, _ in network.named_children())
        raise ValueError(f"the network has no module {path!r}; at its top are: {top}") from None


def _watch(
    module: nn.Module, layer: Layer, images: Tensor, seen: dict[str, Seen], clone: bool
) -> RemovableHandle:
    """Keep the module's output and its version in `seen`; hand on a copy of it if asked."""
    path = layer.activation

    def hook(_module: nn.Module, _inputs: tuple, output: Any) -> Any:
        tensor = sole(output) if layer.layout.tokens else output
        spatial(tensor, layer, images)  # raises, naming what it is instead
        if path in seen:
            again = "runs more than once in a forward pass; tap one that runs once"
            raise ValueError(f"module {path!r} {again}")
        seen[path] = tensor, tensor._version
        if not clone:
            return None
        return tensor.clone() if tensor is output else (tensor.clone(), *output[1:])

    return module.register_forward_hook(hook)


def forward(
    network: nn.Module, images: Tensor, layers: Sequence[Layer]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits, and by path the layers' outputs as they were when they left the module.

    An operation after a tapped module may overwrite its output in place (an in-place ReLU after a
    convolution does). The tensor's version shows it; the pass is then run again, that module's
    followers working on a copy, and the module is remembered.
    """
    overwritten = _OVERWRITTEN.setdefault(network, set())
    by_path = {layer.activation: layer for layer in layers}
    while True:
        seen: dict[str, Seen] = {}
        with ExitStack() as hooks:
            for path, layer in by_path.items():
                module, clone = submodule(network, path), path in overwritten
                hooks.enter_context(_watch(module, layer, images, seen, clone))
            # The first copy may be of an inference tensor; the second is no leaf, so a network may
            # begin in place.
            logits = answer(network, images.detach().clone().requires_grad_().clone())
        for path in by_path:
            if path not in seen:
                idle = "did not run in the forward pass, so it cannot be tapped"
                raise ValueError(f"module {path!r} {idle}")
        changed = {path for path, (tensor, version) in seen.items() if tensor._version != version}
        if not changed:
            return logits, {path: tensor for path, (tensor, _) in seen.items()}
        overwritten |= changed


def pairs(targets: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """``(origin, classes)`` of targets: one class an image ``(B,)``, or pairs ``(N,2)``."""
    if targets.is_floating_point() or targets.dtype == torch.bool:
        raise ValueError(f"targets must be integers, not {targets.dtype}")
    if targets.ndim == 2 and targets.shape[1] == 2:
        origin, classes = targets[:, 0], targets[:, 1]
        if len(origin) and not (int(origin.min()) >= 0 and int(origin.max()) < count):
            named = f"{int(origin.min())}..{int(origin.max())}"
            raise ValueError(f"targets name images {named}, but there are {count}")
        return origin, classes
    if targets.shape != (count,):
        needed = f"one class index per image, {count} of them, or (N,2) pairs"
        raise ValueError(f"targets must be {needed}; not {tuple(targets.shape)}")
    return torch.arange(count, device=targets.device), targets


def check_classes(logits: Tensor, classes: Tensor) -> None:
    """Raise `ValueError` for classes that the logits have not."""
    if len(classes) and not (int(classes.min()) >= 0 and int(classes.max()) < logits.shape[1]):
        asked = f"{int(classes.min())}..{int(classes.max())}"
        raise ValueError(f"targets must lie in 0..{logits.shape[1] - 1}, not {asked}")


def gradients(
    logits: Tensor,
    sources: Sequence[Tensor],
    views: Sequence[Callable[[Tensor], Tensor]],
    origin: Tensor,
    classes: Tensor,
    whole: bool,
    target: str = "logit",
    keep: bool = False,
    how: Arithmetic = arithmetic.DEFAULT,
) -> list[Tensor | None]:
    """The gradient of each row's target at every source, ``(N,C,h,w)``, rows as in `origin`.

    `views` make that of the source's own form. Rows of different images share one backward pass; an
    image's further classes need one each. `whole` says that the rows are the images, in order.
    `target`: see `targets`. The graph is freed unless `keep`. `how` is the network's arithmetic;
    its gradients are float32 here. None for a source that the logits do not depend on.
    """

    def backward(score: Tensor, again: bool) -> list[Tensor | None]:
        with how.products():
            grads = torch.autograd.grad(
                score.sum() * how.scale, sources, allow_unused=True, retain_graph=keep or again
            )
        return [None if g is None else how.unscaled(view(g)) for g, view in zip(grads, views)]

    if whole:
        return backward(scores(logits, classes, target), False)
    turns: defaultdict[int, list[int]] = defaultdict(list)  # every image's first row, second, ...
    seen: Counter[int] = Counter()
    for row, image in enumerate(origin.tolist()):
        turns[seen[image]].append(row)
        seen[image] += 1
    gathered: list[Tensor | None] = [None] * len(sources)
    for now, members in enumerate(turns.values(), 1):
        rows = torch.tensor(members, device=origin.device)
        grads = backward(scores(logits[origin[rows]], classes[rows], target), now < len(turns))
        for at, grad in enumerate(grads):
            if grad is not None:
                filled = gathered[at]
                filled = grad.new_empty(len(origin), *grad.shape[1:]) if filled is None else filled
                filled[rows] = grad[origin[rows]]
                gathered[at] = filled
    return gathered
