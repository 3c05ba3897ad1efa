"""The loop: samples -> maps -> records, with decoding and scoring in threads beside the network.

It knows no task: what a map is worth is said by the `grade` it is given.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from camx.camcore import views
from camx.camcore.faults import NotFinite
from camx.camcore.image_files import read_image
from camx.evaluators import nulls, records, saved_maps, stopping
from camx.evaluators.grids import Missing, Plan, image_maps
from camx.evaluators.judged import Map, Truth
from camx.evaluators.measures import Measure
from camx.evaluators.records import Writer
from camx.evaluators.skips import Skips
from camx.evaluators.types import Cell, Dataset, Sample

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


@dataclass(frozen=True)
class Picture:
    """A sample decoded: its pixels ``(H,W,3) uint8`` RGB, and squashed ones, one for each side."""

    sample: Any
    pixels: np.ndarray
    squashed: tuple[np.ndarray, ...]
    _maps: dict[tuple[int, str], Map] = field(default_factory=dict, repr=False, compare=False)

    def map(self, grid: np.ndarray, interpolation: str = "cubic") -> Map:
        """A grid map of the picture, resized once for all that asks; it has to live as long."""
        key = id(grid), interpolation
        if key not in self._maps:
            self._maps[key] = Map(grid, self.size, interpolation)
        return self._maps[key]

    def forget(self, grid: np.ndarray, interpolation: str) -> None:
        """Let go of a map's forms."""
        self._maps.pop((id(grid), interpolation), None)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image."""
        return self.pixels.shape[1], self.pixels.shape[0]


Job = Measurement[Any, Any]
Grade = Callable[[Picture, dict[Cell, np.ndarray], np.ndarray, Any], Sequence[Any]]


def ahead(
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], depth: int
) -> Iterator[R]:
    """Results in order, at most `depth` of them under way or waiting.

    Where the items end with an error, the results of those before it come first.
    """
    queue: deque[Future[R]] = deque()
    submitted = (pool.submit(work, item) for item in items)
    error = _extended(queue, submitted, depth)
    try:
        while queue:
            result = queue.popleft().result()
            error = error or _extended(queue, submitted, 1)
            yield result
        if error:
            raise error
    finally:
        for future in queue:
            future.cancel()


def _extended(queue: "deque[T]", items: Iterator[T], count: int) -> Exception | None:
    """Put `count` more items into the queue; what went wrong in making one."""
    try:
        queue.extend(itertools.islice(items, count))
    except Exception as error:
        return error
    return None


def decode(sample: Any, sides: Sequence[int]) -> Picture:
    """A sample's picture, squashed to squares of `sides` pixels; its boxes cut at the edges."""
    image = read_image(sample.path)
    sample = sample.within(image.size) if isinstance(sample, Sample) else sample
    return Picture(sample, np.asarray(image), tuple(views.squash(image, side) for side in sides))


def batches(
    job: Job, samples: Sequence[Any], tick: Tick, sides: Sequence[int] = ()
) -> Iterator[list[Picture]]:
    """Batches of pictures, decoded ahead in threads; those that cannot be read are skipped.

    `sides` are those of the squashed squares; the default is the plan's grid.
    """
    cv2.setNumThreads(1)  # the pool's threads are the parallelism
    plan = job.plan
    work = job.skips.tried(partial(decode, sides=sides or (plan.view.grid,)), lambda sample: sample)
    with ThreadPoolExecutor(plan.workers) as readers:
        decoded = ahead(readers, work, stopping.until_asked(samples), 2 * plan.batch)
        pictures = job.skips.sound(decoded, tick)
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


def judged(
    job: Job, picture: Picture, grids: Mapping[Cell, np.ndarray], missing: Mapping[str, Missing]
) -> dict[str, list[Any]]:
    """What the job's measures say of an image's maps, by their kind of records.

    Of the cells that are missing of each kind, a cell after the other: the forms of a map that
    measures share are large.
    """
    truth, name = Truth(picture.sample, picture.size), picture.sample.image_id
    rows: dict[str, list[Any]] = {measure.kind: [] for measure in job.measures}
    how = getattr(job.protocol, "interpolation", "cubic")
    for cell, grid in grids.items() if rows else ():
        shown = picture.map(grid, how)
        for measure in job.measures:
            if cell in missing[measure.kind].get(name, ()):
                rows[measure.kind].append(measure.row(truth, cell, shown))
        picture.forget(grid, how)
    return rows


def measure(
    job: Job, grade: Grade, samples: Sequence[Any], missing: Missing, writer: Writer, tick: Tick
) -> None:
    """Make the maps of the `missing` cells of each sample, and write what `grade` says of them.

    And what the job's measures say, of the cells that they lack. `grade` gets a picture, its uint8
    grid map by cell, its logits and the protocol, in threads.
    """
    unsaved, unmeasured = unsaved_maps(job), job.unmeasured()

    def work(item: tuple[Picture, dict[Cell, np.ndarray], np.ndarray]) -> Any:
        picture, grids, logits = item
        sample = picture.sample
        for cell in unsaved.get(sample.image_id, ()):
            saved_maps.save(_file(job, sample, cell), picture.map(grids[cell]))
        wanted = {c: grid for c, grid in grids.items() if c in missing.get(sample.image_id, ())}
        rows = grade(picture, wanted, logits, job.protocol) if wanted else []
        return rows, judged(job, picture, grids, unmeasured)

    def make(batch: list[Picture], padded: list[Picture]) -> tuple[dict[Cell, np.ndarray], Any]:
        # Where only nulls are missing, any cell: the network's answer is in their records too.
        left = missing, unsaved, *unmeasured.values()
        cells = lacking(job.cells, batch, *left) or job.plan.cells[:1]
        return image_maps(job.plan, stacked(padded), labels(padded), cells, len(batch))

    def shown() -> Iterator[tuple[Picture, dict[Cell, np.ndarray], np.ndarray]]:
        for batch, (grids, logits) in made(job, samples, make, tick):
            for i, picture in enumerate(batch):
                name, side = picture.sample.image_id, job.plan.view.grid
                blind = {cell: nulls.grid(cell.method, name, side) for cell in job.nulls}
                maps = {cell: grid[i] for cell, grid in grids.items()}
                yield picture, maps | blind, logits[i]

    tried = job.skips.tried(work, lambda item: item[0].sample)
    with ThreadPoolExecutor(job.plan.workers) as graders:
        graded = ahead(graders, tried, shown(), 2 * job.plan.batch)
        for rows, further in job.skips.sound(graded, tick):
            writer.add(rows, further)
            tick()
