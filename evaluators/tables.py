"""Tables from records: each measured cell beside the paper's value. A cell that was not run stays empty."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from camcore.variants import canonical
from evaluators import localize, records, stats
from evaluators.protocols import parse_yaml, read_text
from evaluators.types import Cell

_FOLDER = resources.files("configs") / "tables"
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII")
METRICS = {"localize": (*localize.METRICS, "degenerate")}  # by the command that measures them
COLUMNS = ["table", "row", "metric", "column", "paper", "measured", "ci_low", "ci_high", "delta", "n", "run"]


@dataclass(frozen=True)
class Entry:
    """One number of a table: where it stands, the paper's value (or None), and the cell that measures it.

    `quoted` says whose number the paper's is, where it is not its own. `printed` is whether the paper has
    such a number; the others go to ``cells.csv`` only.
    """

    table: str
    row: str
    metric: str
    column: str
    paper: float | None
    command: str
    cell: Cell | None
    quoted: str = ""
    printed: bool = True


@dataclass(frozen=True)
class Table:
    """A declarative table: its `name` (the file's), title, source and entries in the paper's order."""

    name: str
    title: str
    source: str
    command: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Measured:
    """One run reduced: its folder, its description, and per cell each metric in percent."""

    folder: Path
    description: dict[str, Any]
    numbers: pd.DataFrame

    @property
    def data(self) -> dict[str, Any]:
        """The data set's name, root and fingerprint."""
        return self.description["data"] | self.description["dataset"]

    @property
    def newest(self) -> str:
        return max(i["start"] for i in self.description["invocations"])


def names() -> list[str]:
    """The shipped tables, in the paper's order."""
    found = {Path(e.name).stem for e in _FOLDER.iterdir() if e.name.endswith(".yaml")}
    return sorted(found, key=lambda n: (ROMAN.index(n) if n in ROMAN else len(ROMAN), n))


def load(name: str) -> Table:
    """Table `name`, or the user's own ``FILE.yaml``. Raises `ValueError` saying what is wrong in which row."""
    if name.endswith((".yaml", ".yml")):
        text, origin = read_text(name, "table"), name
    elif name in names():
        text, origin = (_FOLDER / f"{name}.yaml").read_text(), f"table {name}"
    else:
        raise ValueError(f"unknown table {name!r}; known: {', '.join(names())} (or FILE.yaml)")
    content = parse_yaml(text, origin)
    needed = ("title", "source", "command", "metrics", "columns", "rows")
    missing = [k for k in needed if not isinstance(content, dict) or k not in content]
    if missing:
        raise ValueError(f"{origin}: {missing[0]!r} is missing; a table needs {', '.join(needed)}")
    if content["command"] not in METRICS:
        raise ValueError(f"{origin}: command is {content['command']!r}; accepted: {', '.join(METRICS)}")
    known = METRICS[content["command"]]
    for metric in [*content["metrics"], *content.get("also", [])]:
        if metric not in known:
            raise ValueError(f"{origin}: unknown metric {metric!r}; known: {', '.join(known)}")
    stem = Path(name).stem
    entries = tuple(entry for row in content["rows"] for entry in _entries(stem, content, row, origin))
    return Table(stem, content["title"], content["source"], content["command"], entries)


def _entries(name: str, content: dict[str, Any], row: dict[str, Any], origin: str) -> list[Entry]:
    found = []
    quoted = str(row.get("quoted", ""))
    for metric in [*content["metrics"], *content.get("also", [])]:
        values = row.get(metric, [None] * len(content["columns"]))
        if len(values) != len(content["columns"]):
            raise ValueError(f"{origin}: row {row.get('row')!r} has {len(values)} values of {metric}, not {len(content['columns'])}")
        for (column, part), paper in zip(content["columns"].items(), values):
            if not isinstance(part, dict | None) or not isinstance(row.get("cell"), dict | None):
                raise ValueError(f"{origin}: row {row.get('row')!r}, column {column!r}: expected a mapping such as {{layer: S5}}")
            spec = {"variant": "", **(part or {}), **(row.get("cell") or {})}
            if strange := set(spec) - set(Cell._fields):
                raise ValueError(f"{origin}: row {row.get('row')!r}: unknown {min(strange)!r}; a cell has {', '.join(Cell._fields)}")
            cell = _cell(spec, origin) if {"method", "layer"} <= set(spec) else None
            if cell or paper is not None:
                printed = metric in content["metrics"]
                found.append(Entry(name, str(row["row"]), metric, str(column), paper, content["command"], cell, quoted, printed))
    return found


def _cell(spec: dict[str, Any], origin: str) -> Cell:
    """The cell as records name it. Raises `ValueError` for a key or a variant that means nothing."""
    try:
        return Cell(str(spec["method"]), str(spec["layer"]), canonical(str(spec["layer"]), str(spec["variant"])))
    except ValueError as error:
        raise ValueError(f"{origin}: {error}") from None


def measured(runs: Path, command: str) -> list[Measured]:
    """Every run of `command` below `runs` that has records, reduced; the newest first."""
    found = []
    for folder, description in records.find(runs):
        if description["command"] == command and len(frame := records.read(folder)):
            found.append(Measured(folder, description, localize.reduce(frame)))
    found.sort(key=lambda m: m.newest, reverse=True)
    return found


def one_data_set(found: Sequence[Measured], data: str | None) -> list[Measured]:
    """Only the runs on one data set: `data` (its name or folder), or else that of the newest run."""
    if not found:
        return []
    if data is None:
        chosen = max(found, key=lambda m: m.newest).data["fingerprint"]
        return [m for m in found if m.data["fingerprint"] == chosen]
    kept = [m for m in found if data in (m.data["name"], m.data["root"], m.data["fingerprint"])]
    if not kept:
        known = ", ".join(sorted({m.data["name"] for m in found}))
        raise ValueError(f"no run on data {data!r}; the runs are on: {known}")
    return kept


def fill(entry: Entry, found: Sequence[Measured]) -> dict[str, Any]:
    """The entry as a row of ``cells.csv``, measured by one run: `found` are the candidates, the newest first.

    Preferred is the unchanged ``paper`` protocol, then the run that has most images in this cell.
    """
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"table": entry.table, "row": entry.row, "metric": entry.metric, "column": entry.column, "paper": entry.paper}
    holding = [run for run in found if entry.cell is not None and entry.cell in run.numbers.index]
    if holding:
        run = min(holding, key=lambda r: (r.description["protocol"]["name"] != "paper", -r.numbers.loc[entry.cell, "n"]))
        numbers = run.numbers.loc[entry.cell]
        value, n = float(numbers[entry.metric]), int(numbers["n"])
        low, high = stats.share_interval(value, n)
        delta = None if entry.paper is None else value - entry.paper
        row |= {"measured": value, "ci_low": low, "ci_high": high, "delta": delta, "n": n, "run": str(run.folder)}
    return row


