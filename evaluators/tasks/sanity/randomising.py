"""The loop of the sanity check: each image's maps by the network, and by its copies drawn anew."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from camx.camcore import randomisation, similarity
from camx.evaluators import grids, loop
from camx.evaluators.loop import Measurement, Picture, Tick
from camx.evaluators.records import Writer
from camx.evaluators.tasks.sanity import Record
from camx.evaluators.types import Cell

Job = Measurement[Any, Any]
Plans = dict[str, grids.Plan]


def cascade(job: Job) -> Plans:
    """Plans by step, each of a network of which more is drawn anew."""
    plan, network, protocol = job.plan, job.plan.network, job.protocol
    each = protocol.cascade == "modules"
    steps = randomisation.steps(network.module, network.layers, network.input_size, each)
    drawn = randomisation.pictures(network.input_size, protocol.weights_seed)
    how = list(steps.values()), network.prepare(drawn), protocol.weights_seed
    modules = randomisation.cascade(network.module, *how)
    networks = (replace(network, module=module) for module in modules)
    return {step: replace(plan, network=drawn) for step, drawn in zip(steps, networks)}


def partners(samples: Sequence[Any]) -> dict[str, Any]:
    """Each image's unrelated one: half the data set away, or the next of another class."""
    count, made = len(samples), {}
    for at, sample in enumerate(samples):
        turned = (samples[(at + count // 2 + i) % count] for i in range(count))
        others = [other for other in turned if other.image_id != sample.image_id]
        unlike = (o for o in others if o.label != sample.label)
        made[sample.image_id] = next(unlike, others[0] if others else None)
    return made


def _maps(
    plan: grids.Plan, pictures: Sequence[Picture], cells: Sequence[Cell], real: int
) -> dict[Cell, Tensor]:
    """The cells' raw maps of the first `real` pictures, an image's views together ``(real,n)``."""
    how = loop.stacked(pictures), loop.labels(pictures), cells, real
    raw, _ = grids.raw_maps(plan, *how)
    crops = plan.view.crops
    return {c: raw[c.method, c.layer].unflatten(0, (-1, crops)).flatten(1)[:real] for c in cells}


def measure(
    job: Job, samples: Sequence[Any], missing: grids.Missing, writer: Writer, tick: Tick
) -> None:
    """Write a record of each missing cell of each sample."""
    plans, other = cascade(job), partners(job.dataset.samples)

    def make(batch: list[Picture], padded: list[Picture]) -> list[list[Record]]:
        return compared(job, plans, other, missing, batch, padded)

    for _, rows in loop.made(job, samples, make, tick):
        for of_image in rows:
            writer.add(of_image)
            tick()


def compared(
    job: Job,
    plans: Plans,
    other: dict[str, Any],
    missing: grids.Missing,
    batch: list[Picture],
    padded: list[Picture],
) -> list[list[Record]]:
    """The records of each picture of a batch: a tap of all cells of each network."""
    cells, real = loop.lacking(job.cells, batch, missing), len(batch)
    original = _maps(job.plan, padded, cells, real)
    unrelated = [other[picture.sample.image_id] for picture in padded]
    floors = {cell: torch.full((real,), float("nan")) for cell in cells}
    if all(unrelated):
        decoded = [loop.decode(sample, (job.plan.view.grid,)) for sample in unrelated]
        of_others = _maps(job.plan, decoded, cells, real)
        floors = {c: similarity.spearman(original[c], of_others[c]) for c in cells}
    signed: dict[Cell, list[Tensor]] = {cell: [] for cell in cells}
    absolute: dict[Cell, list[Tensor]] = {cell: [] for cell in cells}
    constant: dict[Cell, list[bool]] = {}
    for plan in plans.values():
        for cell, now in _maps(plan, padded, cells, real).items():
            before = original[cell]
            signed[cell].append(similarity.spearman(before, now))
            absolute[cell].append(similarity.spearman(before.abs(), now.abs()))
            constant[cell] = _constant(now)
    rows: list[list[Record]] = [[] for _ in batch]
    for cell in cells:
        blank = torch.tensor(_constant(original[cell]))
        # Of a constant map nothing is known: neither what is like it nor what is not.
        parts = [torch.stack(signed[cell]), torch.stack(absolute[cell]), floors[cell][None]]
        ways, magnitudes, floor = (
            torch.where(blank, float("nan"), part.cpu().double()).T.tolist() for part in parts
        )
        for at, picture in enumerate(batch):
            sample, partner = picture.sample, unrelated[at]
            if cell in missing[sample.image_id]:
                key = sample.image_id, sample.label, *cell.key, partner.image_id if partner else ""
                values = tuple(ways[at]), tuple(magnitudes[at]), floor[at][0]
                rows[at].append(Record(*key, tuple(plans), *values, constant[cell][at]))
    return rows


def _constant(maps: Tensor) -> list[bool]:
    return (maps.amax(1) == maps.amin(1)).tolist()
