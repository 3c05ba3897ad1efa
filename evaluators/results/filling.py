"""Tables filled from runs: each cell beside the paper's value, empty where it was not run."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from camx.evaluators.files import read_csv, write_text
from camx.evaluators.results.runs import Measured, by_task
from camx.evaluators.results.tables import Entry, Table, file_name, load
from camx.evaluators.types import Cell

COLUMNS = [
    "table", "row", "metric", "column", "paper", "measured", "ci_low", "ci_high", "delta", "n",
    "run",
]  # fmt: skip
ENTERED = "entered.csv"  # below the runs: what only a test server could tell
Place = tuple[str, str, str, str]  # table, row, metric, column


def place(entry: Entry) -> Place:
    return entry.table, entry.row, entry.metric, entry.column


def _row(table: Table, entry: Entry, candidates: Sequence[Measured]) -> dict[str, Any]:
    """The entry as a row of ``cells.csv``, measured by one run of the candidates, newest first.

    Preferred is one of the table's networks, the unchanged ``paper`` protocol, then the run that
    has most images in this cell.
    """
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {**dict(zip(COLUMNS, place(entry))), "paper": entry.paper}
    cell = entry.cell
    if cell is None:
        return row
    key = (*cell.key, entry.metric)
    suiting = [measured for measured in candidates if entry.suits(measured.run.model)]
    holding = [measured for measured in suiting if key in measured.numbers.index]
    if holding:
        best = min(holding, key=lambda m: (not table.comparable(m.run), m.rank(cell, entry.metric)))
        value, low, high, n = best.numbers.loc[key]
        row |= {"measured": value, "ci_low": low, "ci_high": high, "delta": _delta(entry, value)}
        row |= {"n": int(n), "run": str(best.folder)}
    return row


def _delta(entry: Entry, value: float) -> float | None:
    return None if entry.paper is None else value - entry.paper


def entered(runs: Path) -> dict[Place, float]:
    """The numbers entered by hand."""
    path = runs / ENTERED
    numbers: dict[Place, float] = {}
    if not os.path.lexists(path):
        return numbers
    columns = ("table", "row", "metric", "column", "measured")
    for line, (*where, measured) in read_csv(path, columns, "list of numbers"):
        try:
            value = float(measured)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 100:
            raise ValueError(
                f"{path}, line {line}: {measured!r} is no percentage; accepted: 0 to 100"
            )
        numbers[where[0], where[1], where[2], where[3]] = value
    return numbers


def enter(runs: Path, name: str, row: str, column: str, value: float) -> None:
    """Keep a number of a table that no command measures. `ValueError` saying what it takes."""
    table = load(name)
    free = [e for e in table.entries if e.cell is None and not e.quoted and e.printed]
    entry = next((e for e in free if (e.row, e.column) == (row, column)), None)
    if entry is None:
        takes = "; ".join(f"{e.row!r} {e.column}" for e in free) or "none"
        what = f"table {name} has no number to enter for {row!r} {column!r}"
        raise ValueError(f"{what}; it takes: {takes}")
    if not 0 <= value <= 100:
        raise ValueError(f"{value} is no percentage; accepted: 0 to 100")
    values = entered(runs) | {place(entry): value}
    rows = [(*key, number) for key, number in values.items()]
    frame = pd.DataFrame(rows, columns=["table", "row", "metric", "column", "measured"])
    write_text(runs / ENTERED, frame.to_csv(index=False))


def _by_hand(row: dict[str, Any], entry: Entry, numbers: Mapping[Place, float]) -> dict[str, Any]:
    """The row with a number entered by hand, marked as such, where no command measures one."""
    value = numbers.get(place(entry))
    if entry.cell is not None or value is None:
        return row
    return {**row, "measured": value, "delta": _delta(entry, value), "run": "entered"}


def cells(tables: Sequence[Table], runs: Path, data: str | None = None) -> pd.DataFrame:
    """Every entry of `tables` as a row, from the runs below `runs` and what was entered by hand."""
    wanted = (entry.task for table in tables for entry in table.entries)
    return fill(tables, by_task(wanted, runs, data), entered(runs))


def fill(
    tables: Sequence[Table],
    candidates: Mapping[str, Sequence[Measured]],
    numbers: Mapping[Place, float] = MappingProxyType({}),
) -> pd.DataFrame:
    """Every entry of `tables` as a row, columns `COLUMNS`, percent.

    `candidates` are runs by their task's name, newest first, and `numbers` were entered by hand.
    """
    rows = [row for table in tables for row in _lines(table, candidates, numbers)]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n": "Int64"})


def _lines(
    table: Table, candidates: Mapping[str, Sequence[Measured]], numbers: Mapping[Place, float]
) -> list[dict[str, Any]]:
    """A table's rows. The paper's values stand beside runs of its kind of data and network only.

    Where all that is measured is of another kind, no value of the paper's stands in it, and no row
    that the paper quotes.
    """
    entries = list(table.entries)
    measured = (_row(table, e, candidates.get(e.task.name, ())) for e in entries)
    rows = [_by_hand(row, e, numbers) for row, e in zip(measured, entries)]
    if any(row["n"] for row in rows):
        blind = _nulls(table, candidates)
        rows += [_row(table, entry, candidates[entry.task.name]) for entry in blind]
        entries += blind
    of_kind = {m.folder: table.comparable(m.run) for group in candidates.values() for m in group}
    runs = {row["run"] for row in rows} - {None, "entered"}
    another = {run for run in runs if not of_kind[Path(run)]}
    if another and another == runs:
        another |= {None, "entered"}
        rows = [row for row, e in zip(rows, entries) if row["run"] or not e.quoted]
    strange = {"paper": None, "delta": None}
    return [row | strange if row["run"] in another else row for row in rows]


def _nulls(table: Table, candidates: Mapping[str, Sequence[Measured]]) -> list[Entry]:
    """Further rows: each null measured, the same in every column, which the paper does not have."""
    measured = [e for e in table.entries if e.cell]
    places = dict.fromkeys((e.metric, e.column, e.task.name) for e in measured)
    first = {(e.metric, e.column, e.task.name): e for e in reversed(measured)}
    rows = []
    for name in dict.fromkeys(name for e in measured for name in e.task.nulls):
        for place in (p for p in places if name in first[p].task.nulls):
            entry, key = first[place], (*Cell(name).key, place[0])
            if any(key in m.numbers.index for m in candidates.get(entry.task.name, ())):
                cell = Cell(name)
                rows.append(replace(entry, row=name, paper=None, cell=cell, quoted="", networks=()))
    return rows


def printed(table: Table, filled: pd.DataFrame, further: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of ``cells.csv`` that the paper's table prints, and those of `further` metrics."""
    metrics = {entry.metric for entry in table.entries if entry.printed} | set(further)
    return filled[(filled["table"] == table.name) & filled["metric"].isin(metrics)]


