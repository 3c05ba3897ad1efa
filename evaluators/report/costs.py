"""What a map costs: milliseconds an image by cell, measured on the machine that writes the page."""

import statistics
import time
from collections.abc import Callable, Sequence

import torch

from camx.evaluators.grids import Plan
from camx.evaluators.loop import decode, stacked
from camx.evaluators.tasks.defects import timing
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
            seconds = timing.once(plan, cell, image, target)
            if turn:
                taken[cell].append(seconds)
        tick()
        if turn and time.perf_counter() - began > SECONDS:
            break
    return {cell: 1000 * statistics.median(seconds) for cell, seconds in taken.items()}
