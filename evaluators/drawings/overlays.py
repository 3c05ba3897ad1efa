"""Maps over their images, as plates: of declarative figures, of an explanation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from camx.camcore.networks import Network
from camx.evaluators import grids, heatmaps
from camx.evaluators.drawings.sources import UNKNOWN, Source, made_by
from camx.evaluators.explanations import Explanation
from camx.evaluators.grids import Plan
from camx.evaluators.loop import Picture, decode, stacked
from camx.evaluators.pictures import panel
from camx.evaluators.pictures.panel import Panel
from camx.evaluators.pictures.plate import Plate
from camx.evaluators.results.figures import Figure
from camx.evaluators.tasks import localize
from camx.evaluators.tasks.defects import masks
from camx.evaluators.tasks.localize import boxes
from camx.evaluators.types import Cell, Sample

IMAGE, TRUTH = "image", "ground truth"  # titles of columns


@dataclass(frozen=True)
class Shown:
    """An image with each cell's ``(g,g) uint8`` map, and its true mask ``(H,W) bool``, if it has
    any.
    """

    picture: Picture
    maps: Mapping[Cell, np.ndarray] = field(repr=False)
    mask: np.ndarray | None = field(default=None, repr=False)


def plate(figure: Figure, source: Source, samples: Sequence[Sample]) -> tuple[Plate, list[str]]:
    """The figure's maps of some images, and lines on cells that the network has no layers for."""
    network, wanted = source.network, dict.fromkeys(figure.cells.values())
    cells = [cell for cell in wanted if all(map(network.has, cell.layers))]
    if not cells:
        have = f"{network.name} has {', '.join(network.layers)}"
        raise ValueError(f"none of its layers is one of the network's: {have}")
    making = grids.plan(network, source.protocol, cells, device=source.device)
    images = [_shown(making, sample, "truth" in figure.shows) for sample in samples]
    lacking = [cell for cell in wanted if cell not in cells]
    notes = [f"{cell} is left out: {network.name} has no such layer" for cell in lacking]
    return _arranged(figure, source, images), notes


def _shown(plan: Plan, sample: Sample, truth: bool) -> Shown:
    """An image, decoded, and its maps; of an unknown one those of the network's first choice."""
    picture = decode(sample, (plan.view.grid,))
    squashed = stacked([picture])
    if sample.label == UNKNOWN:
        picture = replace(
            picture, sample=replace(sample, label=int(grids.first_choices(plan, squashed)[0]))
        )
    made, _ = grids.image_maps(plan, squashed, torch.tensor([picture.sample.label]))
    mask = masks.truth(sample, picture.size) if truth and sample.mask else None
    return Shown(picture, {cell: grid[0] for cell, grid in made.items()}, mask)


def _arranged(figure: Figure, source: Source, images: Sequence[Shown]) -> Plate:
    """Images down, each with the figure's rows; across, itself, its truth, and the columns.

    A single image with several rows stands in the heading instead.
    """
    held = {cell for image in images for cell in image.maps}
    kept = [column for (_, column), cell in sorted(figure.cells.items()) if cell in held]
    kept = sorted(set(kept))
    alone = len(images) == 1 and len(figure.rows) > 1
    before = [] if alone else [IMAGE, TRUTH][: 1 + ("truth" in figure.shows)]
    panels: dict[tuple[int, int], Panel] = {}
    rows: list[str] = []
    for image in images:
        top, label = len(rows), source.label(image.picture.sample)
        rows += figure.rows if alone else [_row_title(title, label) for title in figure.rows]
        for at, name in enumerate(before):
            true = name == TRUTH
            panels[top, at] = _truth(image) if true else _photograph(figure, image)
        for row in range(len(figure.rows)):
            for at, column in enumerate(kept, len(before)):
                if (cell := figure.cells[row, column]) in image.maps:
                    panels[top + row, at] = _map(figure, source, image, cell)
    titles = (*before, *(_title(figure, column) for column in kept))
    about, lone = source.about, None
    if alone:
        about = (source.label(images[0].picture.sample).replace("\n", ": "), *about)
        lone = _photograph(figure, images[0])
    named = f"{figure.label}. {figure.title}"
    return Plate(named, about, tuple(rows), titles, panels, lone, bar=ends(source.protocol))


def _row_title(title: str, label: str) -> str:
    """The title of a row and its image's label, two lines."""
    return f"{title}\n{label.replace(chr(10), ', ')}" if title else label


def _title(figure: Figure, column: int) -> str:
    """A column's title, and below it the layers, where they are the same in all its rows."""
    cells = [figure.cells[row, column] for row in range(len(figure.rows))]
    told = {", ".join(filter(None, (cell.layer, cell.variant))) for cell in cells}
    title = figure.columns[column]
    if len(told) > 1 or title.replace(" ", "") in told:
        return title
    return f"{title}\n{told.pop()}"


def _photograph(figure: Figure, image: Shown) -> Panel:
    """The image itself, with its true boxes where the figure shows boxes."""
    truths = image.picture.sample.boxes if "boxes" in figure.shows else ()
    return Panel(image.picture.pixels, truths=truths)


def _truth(image: Shown) -> Panel:
    """The true mask."""
    return panel.of_mask(image.mask, image.picture.pixels)


def _map(figure: Figure, source: Source, image: Shown, cell: Cell) -> Panel:
    """A cell's map as it is measured, and its box."""
    picture, grid, protocol = image.picture, image.maps[cell], source.protocol
    heatmap = heatmaps.on_image(grid, picture.size, protocol.interpolation)
    if "boxes" not in figure.shows:
        return Panel(picture.pixels, heatmap, outline=image.mask)
    sample = picture.sample
    box = localize.box_of(heatmap, cell, sample, picture.pixels, protocol)
    iou = boxes.iou(box, sample.boxes, protocol.iou) if sample.boxes else None
    return Panel(picture.pixels, heatmap, sample.boxes, box, iou)


def ends(protocol: Any) -> tuple[str, str]:
    """What the ends of the palette are of maps that a protocol normalises."""
    if protocol.normalisation == "minmax" or protocol.style:
        return "each map's minimum", "maximum"
    return "0", "each map's maximum"


def of_explanation(seen: Explanation, plan: Plan, sample: Sample, title: str) -> Plate:
    """Every map of an explanation: methods down, layers across, the picture in the heading."""
    network, protocol, truths = plan.network, seen.protocol, sample.boxes
    methods = list(dict.fromkeys(cell.method for cell in seen.grids))
    layers = list(dict.fromkeys(cell.layer for cell in seen.grids))
    panels = {}
    for cell in seen.grids:
        box = seen.box(cell.method, cell.layer)
        iou = boxes.iou(box, truths, protocol.iou) if truths else None
        heatmap = seen.heatmap(cell.method, cell.layer)
        place = methods.index(cell.method), layers.index(cell.layer)
        panels[place] = Panel(seen.pixels, heatmap, truths, box, iou)
    size = f"{seen.size[0]} x {seen.size[1]} pixels"
    about = (f"{sample.path.name}, {size}", *made_by(network, protocol))
    rows = tuple(plan.cams[method].title or method for method in methods)
    columns = tuple(f"{layer}\n{module_of(network, layer)}" for layer in layers)
    photograph = Panel(seen.pixels, truths=truths)
    return Plate(title, about, rows, columns, panels, photograph, bar=ends(protocol))


def module_of(network: Network, layer: str) -> str:
    """The path of the module that a layer is; of a fusion nothing, nor of what is named so."""
    path = "" if "+" in layer else network.layer(layer).activation
    return "" if path == layer else path
