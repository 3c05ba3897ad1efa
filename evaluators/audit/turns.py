"""The loop of an audit: every picture is decoded once, and its maps are made once a convention.

Conventions of boxes share the base protocol's maps; those of maps have a turn of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from camx.camcore.faults import Fault, NotFinite
from camx.evaluators import loop, saved_maps
from camx.evaluators.audit import conventions, scoring
from camx.evaluators.grids import Missing, Plan, image_maps
from camx.evaluators.loop import Measurement, Picture, Tick
from camx.evaluators.records import Writer
from camx.evaluators.tasks.localize import Protocol, Record, top5
from camx.evaluators.types import Cell

Job = Measurement[Protocol, Any]
Shown = tuple[dict[Cell, np.ndarray], np.ndarray]  # of one image or many: grids by cell, logits


@dataclass(frozen=True)
class Turn:
    """Maps of one `plan`, and the protocols that they are judged by, each with what it lacks.

    Both are by kind of records.
    """

    plan: Plan
    protocols: Mapping[str, Protocol]
    missing: Mapping[str, Missing]

    def lacking(self, cells: Sequence[Cell], pictures: Sequence[Picture]) -> list[Cell]:
        """The cells whose maps any of the pictures needs."""
        return loop.lacking(cells, pictures, *self.missing.values())

    def lacked(self, picture: Picture, cell: Cell) -> dict[str, Protocol]:
        """The protocols that have no record of the picture's cell."""
        name = picture.sample.image_id
        return {k: p for k, p in self.protocols.items() if cell in self.missing[k].get(name, ())}


def kinds(job: Job) -> dict[str, Protocol]:
    """The protocols of a job besides its own, by the kind of their records."""
    return {c.kind: c.of(job.protocol) for c in conventions.asked(job.options.over, job.protocol)}


def turns(job: Job, missing: Missing) -> list[Turn]:
    """The base protocol's turn, which conventions of boxes share, and one for each other map."""
    by_maps: dict[tuple[Any, ...], dict[str, Protocol]] = {}
    for kind, protocol in {"records": job.protocol, **kinds(job)}.items():
        by_maps.setdefault(conventions.maps_of(protocol), {})[kind] = protocol
    made = []
    for protocols in by_maps.values():
        plan = replace(job.plan, protocol=next(iter(protocols.values())))
        lacked = {k: missing if k == "records" else job.lacking(k) for k in protocols}
        made.append(Turn(plan, protocols, lacked))
    return made


def measure(job: Job, samples: Sequence[Any], missing: Missing, writer: Writer, tick: Tick) -> None:
    """Write what each of the protocols says of each sample's maps, where that is missing."""
    asked, unsaved = turns(job, missing), loop.unsaved_maps(job)
    sides = tuple(dict.fromkeys(turn.plan.view.grid for turn in asked))
    largest = max((turn.plan for turn in asked), key=lambda plan: plan.batch)
    files = partial(saved_maps.place, job.out / "maps", job.dataset, form=job.save_maps)

    def make(batch: list[Picture], padded: list[Picture]) -> list[Shown]:
        first = asked[0].lacking(job.cells, batch), loop.lacking(job.cells, batch, unsaved)
        cells = [tuple(dict.fromkeys(first[0] + first[1]))]
        cells += [tuple(turn.lacking(job.cells, batch)) for turn in asked[1:]]
        return [
            _maps(turn.plan, batch, padded, wanted, sides.index(turn.plan.view.grid))
            for turn, wanted in zip(asked, cells)
        ]

    def shown() -> Iterator[tuple[Picture, list[Shown]]]:
        whole = replace(job, maps=largest)
        for batch, made in loop.made(whole, samples, make, tick, sides):
            for i, picture in enumerate(batch):
                yield picture, [({c: g[i] for c, g in grids.items()}, y[i]) for grids, y in made]

    def work(item: tuple[Picture, list[Shown]]) -> dict[str, list[Record]]:
        picture, made = item
        for cell in unsaved.get(picture.sample.image_id, ()):
            saved_maps.save(files(picture.sample, cell), picture.map(made[0][0][cell]))
        return _judged(picture, asked, made)

    tried = job.skips.tried(work, lambda item: item[0].sample)
    with ThreadPoolExecutor(job.plan.workers) as graders:
        graded = loop.ahead(graders, tried, shown(), 2 * job.plan.batch)
        for rows in job.skips.sound(graded, tick):
            writer.add(rows.pop("records", []), rows)
            tick()


def _judged(
    picture: Picture, asked: Sequence[Turn], made: Sequence[Shown]
) -> dict[str, list[Record]]:
    """The records of a picture's maps that are missing, by kind."""
    rows: dict[str, list[Record]] = {}
    for turn, (grids, logits) in zip(asked, made):
        top = tuple(top5(logits)) if grids else ()
        for cell, grid in grids.items():
            protocols = turn.lacked(picture, cell)
            for kind, record in scoring.graded(picture, cell, grid, top, protocols).items():
                rows.setdefault(kind, []).append(record)
    return rows


def _maps(
    plan: Plan,
    batch: Sequence[Picture],
    padded: Sequence[Picture],
    cells: Sequence[Cell],
    side: int,
) -> Shown:
    """The cells' maps of a batch and its logits, in batches of the plan's own size.

    The network sees what it sees in a run of that plan alone: rounding depends on the shape.
    """
    if not cells:
        return {}, np.zeros((len(batch), 0))
    parts = []
    for at in range(0, len(batch), plan.batch):
        part = list(padded[at : at + plan.batch])
        part += [part[-1]] * (plan.batch - len(part))
        real = min(plan.batch, len(batch) - at)
        images, labels = loop.stacked(part, side), loop.labels(part)
        try:
            parts.append(image_maps(plan, images, labels, cells, real))
        except NotFinite as error:
            raise error.mapped(partial(_later, at)) from None
    grids = {cell: np.concatenate([part[0][cell] for part in parts]) for cell in cells}
    return grids, np.concatenate([part[1] for part in parts])


def _later(rows: int, fault: Fault) -> Fault:
    """The fault of a part of a batch as the batch's."""
    return replace(fault, row=rows + fault.row)
