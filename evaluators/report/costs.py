"""What a map costs: milliseconds an image by cell, measured on the machine that writes the page."""

import statistics
import time
from collections.abc import Callable, Sequence

import torch

from camx.evaluators.grids import Plan, grids
from camx.evaluators.loop import decode, stacked
from camx.evaluators.types import Cell, Sample

TURNS = 5
SECONDS = 5.0  # after which no further turn begins


def measured(
    plan: Plan, sample: Sample, cells: Sequence[Cell], tick: Callable[[], object] = lambda: None
) -> dict[Cell, float]:
    """The median over `TURNS` of an image's forward, backward and map; cells take turns.

    The first turn warms up and does not count.
    """
    image = stacked([decode(sample, (plan.view.grid,))]).to(plan.device)
    target = torch.tensor([sample.label])
    taken: dict[Cell, list[float]] = {cell: [] for cell in cells}
    began = time.perf_counter()
    for turn in range(TURNS + 1):
        for cell in cells:
            seconds = _once(plan, image, target, cell)
            if turn:
                taken[cell].append(seconds)
        tick()
        if turn and time.perf_counter() - began > SECONDS:
            break
    return {cell: 1000 * statistics.median(seconds) for cell, seconds in taken.items()}


def _once(plan: Plan, image: torch.Tensor, target: torch.Tensor, cell: Cell) -> float:
    """Seconds from a squashed image to a cell's map, the device's queue empty at both ends."""
    wait = torch.cuda.synchronize if plan.device.startswith("cuda") else lambda _device: None
    wait(plan.device)
    start = time.perf_counter()
    grids(plan, image, target, [cell], 1)
    wait(plan.device)
    return time.perf_counter() - start
