"""Explanations: what a network looks at in one picture, as maps on the picture's own grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from camx.camcore import maps, networks, passes, stages, survey, views
from camx.camcore.faults import NotFinite
from camx.camcore.image_files import read_image, rgb
from camx.camcore.layers import Layer
from camx.camcore.networks import Network
from camx.camcore.preprocessing import IMAGENET, Preprocessing
from camx.camcore.suggestions import near
from camx.evaluators import grids, heatmaps, pictures, plan, protocols
from camx.evaluators.datasets.dagm import CLASSES as DEFECTS
from camx.evaluators.grids import Plan
from camx.evaluators.miniature.ilsvrc import CLASSES as MINIATURE
from camx.evaluators.tasks import localize
from camx.evaluators.types import Box, Cell

INPUT_SIZE = 224  # of a bare module that is told no other
Picture = Image.Image | Path | str | np.ndarray | Tensor
FORMS = (
    "a path, a PIL image, an array of uint8 (H,W), (H,W,3) or (H,W,4), or the network's input, a "
    "float tensor (1,3,H,W)"
)


@dataclass(frozen=True)
class Explanation:
    """What a network looks at in one picture.

    pixels         ``(H,W,3) uint8`` RGB: the picture
    probabilities  ``(K,)``: the softmax of its logits
    label          the class explained: its index
    class_names    the classes by index; empty where nobody named them
    grids          ``(h,w) float32`` in [0, 1]: each cell's map on the network's input
    protocol       how the maps were made, and become boxes
    """

    pixels: np.ndarray = field(repr=False)
    probabilities: np.ndarray = field(repr=False)
    label: int
    class_names: tuple[str, ...] = field(repr=False)
    grids: Mapping[Cell, np.ndarray] = field(repr=False)
    protocol: Any = field(repr=False)

    @cached_property
    def maps(self) -> dict[tuple[str, str], np.ndarray]:
        """``{(method, layer): (H,W) float32}`` in [0, 1], on the picture's grid."""
        how = self.protocol.interpolation
        return {
            (cell.method, cell.layer): heatmaps.on_image(grid, self.size, how).clip(0, 1)
            for cell, grid in self.grids.items()
        }

    @property
    def size(self) -> tuple[int, int]:
        """The picture's width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def name(self, label: int) -> str:
        """What a class is called; ``class 3`` where nobody named it."""
        return self.class_names[label] if label < len(self.class_names) else f"class {label}"

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The likeliest classes, best first: names and probabilities."""
        best = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.name(int(i)), float(self.probabilities[i])) for i in best]

    def heatmap(self, method: str, layer: str) -> np.ndarray:
        """A map as it is measured: ``(H,W) uint8``."""
        grid = (self.grids[self._cell(method, layer)] * 255).astype(np.uint8)
        return heatmaps.on_image(grid, self.size, self.protocol.interpolation)

    def box(self, method: str, layer: str) -> Box:
        """The box that a map gives, ``(x0, y0, x1, y1)``, as it is measured."""
        mask = heatmaps.foreground(self.heatmap(method, layer), self.protocol.threshold)
        return localize.boxes.box(mask, self.protocol.box)

    def overlay(self, method: str, layer: str, alpha: float = pictures.BLEND) -> Image.Image:
        """A map over the picture in grey: dark violet where it is 0, light yellow where it is 1."""
        heatmap = self.maps[self._cell(method, layer).key[:2]]
        return Image.fromarray(pictures.overlay(self.pixels, heatmap, alpha))

    def _cell(self, method: str, layer: str) -> Cell:
        """The cell of a map. `ValueError` for one that was not asked for."""
        cells = {(cell.method, cell.layer): cell for cell in self.grids}
        if (method, layer) not in cells:
            listed = [" ".join(key) for key in cells]
            accepted = f"{', '.join(listed)}{near(f'{method} {layer}', listed)}"
            raise ValueError(f"no map of {method} at {layer}; there are: {accepted}")
        return cells[method, layer]


