"""Maps: images, targets, methods and layers in; raw maps out. Taps and methods together."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from camx.camcore import doubts, faults, plugins
from camx.camcore.arithmetic import Arithmetic
from camx.camcore.layers import Gradient, Layer
from camx.camcore.networks import Network
from camx.camcore.taps import Tap, tap

METHODS = "camx.camcore.methods"
STYLES = "camx.camcore.styles"
STEP = 1_000_000  # elements of a temporary on a CPU: 4 MB, or one image's


@dataclass(frozen=True)
class Method:
    """A method ready to run: called with a tap, it gives raw maps ``(N,h,w)``.

    One that only combines a tap's tensors runs a few rows at a time on a CPU, where the allocator
    does not keep temporaries of a whole batch of a shallow layer: each would come from the system
    anew and cost more than the arithmetic. A `costly` one asks the network again, and gets all. A
    `non_negative` one assumes activations that are not negative. An `exact` one needs a network
    that computes in 32 bits. `title` is what pictures call it.
    """

    name: str
    cam: Callable[[Tap], Tensor]
    costly: bool = False
    non_negative: bool = False
    title: str = ""
    exact: bool = False

    def __call__(self, tap: Tap) -> Tensor:
        count = len(tap.acts)
        if self.costly or tap.acts.device.type != "cpu" or not count:
            return self._map(tap)
        step = max(1, STEP // max(1, tap.acts[0].numel()))
        parts = [self._map(tap[at : at + step]) for at in range(0, count, step)]
        if len({part.shape[1:] for part in parts}) > 1:
            sides = " and ".join(str(tuple(part.shape[1:])) for part in parts[:2])
            raise ValueError(f"{self._where(tap)} must return maps of one size, not {sides}")
        return torch.cat(parts)

    def _where(self, tap: Tap) -> str:
        return f"method {self.name!r} at layer {tap.layer.name}"

    def _map(self, tap: Tap) -> Tensor:
        """What the method returns, if it is maps; whatever goes wrong in it names it."""
        try:
            maps = self.cam(tap)
        except (ValueError, FileNotFoundError, MemoryError, torch.OutOfMemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise ValueError(f"{self._where(tap)}: {type(error).__name__}: {error}") from error
        device, count = tap.acts.device, len(tap.acts)
        what = type(maps).__name__
        if isinstance(maps, Tensor):
            shaped = maps.ndim == 3 and len(maps) == count and bool(maps.numel() or not count)
            if shaped and maps.is_floating_point() and maps.device == device:
                return maps
            what = f"{maps.dtype} {tuple(maps.shape)} on {maps.device}"
        needed = f"a floating-point tensor (N,h,w) with N={count} on {device}"
        raise ValueError(f"{self._where(tap)} must return {needed}, not {what}")

    def first(self, tap: Tap, rows: int) -> Tensor:
        """The maps of the first `rows` rows; of the others too where cheap, else zeros."""
        if not self.costly or rows >= len(tap.acts):
            return self(tap)
        maps = self(tap[:rows])
        return torch.cat([maps, maps.new_zeros(len(tap.acts) - rows, *maps.shape[1:])])


def methods(names: Sequence[str], style: str = "") -> dict[str, Method]:
    """``{name: method}`` of the plug-ins named, as `compute` takes them.

    `style` names a package whose own versions are preferred. Raises `ValueError` for an unknown
    method, and for two of one name.
    """
    preferred = plugins.load(STYLES, "combine", style).module.METHODS if style else {}
    by_name: dict[str, Method] = {}
    for plugin in (plugins.load(METHODS, "cam", name) for name in dict.fromkeys(names)):
        default = plugin.object, bool(getattr(plugin.module, "COSTLY", False))
        non_negative = bool(getattr(plugin.module, "NON_NEGATIVE", False))
        cam, asks = preferred.get(plugin.name, default)
        title = str(getattr(plugin.module, "TITLE", plugin.name))
        exact = bool(getattr(plugin.module, "EXACT", False))
        method = Method(plugin.name, cam, asks, non_negative, title, exact)
        if by_name.setdefault(plugin.name, method) != method:
            raise ValueError(f"two methods are named {plugin.name!r}; rename one")
    return by_name


def check_arithmetic(methods: Iterable[Method], how: Arithmetic) -> None:
    """Raise `ValueError` for the first method that a network which computes so cannot serve."""
    for method in methods if how.half else ():
        if method.exact:
            what = f"needs precision float32 or tf32, not {how.precision}"
            raise ValueError(f"method {method.name!r} {what}")


def versions(names: Sequence[str]) -> dict[str, str]:
    """``{name: sha256 of its file}`` of the methods that are not camx's own."""
    loaded = (plugins.load(METHODS, "cam", name) for name in names)
    return {p.name: p.sha256() for p in loaded if not p.shipped}


