"""A run's own table: methods by layers, metric by metric, beside nobody's numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from camx.evaluators import measures, nulls
from camx.evaluators.files import write_text
from camx.evaluators.results import tables
from camx.evaluators.results.runs import Measured
from camx.evaluators.tasks import Task
from camx.evaluators.types import Cell


def further(measured: Measured, task: Task) -> list[Cell]:
    """The cells of a run that no table of the paper's holds: all, if it is of another kind."""
    comparable = [t for t in map(tables.load, task.tables) if t.comparable(measured.run)]
    held = {entry.cell for table in comparable for entry in table.entries}
    cells = [cell for cell in measured.cells if cell.method not in nulls.NAMES]
    return [cell for cell in cells if cell not in held]


def table(measured: Measured, task: Task, cells: Sequence[Cell]) -> pd.DataFrame:
    """A line per metric, method and variant; columns of each layer, its interval's ends, and n.

    Of the `cells`, and of a measure's metrics, which no table of the paper's has, of all that the
    run holds. A null stands below the methods, the same at every layer.
    """
    every = [cell for cell in measured.cells if cell.method not in nulls.NAMES]
    judged = {metric.name for metric in measures.metrics()} & set(_metrics(measured, every))
    shown = every if judged else cells
    layers = list(dict.fromkeys(cell.layer for cell in shown))
    lines = []
    for metric in task.metrics:
        held = every if metric in judged else cells
        rows = dict.fromkeys((cell.method, cell.variant) for cell in held)
        blind = [(name, "") for name in task.nulls] if held else []
        for method, variant in [*rows, *blind]:
            line: dict[str, object] = {"metric": metric, "method": method, "variant": variant}
            for layer in layers:
                key = (*nulls.cell(method, layer, variant).key, metric)
                if key in measured.numbers.index:
                    value, low, high, n = measured.numbers.loc[key]
                    place = layer or "measured"
                    line |= {place: value, f"{place} low": low, f"{place} high": high, "n": int(n)}
            lines += [line] if "n" in line else []
    places = [layer or "measured" for layer in layers]
    ends = [f"{place} {end}" for place in places for end in ("low", "high")]
    return pd.DataFrame(lines, columns=["metric", "method", "variant", *places, *ends, "n"])


def _metrics(measured: Measured, cells: Sequence[Cell]) -> list[str]:
    """The metrics that a run has numbers of, of any of the cells."""
    keys = {cell.key for cell in cells}
    return [metric for (*key, metric) in measured.numbers.index if tuple(key) in keys]


def cell(row: Mapping[Any, Any], place: str) -> Cell:
    """The cell of a line of `table` in a column."""
    return nulls.cell(row["method"], "" if place == "measured" else place, row["variant"])


def write(frame: pd.DataFrame, measured: Measured, runs: Path, out: Path) -> Path:
    """Write ``OUT/runs/<run>.csv``, called as the run's folder below `runs`, with two decimals."""
    path = out / "runs" / f"{name(measured.folder, runs)}.csv"
    write_text(path, frame.round(2).to_csv(index=False))
    return path


def name(folder: Path, runs: Path) -> str:
    """What a run's table is called: the run's folder below `runs`."""
    parts = folder.resolve().relative_to(runs.resolve()).parts
    return "-".join(parts) or folder.resolve().name