def explain(
    network: Network | nn.Module | str,
    picture: Picture,
    methods: Sequence[str] = (),
    layers: Sequence[str | Layer] = (),
    label: int | str | None = None,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    input_size: int | None = None,
    class_names: Sequence[str] | None = None,
) -> Explanation:
    """Maps of every method at every layer over one picture, all of one forward and backward pass.

    network      what `networks.load` gives or takes, or any ``torch.nn.Module`` with logits (N,K)
    picture      a path (turned as its EXIF says), a PIL image, an array ``(H,W,3) uint8`` or
                 ``(H,W)``; or the network's input, a float tensor ``(1,3,H,W)`` of any sides
    methods      names of `camx list methods`, or ``FILE.py``; all that one pass gives without any
    layers       names of the network's stages, paths of its modules, fusions such as ``S5+S4``, or
                 `Layer`s; all of the network's stages without any
    label        the class to explain, its index or name; the network's first choice without one
    mean, std    of a bare module's input, RGB in [0, 1]; ImageNet's without them
    input_size   pixels a side of a bare module's input, 224 without it; pictures are squashed to it
    class_names  of a bare module's classes, by index

    The module is in evaluation mode meanwhile, and as it was after. Raises `ValueError` or
    `FileNotFoundError`, one line that says what is accepted.
    """
    form = {"mean": mean, "std": std, "input_size": input_size, "class_names": class_names}
    given = {name: value for name, value in form.items() if value is not None}
    asked = _network(network, picture, layers, given)
    protocol = protocols.load("single", "localize", localize.Protocol)
    wanted = tuple(layer if isinstance(layer, str) else layer.name for layer in layers)
    cells = plan.product(asked, plan.Selection(tuple(methods), wanted))
    device = str(next(asked.module.parameters()).device)
    making = grids.plan(asked, protocol, cells, methods, device, batch_size=1)
    return explained(making, picture, label, names_of(asked))


def explained(
    plan: Plan, picture: Picture, label: int | str | None = None, names: Sequence[str] = ()
) -> Explanation:
    """The plan's maps over one picture; see `explain`. `names` are those of the classes."""
    module, prepared = plan.network.module, _prepared(picture)
    squashed = torch.empty(0, dtype=torch.uint8)
    if prepared is None:
        image = _image(picture)
        pixels = np.asarray(image)
        squashed = torch.from_numpy(views.squash(image, plan.view.grid))[None]
        inputs = plan.network.prepare(views.cut(squashed, plan.view))
    else:
        inputs = prepared.to(plan.device)
        pixels = plan.network.preprocessing.undone(inputs)[0].permute(1, 2, 0).cpu().numpy()
    with torch.no_grad(), passes.frozen(module):
        probabilities = passes.answer(module, inputs).sum(0).softmax(0).cpu().numpy()
    index = int(probabilities.argmax())
    if label is not None:
        index = index_of(label, len(probabilities), names)
    target = torch.tensor([index], device=plan.device)
    try:
        if prepared is None:
            made, _ = grids.grids(plan, squashed, target, plan.cells, 1)
        else:
            made = _on_input(plan, inputs, target)
    except NotFinite as error:
        where = f"{picture}: " if isinstance(picture, str | Path) else ""
        raise ValueError(f"{where}{replace(error.faults[0], network=plan.network.name)}") from None
    of_cell = {cell: grid[0].cpu().numpy() for cell, grid in made.items()}
    return Explanation(pixels, probabilities, index, tuple(names), of_cell, plan.protocol)


def names_of(network: Network) -> tuple[str, ...]:
    """The network's class names, or the miniature's; empty where nobody named them."""
    if not network.weights.startswith("shipped "):
        return network.class_names
    if network.name == "mini-defects":
        return DEFECTS
    return miniature_names()


def miniature_names() -> tuple[str, ...]:
    """The names of the miniature's classes."""
    return tuple(MINIATURE[wnid] for wnid in sorted(MINIATURE))


def index_of(label: int | str, count: int, names: Sequence[str] = ()) -> int:
    """The index of a class, one of `count`, given by its index or name."""
    if label in names:
        return list(names).index(str(label))
    if str(label).isdigit() and int(label) < count:
        return int(label)
    accepted = f"0..{count - 1}"
    if names:
        accepted += f", or a name such as {names[0]!r}{near(label, names)}"
    raise ValueError(f"unknown class {label!r}; accepted: {accepted}")


