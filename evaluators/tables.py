"""Tables from records: each measured cell beside the paper's value. A cell that was not run stays empty."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from evaluators import measures, records
from evaluators.protocols import parse_yaml, read_text
from evaluators.types import Cell

_FOLDER = resources.files("configs") / "tables"
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII")
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
    """A declarative table: its `name` (the file's), title, source and entries in the paper's order.

    `shown` are metrics that the terminal shows though the paper does not print them.
    """

    name: str
    title: str
    source: str
    command: str
    entries: tuple[Entry, ...]
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """One run reduced: its folder, its description, and the numbers of each cell and metric (`measures.numbers`)."""

    folder: Path
    description: dict[str, Any]
    numbers: pd.DataFrame

    @property
    def data(self) -> dict[str, Any]:
        """The data set's name, root and fingerprint."""
        return self.description["data"] | self.description["dataset"]

    @property
    def cells(self) -> list[Cell]:
        return list(dict.fromkeys(Cell(*map(str, key[:3])) for key in self.numbers.index))

    def rank(self, cell: Cell, metric: str | None = None) -> tuple[bool, int]:
        """The order in which runs are preferred: the unchanged ``paper`` protocol, then most images in the cell."""
        counts = [n for key, n in self.numbers["n"].items() if key[:3] == cell and metric in (None, key[3])]
        return self.description["protocol"]["name"] != "paper", -int(max(counts))

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
    if content["command"] not in measures.METRICS:
        raise ValueError(f"{origin}: command is {content['command']!r}; accepted: {', '.join(measures.METRICS)}")
    for metric in [*content["metrics"], *content.get("also", []), *content.get("shown", [])]:
        known = measures.METRICS.get(_command(content, metric), ())
        if metric not in known:
            raise ValueError(f"{origin}: unknown metric {metric!r}; known: {', '.join(known)}")
    stem = Path(name).stem
    entries = tuple(entry for row in content["rows"] for entry in _entries(stem, content, row, origin))
    return Table(stem, content["title"], content["source"], content["command"], entries, tuple(content.get("shown", ())))


def _command(content: dict[str, Any], metric: str) -> str:
    """The command that measures a metric of the table: its own, unless ``from`` says another."""
    return str(content.get("from", {}).get(metric, content["command"]))


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
            command = _command(content, metric)
            # A column without anything, such as a test server's, is measured by no command.
            cell = _cell(spec, command, origin) if {"method", "layer"} <= set(spec) and part is not None else None
            if cell or paper is not None:
                printed = metric in content["metrics"]
                found.append(Entry(name, str(row["row"]), metric, str(column), paper, command, cell, quoted, printed))
    return found


def _cell(spec: dict[str, Any], command: str, origin: str) -> Cell:
    """The cell as records name it. Raises `ValueError` for a key or a variant that means nothing."""
    try:
        cell: Cell = measures.EVALUATORS[command].canonical(Cell(str(spec["method"]), str(spec["layer"]), str(spec["variant"])))
        return cell
    except ValueError as error:
        raise ValueError(f"{origin}: {error}") from None


def measured(runs: Path, command: str) -> list[Measured]:
    """Every run of `command` below `runs` that has records, reduced; the newest first."""
    found = []
    for folder, description in records.find(runs):
        if description["command"] == command and (frames := measures.outcomes(folder, command)):
            found.append(Measured(folder, description, measures.numbers(frames, command)))
    found.sort(key=lambda m: m.newest, reverse=True)
    return found


def by_command(commands: Iterable[str], runs: Path, data: str | None = None) -> dict[str, list[Measured]]:
    """The runs of each command, newest first, those of one task on one data set: `data` (name or folder), or the newest run's.

    Raises `ValueError` when runs were found, but none on `data`.
    """
    found = {command: measured(runs, command) for command in dict.fromkeys(commands)}
    known = {m.data["name"] for of_command in found.values() for m in of_command}
    chosen = {}
    for command, of_command in found.items():
        task = [m for c, others in found.items() if measures.TASKS[c] == measures.TASKS[command] for m in others]
        wanted = {data} if data is not None else {max(task, key=lambda m: m.newest).data["fingerprint"]} if task else set()
        chosen[command] = [m for m in of_command if {m.data["fingerprint"], m.data["name"], m.data["root"]} & wanted]
    if data is not None and known and not any(chosen.values()):
        raise ValueError(f"no run on data {data!r}; the runs are on: {', '.join(sorted(known))}")
    return chosen


def fill(entry: Entry, found: Sequence[Measured]) -> dict[str, Any]:
    """The entry as a row of ``cells.csv``, measured by one run: `found` are the candidates, the newest first.

    Preferred is the unchanged ``paper`` protocol, then the run that has most images in this cell.
    """
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"table": entry.table, "row": entry.row, "metric": entry.metric, "column": entry.column, "paper": entry.paper}
    holding = [run for run in found if entry.cell is not None and (*entry.cell, entry.metric) in run.numbers.index]
    if holding:
        run = min(holding, key=lambda r: r.rank(entry.cell, entry.metric))  # type: ignore[arg-type]  # it has a cell
        value, low, high, n = run.numbers.loc[(*entry.cell, entry.metric)]  # type: ignore[misc]
        delta = None if entry.paper is None else value - entry.paper
        row |= {"measured": value, "ci_low": low, "ci_high": high, "delta": delta, "n": int(n), "run": str(run.folder)}
    return row


