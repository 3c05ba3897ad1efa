"""The loop: samples -> maps -> records, with decoding and scoring by workers beside the network.

It knows no task: what a map is worth is said by the `grade` it is given.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from camx.camcore.faults import NotFinite
from camx.evaluators import nulls, records, saved_maps, stopping
from camx.evaluators.grading import Grade, Grading, Shown
from camx.evaluators.grading import Picture as Picture
from camx.evaluators.grading import decode as decode
from camx.evaluators.grids import Missing, Plan, image_maps
from camx.evaluators.measures import Measure
from camx.evaluators.records import Writer
from camx.evaluators.skips import Failed, Skips
from camx.evaluators.types import Cell, Dataset, Sample
from camx.evaluators.workers import ahead as ahead

T = TypeVar("T")
P = TypeVar("P")
Q = TypeVar("Q")
R = TypeVar("R")
Tick = Callable[[], Any]  # called after each image


@dataclass(frozen=True)
class Measurement(Generic[P, Q]):
    """What one invocation of a task measures: `cells` of `samples`, into the run's folder `out`.

    `protocol` and `options` are the task's; `maps` is how maps are made, for tasks that need any,
    and `weights` what the user called the network's; `save_maps` asks for each map as a file, of
    that form, and `skips` says whether the run goes on without an image that cannot be measured.
    `nulls` are the cells that they are compared with, which no network makes (`nulls.MAPS`).
    `measures` are judged on the same maps; `others` are images on which thresholds are chosen,
    of the data set whose fingerprint is `chosen_on`.
    """

    out: Path
    dataset: Dataset[Any]
    samples: tuple[Any, ...]
    cells: tuple[Cell, ...]
    protocol: P
    options: Q
    seed: int
    maps: Plan | None = None
    weights: str | None = None
    save_maps: str = ""
    skips: Skips = field(default_factory=Skips)
    nulls: tuple[Cell, ...] = ()
    measures: tuple[Measure, ...] = ()
    others: tuple[Any, ...] = ()
    chosen_on: str = ""

    def lacking(self, kind: str) -> dict[str, set[Cell]]:
        """The cells that each of its images has no record of, of that kind."""
        ids = [sample.image_id for sample in self.samples]
        return records.lacking(self.out, kind, (*self.cells, *self.nulls), ids)

    def unmeasured(self) -> dict[str, dict[str, set[Cell]]]:
        """The same of each measure, by its kind of records."""
        return {measure.kind: self.lacking(measure.kind) for measure in self.measures}

    def unmeasured_samples(self) -> list[Any]:
        """The images that any of its measures has no record of."""
        kinds = self.unmeasured().values()
        return [s for s in self.samples if any(kind[s.image_id] for kind in kinds)]

    def choosing(self) -> "Measurement[P, Q]":
        """The same on the images that thresholds are chosen on, by the measures that have any."""
        chosen_by = tuple(measure.elsewhere() for measure in self.measures if measure.chooses)
        return replace(self, samples=self.others, measures=chosen_by, save_maps="", others=())

    @property
    def plan(self) -> Plan:
        """How maps are made. `ValueError` for a task without a network."""
        if self.maps is None:
            raise ValueError("this task makes no maps")
        return self.maps


Job = Measurement[Any, Any]


@contextmanager
def worked(
    job: Job, work: Callable[[T], R], sample: Callable[[T], Any]
) -> Iterator[Callable[[Iterable[T], int], Iterator[R | Failed]]]:
    """``results(items, depth)`` of the plan's workers, in order; see `workers.ahead`, `Skips`."""
    cv2.setNumThreads(1)  # the workers are the parallelism
    plan = job.plan
    done = plan.processes.sent(work) if plan.processes else work
    with ThreadPoolExecutor(plan.workers) as pool:
        yield partial(ahead, pool, job.skips.tried(done, sample))


def batches(
    job: Job, samples: Sequence[Any], tick: Tick, sides: Sequence[int] = ()
) -> Iterator[list[Picture]]:
    """Batches of pictures, decoded ahead; those that cannot be read are skipped.

    `sides` are those of the squashed squares; the default is the plan's grid.
    """
    plan, work = job.plan, partial(decode, sides=tuple(sides) or (job.plan.view.grid,))
    with worked(job, work, lambda sample: sample) as decoded:
        pictures = job.skips.sound(decoded(stopping.until_asked(samples), 2 * plan.batch), tick)
        while batch := list(itertools.islice(pictures, plan.batch)):
            yield batch


