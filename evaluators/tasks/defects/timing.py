"""How fast maps are made: forward, backward and map, as the paper times it (section III-C)."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import torch
from torch import Tensor

from camx.evaluators.files import write_bytes
from camx.evaluators.grids import Plan, grids
from camx.evaluators.loop import Measurement, Tick, decode, stacked
from camx.evaluators.records import CELL
from camx.evaluators.tasks.defects import TIMING, Options, Protocol
from camx.evaluators.types import Cell

WARM_UP = 10
BATCHES = 10  # timed batches of the throughput, at most


@dataclass(frozen=True)
class Timing:
    """How long one iteration took: a row of ``timing.parquet``. `images` were shown at once."""

    method: str
    layer: str
    variant: str
    iteration: int
    images: int
    seconds: float
    device: str


def clock(job: Measurement[Protocol, Options], progress: Callable[..., Any]) -> None:
    """Time the cells of a measurement that were not timed on this device before."""
    plan, iterations = job.plan, job.options.iterations
    held = timed(job.out, plan.device, iterations, plan.batch)
    cells = tuple(cell for cell in plan.cells if cell not in held)
    if not cells:
        return
    sample = next((s for s in job.samples if s.image_id not in job.skips.rows), None)
    if sample is None:
        return
    image = stacked([decode(sample, (plan.view.grid,))])[0]
    turns = sum(warm + keep for _, _, warm, keep in _turns(plan, iterations))
    with progress(turns, 0, "timing") as bar:
        part = dataclasses.replace(plan, cells=cells)
        save(job.out, measure(part, cells, image, iterations, bar.update))


def once(plan: Plan, cell: Cell, images: Tensor, targets: Tensor) -> float:
    """Seconds from squashed images to a cell's maps, the device's queue empty at both ends."""
    wait = torch.cuda.synchronize if plan.device.startswith("cuda") else lambda _device: None
    wait(plan.device)
    start = time.perf_counter()
    grids(plan, images, targets, [cell], len(images))
    wait(plan.device)
    return time.perf_counter() - start


def _turns(plan: Plan, iterations: int) -> list[tuple[int, Plan, int, int]]:
    """Images at once, the plan that shows so many, iterations that warm up, and those timed."""
    one = dataclasses.replace(plan, batch_size=plan.view.crops)
    turns = [(1, one, WARM_UP, iterations)]
    if plan.batch > 1:
        turns += [(plan.batch, plan, min(2, iterations), min(BATCHES, iterations))]
    return turns


def measure(
    plan: Plan, cells: Sequence[Cell], image: Tensor, iterations: int, tick: Tick = lambda: None
) -> list[Timing]:
    """`iterations` of one image a cell, then of batches, at most ten; cells take turns, so noise
    hits all.

    ``image (3,g,g) uint8`` is shown, class 1 asked about. The first iterations only warm up.
    """
    images = image[None].to(plan.device)
    timings = []
    for count, turn, warm, keep in _turns(plan, iterations):
        shown = images.expand(count, -1, -1, -1).contiguous()
        targets = torch.ones(count, dtype=torch.long)
        for iteration in range(-warm, keep):
            for cell in cells:
                seconds = once(turn, cell, shown, targets)
                if iteration >= 0:
                    timings.append(Timing(*cell.key, iteration, count, seconds, plan.device))
            tick()
    return timings


def timed(run: Path, device: str, iterations: int, batch: int) -> list[Cell]:
    """The cells of ``timing.parquet`` for this device, so many iterations and this batch."""
    if not (run / TIMING).is_file():
        return []
    frame = pq.read_table(run / TIMING).to_pandas()
    groups = frame[frame["device"] == device].groupby(CELL)["images"]
    enough = [key for key, n in groups if (n == 1).sum() >= iterations and batch in set(n)]
    return [Cell.of(*map(str, key)) for key in enough]


def save(run: Path, timings: Sequence[Timing]) -> None:
    """Add to the run's ``timing.parquet``, whole or not at all; a cell's older timings give way."""
    frame, path = pd.DataFrame([vars(t) for t in timings]), run / TIMING
    if path.is_file():
        old = pq.read_table(path).to_pandas()
        timed_again = set(frame[CELL].itertuples(index=False, name=None))
        kept = ~old[CELL].apply(tuple, axis=1).isin(timed_again)
        frame = pd.concat([old[kept], frame], ignore_index=True)
    write_bytes(path, frame.to_parquet())