def cells(tables: Sequence[Table], runs: Path, data: str | None = None) -> pd.DataFrame:
    """Every entry of `tables` as a row, columns `COLUMNS`, percent."""
    by_command = {c: one_data_set(measured(runs, c), data) for c in {t.command for t in tables}}
    rows = [fill(entry, by_command[table.command]) for table in tables for entry in table.entries]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n": "Int64"})


def printed(table: Table, filled: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``cells.csv`` that the paper's table prints."""
    metrics = {entry.metric for entry in table.entries if entry.printed}
    return filled[(filled["table"] == table.name) & filled["metric"].isin(metrics)]


def layout(table: Table, filled: pd.DataFrame) -> pd.DataFrame:
    """The table as the paper prints it: a line per row and metric, our value and the paper's per column."""
    own = printed(table, filled)
    order = list(dict.fromkeys(own["column"]))
    quoted = {entry.row: entry.quoted for entry in table.entries}
    lines = []
    for (row, metric), group in own.groupby(["row", "metric"], sort=False):
        by_column = group.set_index("column")
        line = {"row": row, "metric": metric}
        if any(quoted.values()):
            line["quoted"] = quoted[row]
        line |= {column or "measured": by_column["measured"].get(column) for column in order}
        line |= {f"{column} (paper)" if column else "paper": by_column["paper"].get(column) for column in order}
        lines.append(line)
    return pd.DataFrame(lines)


def file_name(table: Table) -> str:
    """``table_01.csv`` for Table I; a user's own table keeps its name."""
    return f"table_{ROMAN.index(table.name) + 1:02d}.csv" if table.name in ROMAN else f"table_{table.name}.csv"


def write(tables: Sequence[Table], filled: pd.DataFrame, out: Path) -> list[Path]:
    """Write ``cells.csv`` and each table's CSV below `out`, rounded to two decimals as in the paper."""
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / "cells.csv"]
    filled.round(dict.fromkeys(("measured", "ci_low", "ci_high", "delta"), 4)).to_csv(paths[0], index=False)
    for table in tables:
        paths.append(out / file_name(table))
        layout(table, filled).round(2).to_csv(paths[-1], index=False)
    return paths
