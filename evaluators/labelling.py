"""The loop of pseudo labels: scenes -> maps of each image's own classes -> masks on disk -> records, an image at a time."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from camcore import fusion, maps, views
from evaluators import indices, pseudo, superpixels
from evaluators.records import Writer
from evaluators.runs import Missing, Plan, ahead, combine, map_file
from evaluators.types import Cell, PseudoProtocol, Scene


@dataclass(frozen=True)
class Picture:
    """A decoded scene: its pixels ``(H,W,3) uint8`` RGB, and its squashed forms, one a scale of the protocol."""

    scene: Scene
    pixels: np.ndarray
    squashed: tuple[np.ndarray, ...]


def _protocol(plan: Plan) -> PseudoProtocol:
    assert isinstance(plan.protocol, PseudoProtocol)
    return plan.protocol


def decode(plan: Plan, scene: Scene) -> Picture:
    image = views.read_image(scene.path)
    sides = [round(plan.view.grid * scale) for scale in _protocol(plan).scales]
    return Picture(scene, np.asarray(image), tuple(views.squash(image, side) for side in sides))


def class_maps(plan: Plan, pictures: Sequence[Picture], cells: Sequence[Cell], real: int) -> dict[Cell, np.ndarray]:
    """Each cell's maps ``(N,g,g) uint8``, a row for each class of each of the first `real` pictures, in order.

    One forward pass a scale (and mirrored), and as many backward passes as the richest picture has classes; the maps of
    all scales are averaged on the grid before they are normalised.
    """
    network, protocol = plan.network, _protocol(plan)
    layers = [network.layer(n) for n in dict.fromkeys(n for c in cells for n in c.layer.split("+"))]
    pairs = {(c.method, n) for c in cells for n in c.layer.split("+")}
    rows = [(i, label) for i, p in enumerate(pictures[:real]) for label in p.scene.labels]
    if not rows:
        return {cell: np.zeros((0, plan.view.grid, plan.view.grid), np.uint8) for cell in cells}
    targets = torch.tensor(rows, device=plan.device)
    total: dict[tuple[str, str], Tensor] = {}
    for at, mirrored in itertools.product(range(len(protocol.scales)), (False, True)[: 1 + protocol.flip]):
        inputs = network.prepare(torch.from_numpy(np.stack([p.squashed[at] for p in pictures])).to(plan.device))
        shown = inputs.flip(3) if mirrored else inputs
        found, _ = maps.compute(network.module, shown, targets, layers, plan.cams, protocol.gradient, pairs)
        for key, raw in found.items():
            grid = views.merge(raw, views.View("resize", plan.view.grid, plan.view.grid))
            grid = grid.flip(2) if mirrored else grid
            total[key] = total[key] + grid if key in total else grid
    made = list(combine(plan, cells, total))
    return dict(zip(cells, torch.stack([fusion.to_bytes(m) for m in made]).cpu().numpy()))


def label_folder(out: Path, cell: Cell) -> Path:
    """Where a cell's pseudo labels are written: ``labels/<method>_<layer>``, and the variant the layers do not imply."""
    return out / "labels" / map_file(Path(), "", cell).stem.lstrip("_")


def unsaved(out: Path, scenes: Sequence[Scene], cells: Sequence[Cell]) -> Missing:
    """The labels that the run's folder does not hold."""
    folders = {cell: label_folder(out, cell) for cell in cells}
    return {s.image_id: {c for c in cells if not (folders[c] / f"{s.image_id}.png").is_file()} for s in scenes}


def measure(
    plan: Plan,
    cells: Sequence[Cell],
    classes: int,
    out: Path,
    scenes: Sequence[Scene],
    missing: Missing,
    writer: Writer,
    tick: Callable[[], Any],
    unlabelled: Missing | None = None,
) -> None:
    """Write the pseudo labels of the `missing` cells of each scene, and their records; nothing is kept of an image.

    `unlabelled` are cells that have a record but no label on disk; see `unsaved`.

    The last batch is padded with its last image, so that the network always sees the same shape.
    """
    cv2.setNumThreads(1)
    lacking = {s.image_id: missing[s.image_id] | (unlabelled or {}).get(s.image_id, set()) for s in scenes}
    grade = partial(_grade, _protocol(plan), classes, out)
    with ThreadPoolExecutor(plan.workers) as readers, ThreadPoolExecutor(plan.workers) as graders:
        pictures = ahead(readers, partial(decode, plan), scenes, 2 * plan.batch)

        def jobs() -> Iterator[tuple[Picture, dict[Cell, np.ndarray]]]:
            while batch := list(itertools.islice(pictures, plan.batch)):
                wanted = set().union(*(lacking[p.scene.image_id] for p in batch))
                needed = [cell for cell in cells if cell in wanted]
                padded = batch + [batch[-1]] * (plan.batch - len(batch))
                found, first = class_maps(plan, padded, needed, len(batch)), 0
                for picture in batch:
                    part = slice(first, first := first + len(picture.scene.labels))
                    yield picture, {cell: found[cell][part] for cell in needed if cell in lacking[picture.scene.image_id]}

        for records in ahead(graders, lambda job: grade(*job), jobs(), 2 * plan.batch):
            writer.add([r for r in records if Cell(r.method, r.layer, r.variant) in missing[r.image_id]])
            tick()


def _grade(protocol: PseudoProtocol, classes: int, out: Path, picture: Picture, grids: dict[Cell, np.ndarray]) -> Sequence[Any]:
    """One scene's pseudo labels on disk, and its records."""
    scene, (height, width) = picture.scene, picture.pixels.shape[:2]
    truth = indices.read_mask(scene.mask, classes) if scene.mask else None
    regions = superpixels.find(protocol, scene.image_id, picture.pixels)
    on_image, labelled = {}, {}
    for cell, grid in grids.items():
        on_image[cell] = pseudo.on_image(grid, (width, height), protocol.interpolation)
        labelled[cell] = pseudo.assign(on_image[cell], scene.labels, regions, protocol.threshold)
        folder = label_folder(out, cell)
        folder.mkdir(parents=True, exist_ok=True)
        indices.write_mask(folder / f"{scene.image_id}.png", labelled[cell])
    return pseudo.score(scene, on_image, labelled, truth, classes, protocol)


def seeds(plan: Plan, cell: Cell, scenes: Sequence[Scene]) -> Iterator[tuple[str, Sequence[int], np.ndarray]]:
    """Each scene's DGCN seeds from a cell's maps: its name, its classes and `pseudo.cues`, one at a time."""
    for scene in scenes:
        picture = decode(plan, scene)
        grids = class_maps(plan, [picture] * plan.batch, [cell], 1)[cell]
        yield scene.image_id, scene.labels, pseudo.cues(grids, scene.labels)