def _network(
    network: Network | nn.Module | str,
    picture: Picture,
    layers: Sequence[str | Layer],
    given: Mapping[str, Any],
) -> Network:
    """The network to ask; `given` is what a bare module is told of its input and classes."""
    named = {layer.name: layer for layer in layers if isinstance(layer, Layer)}
    loaded = networks.load(network) if isinstance(network, str) else network
    if isinstance(loaded, Network):
        if given:
            what = f"network {loaded.name} has its own; they are for a bare torch.nn.Module"
            raise ValueError(f"{', '.join(given)}: {what}")
        return replace(loaded, layers={**loaded.layers, **named})
    if not isinstance(loaded, nn.Module):
        accepted = "a name of `camx list models`, what camx.load gives, or a torch.nn.Module"
        raise ValueError(f"network is a {type(loaded).__name__}; accepted: {accepted}")
    size = given.get("input_size", INPUT_SIZE)
    form = Preprocessing(
        "given", tuple(given.get("mean", IMAGENET.mean)), tuple(given.get("std", IMAGENET.std))
    )
    prepared = _prepared(picture)
    sides = (size, size) if prepared is None else (prepared.shape[2], prepared.shape[3])
    names = tuple(given.get("class_names", ()))
    held = _stages(loaded, layers, sides)
    kind = type(loaded).__name__
    return Network(kind, loaded, held, size, form, len(names), "", "", names)


def _stages(
    module: nn.Module, layers: Sequence[str | Layer], sides: tuple[int, int]
) -> dict[str, Layer]:
    """The layers of a bare module by name: its stages, and those asked for."""
    named = {layer.name: layer for layer in layers if isinstance(layer, Layer)}
    if layers and len(named) == len(layers):
        return named
    paths = [path for layer in layers if isinstance(layer, str) for path in layer.split("+")]
    try:
        held, seen = stages.of(module, sides), survey.of(module, sides)
    except ValueError:
        if not paths:
            raise
        return named | {path: Layer(path, path) for path in paths}  # taken for channels first
    for path in (path for path in paths if path not in held and path not in named):
        if path not in dict(module.named_modules()):
            accepted = f"{', '.join(held)}, or a module's path{near(path, held)}"
            top = ", ".join(name for name, _ in module.named_children())
            raise ValueError(f"unknown layer {path!r}; known: {accepted}; at its top are: {top}")
        place = seen.place(path)
        named[path] = place.layer() if place else Layer(path, path)
    return {**held, **named}


def _prepared(picture: Picture) -> Tensor | None:
    """A picture that is a network's input, ``(1,3,H,W)``; None for pixels."""
    if not isinstance(picture, Tensor) or not picture.is_floating_point():
        return None
    inputs = picture[None] if picture.ndim == 3 else picture
    if inputs.ndim != 4 or inputs.shape[:2] != (1, 3):
        raise ValueError(f"picture is a tensor {tuple(picture.shape)}; accepted: {FORMS}")
    return inputs


def _image(picture: Picture) -> Image.Image:
    """Pixels of any accepted form as an RGB image. `ValueError` for another form."""
    if isinstance(picture, str | Path):
        return read_image(Path(picture), upright=True)
    if isinstance(picture, Image.Image):
        return rgb(picture)
    about = (getattr(picture, "dtype", ""), tuple(getattr(picture, "shape", ())))
    kind = " ".join([type(picture).__name__, *(str(what) for what in about if what)])
    pixels = isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.size > 0
    if pixels and (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (3, 4))):
        return Image.fromarray(np.asarray(picture)).convert("RGB")
    raise ValueError(f"picture is a {kind}; accepted: {FORMS}")


def _on_input(plan: Plan, inputs: Tensor, target: Tensor) -> dict[Cell, Tensor]:
    """Each cell's map in [0, 1], ``(1,H,W)``, of the network's input ``(1,3,H,W)``."""
    layers = [plan.network.layer(name) for name in grids.layer_names(plan.cells)]
    how = (layers, plan.sources, plan.protocol.gradient, grids.pairs(plan.cells))
    kind = plan.protocol.target
    raw, _ = maps.compute(plan.network.module, inputs, target, *how, target=kind)
    sides = inputs.shape[-2:]
    merged = {key: views.enlarged(part, sides) for key, part in raw.items()}
    return dict(zip(plan.cells, grids.combine(plan, plan.cells, merged, 1)))
