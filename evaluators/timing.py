"""How fast maps are made: forward, backward and map, as the paper times it (section III-C)."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import torch

from evaluators import runs
from evaluators.defects import TIMING
from evaluators.types import Cell, Timing

WARM_UP = 10
BATCHES = 10  # timed batches of the throughput


def _once(plan: runs.Plan, cell: Cell, images: torch.Tensor, targets: torch.Tensor) -> float:
    """Seconds from the squashed images to the cell's maps, the device's queue being empty before and after."""
    on_cuda = plan.device.startswith("cuda")
    if on_cuda:
        torch.cuda.synchronize(plan.device)
    start = time.perf_counter()
    runs.grids(plan, images, targets, [cell], len(images))
    if on_cuda:
        torch.cuda.synchronize(plan.device)
    return time.perf_counter() - start


def measure(
    plan: runs.Plan, cells: Sequence[Cell], image: torch.Tensor, iterations: int, tick: Callable[[], Any] = lambda: None
) -> list[Timing]:
    """`iterations` of one image a cell, then ten batches; cells take turns, so that a busy moment hits all alike.

    ``image (3,g,g) uint8`` is shown, class 1 asked about. The first ten iterations warm up and are not kept.
    """
    images = image[None].to(plan.device)
    one = dataclasses.replace(plan, batch_size=plan.view.crops)
    found = []
    turns = [(1, one, iterations)] + [(plan.batch, plan, BATCHES)] * (plan.batch > 1)
    for count, turn, keep in turns:
        shown = images.expand(count, -1, -1, -1).contiguous()
        targets = torch.ones(count, dtype=torch.long)
        warm = WARM_UP if count == 1 else 2
        for iteration in range(-warm, keep):
            for cell in cells:
                seconds = _once(turn, cell, shown, targets)
                if iteration >= 0:
                    found.append(Timing(*cell, iteration, count, seconds, plan.device))
            tick()
    return found


def held(run: Path, device: str, iterations: int, batch: int) -> list[Cell]:
    """The cells that the run's ``timing.parquet`` has for this device, with so many iterations and this batch."""
    if not (run / TIMING).is_file():
        return []
    frame = pq.read_table(run / TIMING).to_pandas()
    groups = frame[frame["device"] == device].groupby(["method", "layer", "variant"])["images"]
    return [Cell(*map(str, key)) for key, images in groups if (images == 1).sum() >= iterations and batch in set(images)]


def save(run: Path, timings: Sequence[Timing]) -> None:
    """Add to the run's ``timing.parquet``, whole or not at all; a cell's older timings give way."""
    frame, path = pd.DataFrame([vars(t) for t in timings]), run / TIMING
    if path.is_file():
        old, key = pq.read_table(path).to_pandas(), ["method", "layer", "variant"]
        kept = ~old[key].apply(tuple, axis=1).isin(set(frame[key].itertuples(index=False, name=None)))
        frame = pd.concat([old[kept], frame], ignore_index=True)
    temporary = path.with_name(f".{path.name}.tmp")
    frame.to_parquet(temporary)
    temporary.rename(path)
