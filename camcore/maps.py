"""Maps: images, targets, methods and layers in; raw maps out. The composition of taps and methods."""

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from camcore import plugins
from camcore.taps import Gradient, Layer, Tap, tap

METHODS = "camcore.methods"
STYLES = "camcore.styles"
Method = Callable[[Tap], Tensor]
STEP = 4_000_000  # elements of a temporary on a CPU: 16 MB


def methods(names: Sequence[str], style: str = "") -> dict[str, Method]:
    """``{name: method}`` of the plug-ins named, as `compute` takes them. `ValueError` for an unknown one.

    A method that only combines a tap's tensors runs a few rows at a time on a CPU; a ``COSTLY`` one, which asks
    the network again, gets the whole batch. `style` names a package whose own versions are preferred.
    """
    own = plugins.load(STYLES, "combine", style).module.METHODS if style else {}
    found = {}
    for plugin in (plugins.load(METHODS, "cam", name) for name in dict.fromkeys(names)):
        cam, whole = own.get(plugin.name, (plugin.function, getattr(plugin.module, "COSTLY", False)))
        found[plugin.name] = cam if whole else _in_steps(cam)
    return found


def combination(style: str) -> Callable[[str, list[Tensor], int], Tensor]:
    """How the package `style` makes one map in [0, 1] of one or several layers' raw maps."""
    return plugins.load(STYLES, "combine", style).function


def costly(name: str) -> bool:
    """Whether a method asks the network again, and so runs only when it is asked for."""
    return bool(getattr(plugins.load(METHODS, "cam", name).module, "COSTLY", False))


def default_layers(name: str, known: Sequence[str]) -> list[str]:
    """The layers that a method is read at when none is named: its own ``LAYERS`` where known, else all."""
    own = [y for y in getattr(plugins.load(METHODS, "cam", name).module, "LAYERS", ()) if y in known]
    return own or list(known)


def _in_steps(cam: Method) -> Method:
    """The same method, on a CPU a few rows at a time.

    There the temporaries of a whole batch of a shallow layer are too large for the allocator to keep: each
    would come from the operating system anew, page by page, and cost more than the arithmetic.
    """

    def stepped(tap: Tap) -> Tensor:
        rows = len(tap.acts) if tap.acts.device.type != "cpu" else STEP // max(1, tap.acts[:1].numel())
        step = max(1, rows)
        return torch.cat([cam(tap[i : i + step]) for i in range(0, len(tap.acts), step)])

    return stepped


def compute(
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    layers: Sequence[Layer],
    cams: Mapping[str, Method],
    gradient: Gradient = "own",
    pairs: Collection[tuple[str, str]] | None = None,
) -> tuple[dict[tuple[str, str], Tensor], Tensor]:
    """Raw maps ``{(method, layer): (N,h,w)}`` and logits ``(N,K)`` of preprocessed ``images (N,3,H,W)``.

    One forward and one backward pass feed every method and layer. ``targets (N,)`` are class indices, or
    ``(N,2)`` pairs (image, class). `pairs` limits the (method, layer) pairs computed; the default is all.
    """
    wanted = [(m, y.name) for m in cams for y in layers if pairs is None or (m, y.name) in pairs]
    taps = tap(network, images, targets, layers, gradient)
    with torch.no_grad():
        maps = {(m, y): cams[m](taps[y]) for m, y in wanted}
    return maps, next(iter(taps.values())).logits
