"""Maps: images, targets, methods and layers in; raw maps out. The composition of taps and methods."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from camcore import plugins
from camcore.taps import Gradient, Layer, Tap, tap

METHODS = "camcore.methods"
STYLES = "camcore.styles"
STEP = 4_000_000  # elements of a temporary on a CPU: 16 MB


@dataclass(frozen=True)
class Method:
    """A method ready to run: called with a tap, it gives raw maps ``(N,h,w)``.

    One that only combines a tap's tensors runs a few rows at a time on a CPU: there the temporaries of a
    whole batch of a shallow layer are too large for the allocator to keep, and each would come from the
    operating system anew, page by page, and cost more than the arithmetic. A `costly` one, which asks the
    network again, gets all rows.
    """

    name: str
    cam: Callable[[Tap], Tensor]
    costly: bool = False

    def __call__(self, tap: Tap) -> Tensor:
        count = len(tap.acts)
        if self.costly or tap.acts.device.type != "cpu" or not count:
            return self._checked(self.cam(tap), count)
        step = max(1, STEP // max(1, tap.acts[0].numel()))
        return torch.cat([self._checked(self.cam(tap[i : i + step]), min(step, count - i)) for i in range(0, count, step)])

    def _checked(self, maps: Tensor, count: int) -> Tensor:
        if not isinstance(maps, Tensor) or maps.ndim != 3 or len(maps) != count:
            shape = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
            raise ValueError(f"method {self.name!r} must return a tensor (N,h,w) with N={count}, not {shape}")
        return maps

    def first(self, tap: Tap, rows: int) -> Tensor:
        """The maps of the first `rows` rows; of the others too where they cost little, else zeros."""
        if not self.costly or rows >= len(tap.acts):
            return self(tap)
        maps = self(tap[:rows])
        return torch.cat([maps, maps.new_zeros(len(tap.acts) - rows, *maps.shape[1:])])


def methods(names: Sequence[str], style: str = "") -> dict[str, Method]:
    """``{name: method}`` of the plug-ins named, as `compute` takes them.

    `style` names a package whose own versions are preferred. Raises `ValueError` for an unknown method, and
    for two of one name.
    """
    own = plugins.load(STYLES, "combine", style).module.METHODS if style else {}
    found: dict[str, Method] = {}
    for plugin in (plugins.load(METHODS, "cam", name) for name in dict.fromkeys(names)):
        method = Method(plugin.name, *own.get(plugin.name, (plugin.function, bool(getattr(plugin.module, "COSTLY", False)))))
        if found.setdefault(plugin.name, method) != method:
            raise ValueError(f"two methods are named {plugin.name!r}; rename one")
    return found


def versions(names: Sequence[str]) -> dict[str, str]:
    """``{name: sha256 of its file}`` of the methods that are not camx's own."""
    found = [plugins.load(METHODS, "cam", name) for name in names]
    return {p.name: p.sha256() for p in found if not p.shipped}


def combination(style: str) -> Callable[[str, list[Tensor], int], Tensor]:
    """How the package `style` makes one map in [0, 1] of one or several layers' raw maps."""
    return plugins.load(STYLES, "combine", style).function


def costly(name: str) -> bool:
    """Whether a method asks the network again, and so runs only when it is asked for."""
    return methods([name])[name].costly


def own_layers(name: str, known: Sequence[str]) -> list[str]:
    """The layers among `known` that a method is read at when none is named: its ``LAYERS``, or none."""
    return [y for y in getattr(plugins.load(METHODS, "cam", name).module, "LAYERS", ()) if y in known]


def compute(
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    layers: Sequence[Layer],
    cams: Mapping[str, Method],
    gradient: Gradient = "own",
    pairs: Collection[tuple[str, str]] | None = None,
    rows: int | None = None,
) -> tuple[dict[tuple[str, str], Tensor], Tensor]:
    """Raw maps ``{(method, layer): (N,h,w)}`` and logits ``(N,K)`` of preprocessed ``images (N,3,H,W)``.

    One forward and one backward pass feed every method and layer. ``targets (N,)`` are class indices, or
    ``(N,2)`` pairs (image, class). `pairs` limits the (method, layer) pairs computed; the default is all.
    Rows from `rows` on are padding, which costly methods leave empty.
    """
    wanted = [(m, y.name) for m in cams for y in layers if pairs is None or (m, y.name) in pairs]
    taps = tap(network, images, targets, layers, gradient)
    with torch.no_grad():
        maps = {(m, y): cams[m].first(taps[y], len(targets) if rows is None else rows) for m, y in wanted}
    return maps, next(iter(taps.values())).logits
