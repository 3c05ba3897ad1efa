"""The loop of pseudo labels: scenes -> maps of their classes -> masks on disk -> records."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from camx.camcore import fusion, maps, views
from camx.camcore.faults import Fault, NotFinite
from camx.evaluators import nulls, voc_masks
from camx.evaluators.grids import Missing, combine, layer_names, pairs
from camx.evaluators.loop import Measurement, Picture, Tick, made, stacked, worked
from camx.evaluators.records import Writer
from camx.evaluators.saved_maps import cell_name
from camx.evaluators.tasks.pseudo import Options, Protocol, seeds
from camx.evaluators.tasks.pseudo.grading import Grading, label_folder
from camx.evaluators.types import Cell, Scene

Job = Measurement[Protocol, Options]


def sides(job: Job) -> list[int]:
    """The sides that a picture is squashed to, one a scale of the protocol."""
    return [round(job.plan.view.grid * scale) for scale in job.protocol.scales]


def class_maps(
    job: Job, pictures: Sequence[Picture], cells: Sequence[Cell], real: int
) -> dict[Cell, np.ndarray]:
    """Each cell's maps ``(N,g,g) uint8``, a row for each class of the first `real` pictures.

    One forward pass a scale (and mirrored), and as many backward passes as the richest picture has
    classes; the maps of all scales are averaged on the grid before they are normalised. Raises
    `NotFinite` of pictures whose logits or maps hold NaN or Inf.
    """
    plan, grid = job.plan, job.plan.view.grid
    rows = [(i, label) for i, p in enumerate(pictures[:real]) for label in p.sample.labels]
    if not rows:
        return {cell: np.zeros((0, grid, grid), np.uint8) for cell in cells}
    if not cells:  # nulls alone are missing, which no network makes
        return {}
    try:
        combined = combine(plan, cells, _summed(job, pictures, cells, rows), len(rows))
        together = torch.stack([fusion.to_bytes(m) for m in combined])
    except NotFinite as error:
        raise error.mapped(partial(_of_picture, rows, plan.network.name)) from None
    return dict(zip(cells, together.cpu().numpy()))


def _summed(
    job: Job, pictures: Sequence[Picture], cells: Sequence[Cell], rows: list[tuple[int, int]]
) -> dict[tuple[str, str], Tensor]:
    """Raw maps on the grid by method and layer, a row for each picture and class, all scales'."""
    plan, protocol = job.plan, job.protocol
    network, grid = plan.network, plan.view.grid
    targets = torch.tensor(rows, device=plan.device)
    layers = [network.layer(name) for name in layer_names(cells)]
    total: dict[tuple[str, str], Tensor] = {}
    mirrorings = (False, True) if protocol.flip else (False,)
    for scale, mirrored in itertools.product(range(len(protocol.scales)), mirrorings):
        inputs = network.prepare(stacked(pictures, scale).to(plan.device))
        inputs = inputs.flip(3) if mirrored else inputs
        raw, _ = maps.compute(
            network.module, inputs, targets, layers, plan.sources, protocol.gradient, pairs(cells),
            target=protocol.target,
        )  # fmt: skip
        for key, part in raw.items():
            merged = views.merge(part, views.View("resize", grid, grid))
            merged = merged.flip(2) if mirrored else merged
            total[key] = total[key] + merged if key in total else merged
    return total


def _of_picture(rows: Sequence[tuple[int, int]], network: str, fault: Fault) -> Fault:
    """The fault of a picture's class as the picture's."""
    return replace(fault, row=rows[fault.row][0], network=network)


def describe(job: Job, cell: Cell) -> None:
    """Say beside a cell's labels what makes them."""
    about: dict[str, Any] = dict(zip(("method", "layer", "variant"), cell.key))
    about |= {"run": str(job.out), "classes": list(job.dataset.classes)}
    voc_masks.describe(label_folder(job.out, cell), about)


def unsaved(job: Job) -> Missing:
    """The labels that the run's folder does not hold."""
    folders = {cell: label_folder(job.out, cell) for cell in job.cells}
    return {
        s.image_id: {c for c, f in folders.items() if not (f / f"{s.image_id}.png").is_file()}
        for s in job.samples
    }


def measure(
    job: Job, samples: Sequence[Scene], missing: Missing, writer: Writer, tick: Tick
) -> None:
    """Write the pseudo labels of the `missing` cells of each scene, and their records.

    So are labels that have a record but are not on disk. Nothing is kept of an image.
    """
    unlabelled = unsaved(job)
    wanted = {s.image_id: missing[s.image_id] | unlabelled[s.image_id] for s in samples}

    def lacking(pictures: Sequence[Picture]) -> list[Cell]:
        of_them = set().union(*(wanted[p.sample.image_id] for p in pictures))
        return [cell for cell in job.cells if cell in of_them]

    def make(batch: list[Picture], padded: list[Picture]) -> dict[Cell, np.ndarray]:
        return class_maps(job, padded, lacking(batch), len(batch))

    def shown() -> Iterator[tuple[Picture, dict[Cell, np.ndarray]]]:
        for batch, grids in made(job, samples, make, tick, sides(job)):
            first = 0
            for picture in batch:
                part = slice(first, first := first + len(picture.sample.labels))
                blind = {c: _blind(job, picture.sample, c) for c in job.nulls}
                stacks = {cell: grid[part] for cell, grid in grids.items()} | blind
                yield (
                    picture,
                    {c: stacks[c] for c in stacks if c in wanted[picture.sample.image_id]},
                )

    work = Grading(job.out, job.protocol, len(job.dataset.classes), job.nulls)
    with worked(job, work, lambda item: item[0].sample) as graded:
        for rows in job.skips.sound(graded(shown(), 2 * job.plan.batch), tick):
            keys = ((r, Cell.of(r.method, r.layer, r.variant)) for r in rows)
            writer.add([r for r, cell in keys if cell in missing[r.image_id]])
            tick()


def _blind(job: Job, scene: Scene, cell: Cell) -> np.ndarray:
    """A null's maps of a scene's classes, ``(K,g,g) uint8``."""
    side, keys = job.plan.view.grid, [f"{scene.image_id} {label}" for label in scene.labels]
    stack = [nulls.grid(cell.method, key, side) for key in keys]
    return np.array(stack, np.uint8).reshape(-1, side, side)


def export(job: Job) -> str:
    """Write the one cell's DGCN seeds of the images that its list names; a line about it."""
    (cell,) = job.cells
    assert job.options.input_list, "the command refuses to export without a list"
    numbers = seeds.input_list(job.options.input_list)
    path = job.out / f"{cell_name(cell)}.pickle"

    def make(batch: list[Picture], padded: list[Picture]) -> np.ndarray:
        return class_maps(job, padded, [cell], len(batch))[cell]

    def cues() -> Iterator[tuple[str, Sequence[int], np.ndarray]]:
        listed = [s for s in job.samples if s.image_id in numbers]
        for scene in (s for s in listed if s.image_id not in job.skips.rows):
            for _, grids in made(job, [scene], make, lambda: None, sides(job)):
                yield scene.image_id, scene.labels, seeds.cues(grids, scene.labels)

    lacking = seeds.export_cues(path, numbers, cues())
    return f"seeds: {path} ({len(numbers) - len(lacking)} of the list's {len(numbers)} images)"
