"""What every evaluator has in common: a run's outcomes, per cell and metric a number, and paired tests between cells.

An evaluator offers ``METRICS``, the names that tables may ask for, ``canonical(cell)``, a cell as records
name it, and ``outcomes(run)``: frames keyed as records, a column a metric. A boolean column is a share of
images, a float one a mean (in the metric's unit); what is missing in a row does not count. Where a number is
not a mean over images, the column holds each image's counts, and ``STATISTICS`` says what their sum means.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from evaluators import defects, localize, occlude, pseudo, segment, stats
from evaluators.types import Cell

EVALUATORS: dict[str, ModuleType] = {
    "localize": localize,
    "occlude": occlude,
    "defects": defects,
    "pseudo": pseudo,
    "segment": segment,
}
# Commands of one task share a data set.
TASKS = {"localize": "localization", "occlude": "localization", "defects": "defects", "pseudo": "pseudo", "segment": "segment"}
METRICS: dict[str, tuple[str, ...]] = {command: module.METRICS for command, module in EVALUATORS.items()}
Statistic = Callable[[np.ndarray], float]
Outcomes = dict[Cell, list[pd.DataFrame]]
CELL = ["method", "layer", "variant"]


def outcomes(run: Path, command: str) -> Outcomes:
    """The run's outcomes: each cell's frames, their rows by image, a column a metric."""
    found: Outcomes = {}
    for frame in EVALUATORS[command].outcomes(run):
        for key, group in frame.groupby(CELL, sort=False):
            found.setdefault(Cell(*map(str, key)), []).append(group.set_index("image_id").drop(columns=CELL))
    return found


def statistic(command: str, metric: str) -> Statistic | None:
    """What a sum of counts means, where the metric's outcomes are counts."""
    return getattr(EVALUATORS[command], "STATISTICS", {}).get(metric)


def numbers(found: Outcomes, command: str) -> pd.DataFrame:
    """Index (method, layer, variant, metric); columns value, low, high (a 95 % interval) and n images."""
    rows = {}
    for cell, frames in found.items():
        for frame in frames:
            for metric in frame:
                values = frame[metric].dropna()
                if len(values):
                    rows[(*cell, metric)] = _describe(values, statistic(command, metric))
    index = pd.MultiIndex.from_tuples(rows or [("",) * 4], names=[*CELL, "metric"])[: len(rows)]
    return pd.DataFrame(list(rows.values()), index=index, columns=["value", "low", "high", "n"])


def value(outcomes: pd.Series, command: str, metric: str) -> float:
    """The number that one cell's outcomes of a metric make."""
    means = statistic(command, metric)
    if means:
        return means(np.stack(outcomes.to_list()).sum(0))
    return float(outcomes.astype(float).mean()) * (100 if pd.api.types.is_bool_dtype(outcomes) else 1)


def _describe(values: pd.Series, statistic: Statistic | None) -> tuple[float, float, float, int]:
    if statistic:
        return stats.describe_counts(np.stack(values.to_list()), statistic)
    return stats.describe(values.to_numpy(bool if pd.api.types.is_bool_dtype(values) else float))


def of_cell(found: Outcomes, cell: Cell, metric: str) -> pd.Series:
    """One cell's outcomes of a metric by image; empty if it was not measured."""
    return next((frame[metric].dropna() for frame in found.get(cell, []) if metric in frame), pd.Series(dtype=float))


def contrast(
    more: Sequence[pd.Series], less: Sequence[pd.Series], seed: int = 0, draws: int = 2000, statistic: Statistic | None = None
) -> stats.Paired | None:
    """Is the sum of `more` larger than the sum of `less`, on the images that all have? None if they share none.

    Two cells' hits are compared by the exact McNemar test, two cells' counts by the bootstrap of the images, everything
    else by sign flips of each image's difference.
    """
    shared = more[0].index
    for series in (*more[1:], *less):
        shared = shared.intersection(series.index)
    if shared.empty:
        return None
    left, right = ([s.loc[shared] for s in side] for side in (more, less))
    if statistic:
        if len(left) + len(right) > 2:
            raise ValueError("counts are compared one cell with one other")
        return stats.paired_bootstrap(np.stack(left[0].to_list()), np.stack(right[0].to_list()), statistic, seed, draws)
    if len(left) == len(right) == 1 and pd.api.types.is_bool_dtype(left[0]) and pd.api.types.is_bool_dtype(right[0]):
        return stats.mcnemar(left[0].to_numpy(bool), right[0].to_numpy(bool), seed)
    totals = [sum(s.to_numpy(float) * (100 if pd.api.types.is_bool_dtype(s) else 1) for s in side) for side in (left, right)]
    return stats.sign_flip(totals[0], totals[1], seed, draws)
