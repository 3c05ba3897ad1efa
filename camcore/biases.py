"""Biases: the parts of a score that its input and every bias contribute (FullGrad).

``y = x . dy/dx + sum over all biases of b . g``, g the gradient where the bias is added: exact for
networks of ReLUs, which are piecewise linear (Srinivas and Fleuret 2019, proposition 1).
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from camx.camcore.passes import answer, check_classes, frozen
from camx.camcore.taps import Tap
from camx.camcore.targets import scores

BIASED = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
OnTerm = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Terms:
    """A score's parts.

    places   the input's ``(N,3,H,W)``, then those of the biases of layers that give ``(N,C,h,w)``
    others   those of the other biases, of linear layers, whose outputs have no places
    """

    places: list[Tensor]
    others: list[Tensor]

    @property
    def sums(self) -> Tensor:
        """All of a row together, ``(N,)``: its score, in a network of ReLUs."""
        return torch.stack([part.flatten(1).sum(1) for part in self.places + self.others]).sum(0)


def bias(module: nn.Module) -> Tensor | None:
    """What a module adds to each channel ``(C,)``, or none; a batch norm's shift is implicit.

    ``y = s (x - mean) + beta`` with ``s = gamma / sqrt(var + eps)`` adds ``beta - s mean``.
    """
    if not isinstance(module, nn.BatchNorm2d):
        added = module.bias
        return added if isinstance(added, Tensor) else None
    if module.running_mean is None or module.running_var is None:
        return None
    scale = (module.running_var + module.eps).rsqrt()
    scale = scale if module.weight is None else scale * module.weight
    shift = -scale * module.running_mean
    return shift if module.bias is None else shift + module.bias


def terms(network: nn.Module, images: Tensor, classes: Tensor, target: str = "logit") -> Terms:
    """The parts of each row's score: of ``images (N,3,H,W)``, a class ``(N,)`` each.

    A pass of its own, a forward and a backward, to the input and to every biased layer's output.
    """
    outputs: list[tuple[nn.Module, Tensor]] = []

    def keep(module: nn.Module, output: Tensor) -> Tensor:
        outputs.append((module, output))
        return output.clone()  # which a ReLU may overwrite

    with torch.inference_mode(False), torch.enable_grad(), frozen(network), ExitStack() as hooks:
        for module in network.modules():
            if isinstance(module, BIASED) and bias(module) is not None:
                hooks.enter_context(_watched(module, keep))
        images = images.detach().clone().requires_grad_()
        logits = answer(network, images.clone())
        check_classes(logits, classes)
        reached = [images, *(output for _, output in outputs)]
        score = scores(logits, classes, target).sum()
        grads = torch.autograd.grad(score, reached, allow_unused=True)
    places: list[Tensor] = [images.detach() * _or_zero(grads[0], images)]
    others: list[Tensor] = []
    for (module, output), grad in zip(outputs, grads[1:]):
        added = bias(module)
        assert added is not None  # or it would not be watched
        spatial = output.ndim == 4 and len(output) == len(images)
        spatial = spatial and not isinstance(module, nn.Linear)
        added = added.detach()[:, None, None] if spatial else added.detach()
        (places if spatial else others).append(added * _or_zero(grad, output))
    return Terms(places, others)


def _watched(module: nn.Module, keep: Callable[[nn.Module, Tensor], Tensor]) -> Any:
    """A hook where the bias has been added: timm's batch norms have an activation inside."""
    inner = next(module.children(), None)
    if inner is None:
        return module.register_forward_hook(lambda _module, _inputs, output: keep(module, output))
    return inner.register_forward_pre_hook(lambda _inner, inputs: keep(module, inputs[0]))


def _or_zero(grad: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if grad is None else grad


def aggregate(tap: Tap, stretched: OnTerm, corners: bool) -> Tensor:
    """Each row's terms with places, `stretched`, upsampled to the input and summed, ``(N,H,W)``.

    An image at a time, for a pass keeps what every layer gives.
    """
    size = tap.images.shape[2:]
    maps = tap.images.new_zeros(len(tap.targets), *size)
    for at in tap.origin.unique():
        rows = torch.nonzero(tap.origin == at)[:, 0]
        images = tap.images[at].expand(len(rows), -1, -1, -1)
        for part in terms(tap.network, images, tap.targets[rows], tap.target).places:
            part = interpolate(stretched(part.abs()), size, mode="bilinear", align_corners=corners)
            maps[rows] += part.sum(1)
    return maps