def layout(table: Table, filled: pd.DataFrame) -> pd.DataFrame:
    """The table as printed: a line per row and metric, ours and the paper's per column."""
    rows = printed(table, filled)
    order = list(dict.fromkeys(rows["column"]))
    quoted = {entry.row: entry.quoted for entry in table.entries}
    lines = []
    for (row, metric), group in rows.groupby(["row", "metric"], sort=False):
        by_column = group.set_index("column")
        line = {"row": row, "metric": metric}
        if any(quoted.values()):
            line["quoted"] = quoted.get(row, "")
        line |= {c or "measured": by_column["measured"].get(c) for c in order}
        line |= {f"{c} (paper)" if c else "paper": by_column["paper"].get(c) for c in order}
        lines.append(line)
    return pd.DataFrame(lines)


def write(tables: Sequence[Table], filled: pd.DataFrame, out: Path) -> list[Path]:
    """Write ``cells.csv`` and each table's CSV below `out`, those with two decimals."""
    digits = dict.fromkeys(("measured", "ci_low", "ci_high", "delta"), 4)
    files = {out / "cells.csv": filled.round(digits)}
    files |= {out / file_name(table): layout(table, filled).round(2) for table in tables}
    for path, frame in files.items():
        write_text(path, frame.to_csv(index=False))
    return list(files)