ENTERED = "entered.csv"  # below the runs: what only a test server could tell


def entered(runs: Path) -> dict[tuple[str, str, str, str], float]:
    """``{(table, row, metric, column): value}`` of the numbers entered by hand."""
    path = runs / ENTERED
    if not path.is_file():
        return {}
    frame = pd.read_csv(path, keep_default_na=False)
    return {(r.table, r.row, r.metric, r.column): float(r.measured) for r in frame.itertuples()}


def enter(runs: Path, name: str, row: str, column: str, value: float) -> None:
    """Keep a number of table `name` that no command measures. `ValueError` naming what is accepted."""
    table = load(name)
    free = [e for e in table.entries if e.cell is None and not e.quoted and e.printed]
    chosen = [e for e in free if (e.row, e.column) == (row, column)]
    if not chosen:
        known = "; ".join(f"{e.row!r} {e.column}" for e in free) or "none"
        raise ValueError(f"table {name} has no number to enter for {row!r} {column!r}; it takes: {known}")
    if not 0 <= value <= 100:
        raise ValueError(f"{value} is no percentage; accepted: 0 to 100")
    found = entered(runs) | {(table.name, row, chosen[0].metric, column): value}
    rows = [(*key, number) for key, number in found.items()]
    runs.mkdir(parents=True, exist_ok=True)
    temporary = runs / f".{ENTERED}.tmp"
    pd.DataFrame(rows, columns=["table", "row", "metric", "column", "measured"]).to_csv(temporary, index=False)
    temporary.rename(runs / ENTERED)


def _entered(row: dict[str, Any], entry: Entry, given: Mapping[tuple[str, str, str, str], float]) -> dict[str, Any]:
    """The row with a number entered by hand, marked as such, where no command measures one."""
    value = given.get((entry.table, entry.row, entry.metric, entry.column))
    if entry.cell is not None or value is None:
        return row
    return {**row, "measured": value, "delta": None if entry.paper is None else value - entry.paper, "run": "entered"}


def cells(tables: Sequence[Table], runs: Path, data: str | None = None) -> pd.DataFrame:
    """Every entry of `tables` as a row, columns `COLUMNS`, percent."""
    found = by_command((e.command for t in tables for e in t.entries), runs, data)
    given = entered(runs)
    rows = [_entered(fill(entry, found[entry.command]), entry, given) for table in tables for entry in table.entries]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n": "Int64"})


def printed(table: Table, filled: pd.DataFrame, further: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of ``cells.csv`` that the paper's table prints, and those of `further` metrics."""
    metrics = {entry.metric for entry in table.entries if entry.printed} | set(further)
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
