"""A run's outcomes, per cell and metric a number, and paired tests between cells.

A task's outcomes are frames keyed as records, a column a metric. A boolean column is a share of
images, a float one a mean (in the metric's unit); what is missing in a row does not count. Where a
number is not a mean over images, the column holds each image's counts, and the metric says what
their sum means.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from camx.evaluators import confusion, stats
from camx.evaluators.records import CELL
from camx.evaluators.tasks import Metric, Task
from camx.evaluators.types import Cell

Outcomes = dict[Cell, list[pd.DataFrame]]
Side = Sequence[pd.Series]  # of a comparison: each cell's outcomes by image
INDEX = [*CELL, "metric"]


def outcomes(run: Path, task: Task) -> Outcomes:
    """The run's outcomes: each cell's frames, their rows by image, a column a metric."""
    by_cell: Outcomes = {}
    for frame in task.outcomes(run):
        for key, group in frame.groupby(CELL, sort=False):
            columns = group.set_index("image_id").drop(columns=CELL)
            by_cell.setdefault(Cell.of(*map(str, key)), []).append(columns)
    return by_cell


def numbers(outcomes: Outcomes, task: Task) -> pd.DataFrame:
    """Index (method, layer, variant, metric); columns value, low, high (95 %), n images."""
    rows = {}
    for cell, frames in outcomes.items():
        for frame in frames:
            for metric in (m for m in frame if m in task.metrics):
                values = _held(frame, metric)
                if len(values):
                    rows[(*cell.key, metric)] = _describe(values, task.metrics[metric])
    lines = [(*key, *row) for key, row in rows.items()]
    columns = [*INDEX, "value", "low", "high", "n"]
    return pd.DataFrame(lines, columns=columns).set_index(INDEX)


def value(outcomes: pd.Series, metric: Metric) -> float:
    """The number that one cell's outcomes of a metric make."""
    if metric.by_class:
        return stats.describe_by_class(np.stack(outcomes.to_list()), metric.by_class)[0]
    if metric.counts:
        return metric.counts(np.stack(outcomes.to_list()).sum(0))
    return float(outcomes.astype(float).mean()) * (100 if are_hits(outcomes) else 1)


def are_hits(outcomes: pd.Series) -> bool:
    return pd.api.types.is_bool_dtype(outcomes)


def _describe(values: pd.Series, metric: Metric) -> tuple[float, float, float, int]:
    if metric.by_class:
        return stats.describe_by_class(np.stack(values.to_list()), metric.by_class)
    if metric.counts is confusion.mean:
        return stats.describe_classes(np.stack(values.to_list()), metric.counts)
    if metric.counts:
        return stats.describe_counts(np.stack(values.to_list()), metric.counts)
    return stats.describe(values.to_numpy(bool if are_hits(values) else float))


def _held(frame: pd.DataFrame, metric: str) -> pd.Series:
    """A metric's outcomes by image without what is missing; hits as bool, whatever held them."""
    return frame[metric].dropna().infer_objects()


def of_cell(outcomes: Outcomes, cell: Cell, metric: str) -> pd.Series:
    """One cell's outcomes of a metric by image; empty if it was not measured."""
    columns = (_held(frame, metric) for frame in outcomes.get(cell, []) if metric in frame)
    return next(columns, pd.Series(dtype=float))


def contrast(
    more: Side, less: Side, seed: int = 0, draws: int = 2000, metric: Metric | None = None
) -> stats.Paired | None:
    """Is the sum of `more` larger than the sum of `less`, on the images that all have?

    None if they share none. Two cells' hits are compared by the exact McNemar test, two cells'
    counts (the `metric` says what their sum means) by the bootstrap of the images, or a mean over
    classes by the jackknife, everything else by sign flips of each image's difference. Of hits, the
    interval is `stats.matched_interval`.
    """
    shared = more[0].index
    for series in (*more[1:], *less):
        shared = shared.intersection(series.index)
    if shared.empty:
        return None
    sides = left, right = [[s.loc[shared] for s in side] for side in (more, less)]
    single = len(left) == len(right) == 1
    if metric and (metric.counts or metric.by_class):
        if not single:
            raise ValueError("counts are compared one cell with one other")
        a, b = (np.stack(side[0].to_list()) for side in sides)
        return _of_counts(a, b, metric, seed, draws)
    hits = all(are_hits(series) for side in sides for series in side)
    if single and hits:
        return stats.mcnemar(left[0].to_numpy(bool), right[0].to_numpy(bool))
    a, b = (sum(s.to_numpy(float) * (100 if are_hits(s) else 1) for s in side) for side in sides)
    test = stats.sign_flip(a, b, seed, draws)
    if not hits:
        return test
    low, high = stats.matched_interval(np.round((a - b) / 100).astype(int))
    return replace(test, ci_low=low, ci_high=high)


def _of_counts(a: np.ndarray, b: np.ndarray, metric: Metric, seed: int, draws: int) -> stats.Paired:
    if metric.by_class:
        return stats.paired_by_class(a, b, metric.by_class)
    assert metric.counts, "a mean over images has none"
    if metric.counts is confusion.mean:
        return stats.paired_classes(a, b, metric.counts)
    return stats.paired_bootstrap(a, b, metric.counts, seed, draws)
