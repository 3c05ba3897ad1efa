"""Taps: one forward and one backward pass show all layers' activations and gradients."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.utils.hooks import RemovableHandle

from camx.camcore.excitation import contrastive
from camx.camcore.heads import head

Gradient = Literal["own", "next"]

# Modules whose output a later operation overwrites in place, by network (see `_forward`).
_OVERWRITTEN: WeakKeyDictionary[nn.Module, set[str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Layer:
    """A named pair of module paths: whose output is the activation, and whose gradient weights it.

    `follower` is the pooling module after the activation, the gradient source ``next`` of the
    LayerCAM authors' protocol; a layer without one always uses its own gradient.
    """

    name: str
    activation: str
    follower: str | None = None


@dataclass(frozen=True)
class Tap:
    """What a pass shows at one layer, a row for each (image, class) pair asked about.

    acts and grads: ``(N,C,h,w)``, the gradient of the row's own target logit, of the activations'
    size. logits: ``(N,K)``. targets: ``(N,)``, the row's class. origin: ``(N,)``, the row's place
    in `images`. images: ``(B,3,H,W)``, the network's input, and `network` itself, for methods that
    ask it again.
    """

    acts: Tensor
    grads: Tensor
    logits: Tensor
    targets: Tensor
    origin: Tensor
    images: Tensor
    layer: Layer
    network: nn.Module

    def __getitem__(self, rows: slice) -> "Tap":
        cut = ("acts", "grads", "logits", "targets", "origin")
        return replace(self, **{name: getattr(self, name)[rows] for name in cut})

    def score(self, images: Tensor) -> Tensor:
        """Logits ``(M,K)`` of other ``images (M,3,H,W)``: no gradients, no hooks, nothing kept."""
        with torch.no_grad(), frozen(self.network):
            return self.network(images)

    @property
    def head(self) -> Tensor | None:
        """The ``(K,C)`` weights of this layer's global average, if there are any; see `head`."""
        return head(self.network, self.acts, self.logits)

    def excite(self, layer: Layer | None = None) -> Tensor:
        """Contrastive excitation ``(N,C,h,w)`` at a layer's follower, or at it without one."""
        layer = layer or self.layer
        path = layer.follower or layer.activation
        with torch.no_grad(), frozen(self.network):
            return contrastive(self.network, self.images[self.origin], self.targets, path)


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


def _module(network: nn.Module, path: str) -> nn.Module:
    try:
        return network.get_submodule(path)
    except AttributeError:
        top = ", ".join(name for name, _ in network.named_children())
        raise ValueError(f"the network has no module {path!r}; at its top are: {top}") from None


def belongs(sides: Sequence[int], of: Sequence[int]) -> bool:
    """Whether an activation's sides ``(h,w)`` can be those of an input's ``(H,W)``.

    They can if one stride makes them of both sides, whatever unpadded convolutions lose at the
    borders, each rounded: ``w - h`` is then ``(W - H) / stride``, and no side times the stride
    exceeds the input's. So they are equal for a square, and may be for any (a pool to a square);
    within one, for kernels need not be square.
    """
    (low, w), (short, long) = (sides, of) if of[0] <= of[1] else (sides[::-1], of[::-1])
    if low > short + 1 or w > long + 1:
        return False
    if abs(w - low) <= 1:
        return True
    widest = min(short / max(1, low - 1), long / max(1, w - 1))  # stride
    return (long - short) / widest - 1 <= w - low <= long - short + 1


def _activation(output: object, path: str, images: Tensor) -> Tensor:
    """A module's output, if it is ``(N,C,h,w)`` of the images. `ValueError` saying what it is."""
    count, (height, width) = len(images), images.shape[-2:]
    needed = (
        f"expected one tensor (N,C,h,w), N={count}, h and w in proportion to {height} x {width}"
    )
    if not isinstance(output, Tensor):
        raise ValueError(f"module {path!r} gives a {type(output).__name__}; {needed}")
    shape = tuple(output.shape)
    if output.ndim != 4 or len(output) != count:
        raise ValueError(f"module {path!r} gives {shape}; {needed}")
    if not belongs(shape[2:], (height, width)):
        what = f"whose last two sides, {shape[2]} x {shape[3]}, cannot be the image's"
        hint = "channels last, as in Swin, is not supported"
        raise ValueError(f"module {path!r} gives {shape}, {what}; {needed} ({hint})")
    return output


def _watch(
    module: nn.Module, path: str, images: Tensor, seen: dict[str, tuple[Tensor, int]], clone: bool
) -> RemovableHandle:
    """Keep the module's output and its version in `seen`; hand on a copy of it if asked."""

    def hook(_module: nn.Module, _inputs: tuple, output: object) -> Tensor | None:
        activation = _activation(output, path, images)
        if path in seen:
            again = "runs more than once in a forward pass; tap one that runs once"
            raise ValueError(f"module {path!r} {again}")
        seen[path] = activation, activation._version
        return activation.clone() if clone else None

    return module.register_forward_hook(hook)