def made(
    job: Job,
    samples: Sequence[Any],
    make: Callable[[list[Picture], list[Picture]], R],
    tick: Tick,
    sides: Sequence[int] = (),
) -> Iterator[tuple[list[Picture], R]]:
    """Batches of pictures, and what ``make(batch, padded)`` makes of each.

    Padded with its last picture, the network always sees the same shape, and an image's records do
    not depend on its neighbours. Where logits or maps are no numbers, the pictures at fault are
    skipped, and the rest of their batch is made again.
    """
    for batch in batches(job, samples, tick, sides):
        while batch:
            try:
                result = make(batch, batch + [batch[-1]] * (job.plan.batch - len(batch)))
            except NotFinite as error:
                count, batch = len(batch), job.skips.without(batch, error, attrgetter("sample"))
                for _ in range(count - len(batch)):
                    tick()
            else:
                yield batch, result
                break


def stacked(pictures: Sequence[Picture], side: int = 0) -> Tensor:
    """The pictures squashed to the side number `side`, ``(B,3,s,s) uint8``."""
    return torch.from_numpy(np.stack([picture.squashed[side] for picture in pictures]))


def labels(pictures: Sequence[Picture]) -> Tensor:
    """Their class indices ``(B,)``."""
    return torch.tensor([picture.sample.label for picture in pictures])


def lacking(cells: Sequence[Cell], batch: Sequence[Picture], *missing: Missing) -> list[Cell]:
    """The `cells` that any image of the batch lacks."""
    wanted = set().union(*(m.get(p.sample.image_id, set()) for p in batch for m in missing))
    return [cell for cell in cells if cell in wanted]


def unsaved_maps(job: Job) -> Missing:
    """The maps that were asked for as files and are not there yet."""
    if not job.save_maps:
        return {}
    return {
        s.image_id: {c for c in job.cells if not _file(job, s, c).is_file()} for s in job.samples
    }


def _file(job: Job, sample: Sample, cell: Cell) -> Path:
    """The file of a map that was asked for."""
    return saved_maps.place(job.out / "maps", job.dataset, sample, cell, job.save_maps)


def measure(
    job: Job, grade: Grade, samples: Sequence[Any], missing: Missing, writer: Writer, tick: Tick
) -> None:
    """Make the maps of the `missing` cells of each sample, and write what `grade` says of them.

    And what the job's measures say, of the cells that they lack. `grade` gets a picture, its uint8
    grid map by cell, its logits and the protocol, in a worker.
    """
    unsaved, unmeasured = unsaved_maps(job), job.unmeasured()
    work = Grading(grade, job.protocol, job.measures)

    def make(batch: list[Picture], padded: list[Picture]) -> tuple[dict[Cell, np.ndarray], Any]:
        # Where only nulls are missing, any cell: the network's answer is in their records too.
        left = missing, unsaved, *unmeasured.values()
        cells = lacking(job.cells, batch, *left) or job.plan.cells[:1]
        return image_maps(job.plan, stacked(padded), labels(padded), cells, len(batch))

    def shown() -> Iterator[Shown]:
        for batch, (grids, logits) in made(job, samples, make, tick):
            for i, picture in enumerate(batch):
                name, side = picture.sample.image_id, job.plan.view.grid
                blind = {cell: nulls.grid(cell.method, name, side) for cell in job.nulls}
                maps = {cell: grid[i] for cell, grid in grids.items()}
                files = {c: _file(job, picture.sample, c) for c in unsaved.get(name, ())}
                kinds = {kind: frozenset(of.get(name, ())) for kind, of in unmeasured.items()}
                cells = frozenset(missing.get(name, ()))
                yield Shown(picture, maps | blind, logits[i], cells, kinds, files)

    with worked(job, work, lambda item: item.picture.sample) as graded:
        for rows, further in job.skips.sound(graded(shown(), 2 * job.plan.batch), tick):
            writer.add(rows, further)
            tick()
