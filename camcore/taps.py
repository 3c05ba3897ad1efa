"""Taps: one forward and one backward pass show the activations and gradients of all layers at once."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

Gradient = Literal["own", "next"]

# Modules whose output a later operation overwrites in place, found once per network (see `_forward`).
_OVERWRITTEN: WeakKeyDictionary[nn.Module, set[str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Layer:
    """A named pair of module paths: whose output is the activation, and whose gradient weights it.

    `follower` is the pooling module after the activation, the gradient source ``next`` of the LayerCAM
    authors' protocol; a layer without one always uses its own gradient.
    """

    name: str
    activation: str
    follower: str | None = None


@dataclass(frozen=True)
class Tap:
    """What a pass shows at one layer.

    acts and grads: ``(N,C,h,w)``, the gradient of each image's own target logit, of the activations' size.
    logits: ``(N,K)``. targets: ``(N,)``, the class each image is asked about.
    """

    acts: Tensor
    grads: Tensor
    logits: Tensor
    targets: Tensor

    def __getitem__(self, images: slice) -> "Tap":
        return replace(self, **{f: getattr(self, f)[images] for f in ("acts", "grads", "logits", "targets")})


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Evaluation mode and parameters without gradients; each module and parameter is restored after."""
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
        known = ", ".join(name for name, _ in network.named_children())
        raise ValueError(f"the network has no module {path!r}; at its top are: {known}") from None


def _watch(module: nn.Module, path: str, seen: dict[str, tuple[Tensor, int]], clone: bool):
    """Keep the module's output and its version in `seen`; hand on a copy of it if asked."""

    def hook(_module: nn.Module, _inputs: tuple, output: Tensor) -> Tensor | None:
        if not isinstance(output, Tensor) or output.ndim != 4:
            raise ValueError(f"module {path!r} must give one (N,C,h,w) tensor to be tapped")
        if path in seen:
            raise ValueError(f"module {path!r} runs more than once in a forward pass; tap one that runs once")
        seen[path] = output, output._version
        return output.clone() if clone else None

    return module.register_forward_hook(hook)


def _forward(network: nn.Module, images: Tensor, paths: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
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
                hooks.enter_context(_watch(_module(network, path), path, seen, path in overwritten))
            # The first copy may be of an inference tensor; the second is no leaf, so a network may begin in place.
            logits = network(images.detach().clone().requires_grad_().clone())
        missing = [path for path in paths if path not in seen]
        if missing:
            raise ValueError(f"module {missing[0]!r} did not run in the forward pass, so it cannot be tapped")
        changed = {path for path, (tensor, version) in seen.items() if tensor._version != version}
        if not changed:
            return logits, {path: tensor for path, (tensor, _) in seen.items()}
        overwritten |= changed


def _check(logits: Tensor, targets: Tensor, count: int) -> None:
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise ValueError("the network must return logits (N,K)")
    if targets.shape != (count,) or targets.is_floating_point():
        raise ValueError(f"targets must be one class index per image: {count} integers, not {tuple(targets.shape)}")
    if count and not (int(targets.min()) >= 0 and int(targets.max()) < logits.shape[1]):
        raise ValueError(f"targets must lie in 0..{logits.shape[1] - 1}, not {targets.min()}..{targets.max()}")


def tap(network: nn.Module, images: Tensor, targets: Tensor, layers: Sequence[Layer], gradient: Gradient = "own") -> dict[str, Tap]:
    """Run ``images (N,3,H,W)`` forward once and the targets' logits backward once, for all `layers`.

    `gradient` ``next`` takes the gradient at the layer's follower (the next max-pool's output) and
    upsamples it bilinearly, corners aligned, onto the activation: protocol.md section 1, "Map".
    Gradients are asked for at the taps only; no parameter gets one. Raises `ValueError` for unknown
    modules, for targets that are not strict (image, class) pairs, and for layers behind the logits.
    """
    if not layers:
        raise ValueError("no layer to tap")
    sources = {y.name: y.follower if gradient == "next" and y.follower else y.activation for y in layers}
    paths = [y.activation for y in layers] + list(sources.values())
    with torch.inference_mode(False), torch.enable_grad(), frozen(network):
        logits, seen = _forward(network, images, paths)
        _check(logits, targets, len(images))
        wanted = list(dict.fromkeys(sources.values()))
        scores = logits.gather(1, targets[:, None]).sum()
        found = torch.autograd.grad(scores, [seen[path] for path in wanted], allow_unused=True)
    grads = dict(zip(wanted, found))
    taps = {}
    for layer in layers:
        grad, acts = grads[sources[layer.name]], seen[layer.activation].detach()
        if grad is None:
            raise ValueError(f"layer {layer.name!r} does not reach the logits")
        if grad.shape[-2:] != acts.shape[-2:]:
            grad = interpolate(grad, acts.shape[-2:], mode="bilinear", align_corners=True)
        taps[layer.name] = Tap(acts, grad, logits.detach(), targets)
    return taps