def _forward(
    network: nn.Module, images: Tensor, paths: Sequence[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits, and the outputs of the modules at `paths` as they were when they left the module.

    An operation after a tapped module may overwrite its output in place (an in-place ReLU after a
    convolution does). The tensor's version shows it; the pass is then run again, that module's
    followers working on a copy, and the module is remembered.
    """
    overwritten = _OVERWRITTEN.setdefault(network, set())
    while True:
        seen: dict[str, tuple[Tensor, int]] = {}
        with ExitStack() as hooks:
            for path in dict.fromkeys(paths):
                module, clone = _module(network, path), path in overwritten
                hooks.enter_context(_watch(module, path, images, seen, clone))
            # The first copy may be of an inference tensor; the second is no leaf, so a network may
            # begin in place.
            logits = network(images.detach().clone().requires_grad_().clone())
        for path in paths:
            if path not in seen:
                idle = "did not run in the forward pass, so it cannot be tapped"
                raise ValueError(f"module {path!r} {idle}")
        changed = {path for path, (tensor, version) in seen.items() if tensor._version != version}
        if not changed:
            return logits, {path: tensor for path, (tensor, _) in seen.items()}
        overwritten |= changed


def _pairs(targets: Tensor, count: int) -> tuple[Tensor, Tensor]:
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


def _check(logits: Tensor, count: int, classes: Tensor) -> None:
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != count:
        is_tensor = isinstance(logits, Tensor)
        what = f"{tuple(logits.shape)}" if is_tensor else f"a {type(logits).__name__}"
        raise ValueError(f"the network must return logits (N,K), N={count}, not {what}")
    if len(classes) and not (int(classes.min()) >= 0 and int(classes.max()) < logits.shape[1]):
        asked = f"{int(classes.min())}..{int(classes.max())}"
        raise ValueError(f"targets must lie in 0..{logits.shape[1] - 1}, not {asked}")


def _gradients(
    logits: Tensor, sources: Sequence[Tensor], origin: Tensor, classes: Tensor, whole: bool
) -> list[Tensor | None]:
    """The gradient of each row's logit at every source, rows as in `origin`.

    Rows of different images share one backward pass; an image's further classes need one each.
    `whole` says that the rows are the images, in order.
    """
    if whole:
        score = logits.gather(1, classes[:, None]).sum()
        return list(torch.autograd.grad(score, sources, allow_unused=True))
    turns: defaultdict[int, list[int]] = defaultdict(list)  # every image's first row, second, ...
    seen: Counter[int] = Counter()
    for row, image in enumerate(origin.tolist()):
        turns[seen[image]].append(row)
        seen[image] += 1
    gradients: list[Tensor | None] = [s.new_empty(len(origin), *s.shape[1:]) for s in sources]
    for now, members in enumerate(turns.values(), 1):
        rows = torch.tensor(members, device=origin.device)
        score = logits[origin[rows], classes[rows]].sum()
        keep = now < len(turns)
        grads = torch.autograd.grad(score, sources, allow_unused=True, retain_graph=keep)
        for at, grad in enumerate(grads):
            filled = gradients[at]
            if grad is None or filled is None:
                gradients[at] = None
            else:
                filled[rows] = grad[origin[rows]]
    return gradients


def tap(
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    layers: Sequence[Layer],
    gradient: Gradient = "own",
) -> dict[str, Tap]:
    """Run ``images (B,3,H,W)`` forward once, the targets' logits backward once, for all `layers`.

    `targets` is one class an image ``(B,)``, or ``(N,2)`` pairs (image, class) when images are
    asked about several classes or none. `gradient` ``next`` takes the gradient at the layer's
    follower (the next max-pool's output) and upsamples it bilinearly, corners aligned, onto the
    activation: docs/protocol.md, section 1, "Map". Gradients are asked for at the taps only; no
    parameter gets one. Raises `ValueError` for unknown modules, for targets that are not strict
    (image, class) pairs, for layers that do not reach the logits, and for those whose activation
    cannot be ``(N,C,h,w)`` of the images, such as a channels-last one (see `belongs`).
    """
    if not layers:
        raise ValueError("no layer to tap")
    origin, classes = _pairs(targets, len(images))
    whole = targets.ndim == 1
    following = gradient == "next"
    sources = {y.name: (y.follower if following else None) or y.activation for y in layers}
    paths = [y.activation for y in layers] + list(sources.values())
    with torch.inference_mode(False), torch.enable_grad(), frozen(network):
        logits, seen = _forward(network, images, paths)
        _check(logits, len(images), classes)
        outputs = {path: seen[path] for path in sources.values()}
        grads = _gradients(logits, list(outputs.values()), origin, classes, whole)
        grad_at = dict(zip(outputs, grads))
    logits = logits.detach() if whole else logits.detach()[origin]
    taps = {}
    for layer in layers:
        grad, acts = grad_at[sources[layer.name]], seen[layer.activation].detach()
        if grad is None:
            raise ValueError(f"layer {layer.name!r} does not reach the logits")
        if grad.shape[-2:] != acts.shape[-2:]:
            grad = interpolate(grad, acts.shape[-2:], mode="bilinear", align_corners=True)
        acts = acts if whole else acts[origin]
        taps[layer.name] = Tap(acts, grad, logits, classes, origin, images, layer, network)
    return taps
