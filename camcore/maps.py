"""Maps: images, targets, methods and layers in; raw maps out. The composition of taps and methods."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from camcore import plugins
from camcore.taps import Gradient, Layer, Tap, tap

METHODS = "camcore.methods"
Method = Callable[[Tap], Tensor]


def methods(names: Sequence[str]) -> dict[str, Method]:
    """``{name: cam}`` of the methods named (plug-ins). Raises `ValueError` for an unknown one."""
    found = [plugins.load(METHODS, "cam", name) for name in names]
    return {plugin.name: plugin.function for plugin in found}


def _apply(cam: Method, tap: Tap) -> Tensor:
    """One method at one tap, ``(N,h,w)``; on a CPU image by image.

    There the temporaries of a whole batch are too large for the allocator to keep: each would come from
    the operating system anew, page by page, and cost more than the arithmetic.
    """
    step = 1 if tap.acts.device.type == "cpu" else len(tap.acts)
    return torch.cat([cam(tap[i : i + step]) for i in range(0, len(tap.acts), step)])


def compute(
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    layers: Sequence[Layer],
    cams: Mapping[str, Method],
    gradient: Gradient = "own",
) -> tuple[dict[tuple[str, str], Tensor], Tensor]:
    """Raw maps ``{(method, layer): (N,h,w)}`` and logits ``(N,K)`` of preprocessed ``images (N,3,H,W)``.

    One forward and one backward pass feed every method and layer. ``targets (N,)`` are class indices.
    """
    taps = tap(network, images, targets, layers, gradient)
    with torch.no_grad():
        maps = {(m, name): _apply(cam, t) for m, cam in cams.items() for name, t in taps.items()}
    return maps, next(iter(taps.values())).logits