def combination(style: str) -> Callable[[str, list[Tensor], int], Tensor]:
    """How the package `style` makes one map in [0, 1] of one or several layers' raw maps."""
    return plugins.load(STYLES, "combine", style).object


def costly(name: str) -> bool:
    """Whether a method asks the network again, and so runs only when it is asked for."""
    return methods([name])[name].costly


def method_layers(name: str, network: Network) -> list[str]:
    """Those of a network's layers that a method is read at when none is named; none if it is all.

    Its ``LAYERS``, or, if it is ``POOLED``, the one whose global average is classified; the deepest
    for a map of the ``WHOLE`` network.
    """
    module = plugins.load(METHODS, "cam", name).module
    if getattr(module, "WHOLE", False):
        return list(network.layers)[:1]
    if not getattr(module, "POOLED", False):
        return [layer for layer in getattr(module, "LAYERS", ()) if layer in network.layers]
    generator = torch.Generator().manual_seed(0)
    size = (1, 3, network.input_size, network.input_size)
    images = network.prepare(torch.randint(256, size, generator=generator).byte())
    target = torch.zeros(1, dtype=torch.long, device=images.device)
    taps = tap(network.module, images, target, list(network.layers.values()))
    return [layer for layer, shown in taps.items() if shown.head is not None][:1]


def compute(
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    layers: Sequence[Layer],
    cams: Mapping[str, Method],
    gradient: Gradient = "own",
    pairs: Collection[tuple[str, str]] | None = None,
    rows: int | None = None,
    target: str = "logit",
) -> tuple[dict[tuple[str, str], Tensor], Tensor]:
    """Raw maps ``{(method, layer): (N,h,w)}`` and logits ``(N,K)`` of prepared ``(N,3,H,W)``.

    One forward and one backward pass feed every method and layer. ``targets (N,)`` are class
    indices, or ``(N,2)`` pairs (image, class). `pairs` limits the (method, layer) pairs computed;
    the default is all. Rows from `rows` on are padding, which costly methods leave empty. `target`
    is what of a class is explained (`targets`). Warns once of what a network's layers show that a
    method does not expect (`doubts`). Raises `ValueError` for what a method returns that are no
    maps, and `faults.NotFinite`, a `ValueError` too, naming the rows whose logits or maps hold NaN
    or Inf.
    """
    every = [(method, layer.name) for method in cams for layer in layers]
    wanted = [key for key in every if pairs is None or key in pairs]
    taps = tap(network, images, targets, layers, gradient, target)
    rows = len(targets) if rows is None else rows
    for name, shown in taps.items():
        doubts.examine(shown, [m for m, y in wanted if y == name and cams[m].non_negative])
    with torch.no_grad():
        maps = {(method, y): cams[method].first(taps[y], rows) for method, y in wanted}
    logits = next(iter(taps.values())).logits
    faults.check({faults.LOGITS: logits[:rows], **{key: m[:rows] for key, m in maps.items()}})
    return maps, logits
