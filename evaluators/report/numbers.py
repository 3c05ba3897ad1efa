"""Tables as the page shows them: numbers beside the paper's, the best of a column, a verdict."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from camx.evaluators import nulls, stats
from camx.evaluators.report import graphs
from camx.evaluators.results import filling, layers, measures
from camx.evaluators.results.claims import ALPHA
from camx.evaluators.results.measures import Outcomes
from camx.evaluators.results.runs import Measured
from camx.evaluators.results.tables import Table
from camx.evaluators.tasks import Metric, Task
from camx.evaluators.types import Cell

DRAWS = 2000  # of sign flips


@dataclass(frozen=True)
class Number:
    """One number of a table; what is not told is None.

    key      table, row, metric and column as in ``cells.csv``, or run, method, metric, layer
    rank     ``best`` of its column, ``alike`` where a paired test does not tell it from the best,
             ``below`` where it does, or nothing where neither was tested
    p_value  of that test, corrected for the number of them in the column (Holm 1979)
    """

    key: tuple[str, ...]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    paper: float | None = None
    rank: str = ""
    p_value: float | None = None

    @property
    def beside(self) -> str:
        """Whether the paper's value is ``within`` the interval, or ours ``above`` or ``below``."""
        if self.value is None or self.paper is None or self.low is None or self.high is None:
            return ""
        if self.low <= self.paper <= self.high:
            return "within"
        return "above" if self.value > self.paper else "below"


@dataclass(frozen=True)
class Line:
    """A row of a table, of one metric."""

    name: str
    numbers: tuple[Number, ...]
    note: str = ""  # whose number it is, or that no method made it
    competes: bool = True

    @property
    def verdict(self) -> str:
        """In how many columns the row is best, or not told from the best; how the paper's lies."""
        measured = [number for number in self.numbers if number.value is not None]
        if not measured or not self.competes:
            return ""
        ranks = [number.rank for number in measured if number.rank]
        words = [_share("best", ranks.count("best"), len(ranks))]
        words += [_share("not told from the best", ranks.count("alike"), len(ranks))]
        compared = [number.beside for number in measured if number.beside]
        words += [_share("the paper's value within", compared.count("within"), len(compared))]
        return "; ".join(filter(None, words))


def _share(what: str, count: int, of: int) -> str:
    if not count:
        return ""
    return what if of == 1 else f"{what} in {count} of {of}"


@dataclass(frozen=True)
class Block:
    """A table's lines of one metric."""

    metric: Metric
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Section:
    """A table of the paper's, of a user's, or of a run's own cells."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    runs: tuple[str, ...] = ()
    csv: str = ""  # the name of its file among the downloads


def section(
    table: Table, filled: pd.DataFrame, readings: "Mapping[str, Readings]", seed: int = 0
) -> Section:
    """A table from the rows of ``cells.csv`` (`filling.fill`), each column's cells tested.

    `readings` are of the runs by their task's name.
    """
    rows = filling.printed(table, filled, table.shown)
    cells: dict[tuple[str, ...], Cell | None] = {}
    cells |= {filling.place(entry): entry.cell for entry in table.entries}
    quoted = {entry.row: entry.quoted for entry in table.entries}
    metrics = {entry.metric: entry.task.metric(entry.metric) for entry in table.entries}
    tasks = {entry.metric: entry.task for entry in table.entries}
    blocks = []
    for name, of_metric in rows.groupby("metric", sort=False):
        columns = list(dict.fromkeys(of_metric["column"]))
        outcomes = readings[tasks[str(name)].name]
        lines: dict[str, dict[str, Number]] = {}
        for row in of_metric.to_dict("records"):
            lines.setdefault(row["row"], {})[row["column"]] = _number(row)
        metric = metrics[str(name)]
        of_run = {(r["row"], r["column"]): str(r["run"]) for r in of_metric.to_dict("records")}
        for column in columns:
            held = {row: of_row[column] for row, of_row in lines.items() if column in of_row}
            of_cell = {
                row: cell
                for row, number in held.items()
                if (cell := cells.get(number.key)) and not quoted.get(row)
            }
            for rivals in nulls.competing(of_cell):
                group = {row: held[row] for row in rivals}
                behind = {row: (of_run[row, column], of_cell[row]) for row in rivals}
                for row, number in ranked(group, behind, metric, outcomes, seed).items():
                    lines[row][column] = number
        blocks.append(Block(metric, tuple(columns), tuple(
            Line(
                row,
                tuple(of_row.get(c, Number((table.name, row, str(name), c))) for c in columns),
                quoted.get(row, "") or ("knows nothing" if row in nulls.NAMES else ""),
                row not in nulls.NAMES and not quoted.get(row),
            )
            for row, of_row in lines.items()
        )))  # fmt: skip
    runs = tuple(dict.fromkeys(rows["run"].dropna()))
    return Section(f"table-{table.name}", f"Table {table.name}. {table.title}", tuple(blocks), runs)


def _number(row: Mapping[str, Any]) -> Number:
    """A row of ``cells.csv`` as a number."""
    told = {key: None if pd.isna(row[key]) else float(row[key]) for key in
             ("measured", "ci_low", "ci_high", "paper")}  # fmt: skip
    return Number(
        (row["table"], row["row"], row["metric"], row["column"]),
        told["measured"], told["ci_low"], told["ci_high"],
        0 if pd.isna(row["n"]) else int(row["n"]), told["paper"],
    )  # fmt: skip


class Readings:
    """The outcomes of a task's runs, each read once."""

    def __init__(self, candidates: Iterable[Measured], task: Task) -> None:
        self.folders = {str(m.folder): m.folder for m in candidates}
        self.task = task
        self.read: dict[str, Outcomes] = {}

    def of(self, run: str, cell: Cell, metric: str) -> pd.Series:
        if run not in self.read:
            self.read[run] = measures.outcomes(self.folders[run], self.task)
        return measures.of_cell(self.read[run], cell, metric)


def ranked(
    numbers: Mapping[str, Number],
    cells: Mapping[str, tuple[str, Cell]],
    metric: Metric,
    outcomes: Readings,
    seed: int,
) -> dict[str, Number]:
    """A column's numbers by row, the best marked and the others tested against it.

    `cells` are the run and cell behind each. Tested is on the images that both have of one run.
    """
    measured = {row: n.value for row, n in numbers.items() if n.value is not None and row in cells}
    best = [row for row in measured if row in metric.best(measured)]
    if not best:
        return dict(numbers)
    made = {**numbers, **{row: replace(numbers[row], rank="best") for row in best}}
    run, cell = cells[best[0]]
    others = [row for row in measured if row not in best and cells[row][0] == run]
    tests: dict[str, float] = {}
    for row in others if metric.interval and run in outcomes.folders else []:
        of = [outcomes.of(run, c, metric.name) for c in (cell, cells[row][1])]
        test = measures.contrast(of[:1], of[1:], seed, DRAWS, metric)
        tests |= {row: test.p_value} if test else {}
    for row, p in zip(tests, stats.holm(list(tests.values()))):
        made[row] = replace(made[row], rank="alike" if p >= ALPHA else "below", p_value=float(p))
    return made


def of_run(
    measured: Measured,
    task: Task,
    name: str,
    frame: pd.DataFrame,
    outcomes: Readings,
    seed: int = 0,
) -> Section:
    """A run's own table (`layers.table`): methods by layers, metric by metric."""
    fixed = {"metric", "method", "variant", "n"}
    places = [c for c in frame if c not in fixed and not c.endswith((" low", " high"))]
    blocks = []
    for metric in (m for m in task.metrics.values() if m.shown):
        rows = frame[frame["metric"] == metric.name].to_dict("records")
        lines = {_title(row): {p: _of_layer(row, p, name) for p in places} for row in rows}
        plain = {_title(row): Cell.of(row["method"], "", row["variant"]) for row in rows}
        called = graphs.titled(list(plain.values()))
        for place in places:
            of_cell = {_title(row): layers.cell(row, place) for row in rows}
            for rivals in nulls.competing(of_cell):
                group = {row: lines[row][place] for row in rivals}
                behind = {row: (str(measured.folder), of_cell[row]) for row in rivals}
                for row, number in ranked(group, behind, metric, outcomes, seed).items():
                    lines[row][place] = number
        made = tuple(
            Line(
                called[cell], tuple(lines[row].values()),
                "knows nothing" if cell.method in nulls.NAMES else "",
                cell.method not in nulls.NAMES,
            )
            for row, cell in plain.items()
        )  # fmt: skip
        blocks += [Block(metric, tuple(places), made)] if made else []
    title = f"{name}: {measured.run.about()}"
    return Section(f"run-{name}", title, tuple(blocks), (str(measured.folder),))


def _title(row: Mapping[Any, Any]) -> str:
    return " ".join(filter(None, (row["method"], row["variant"])))


def _of_layer(row: Mapping[Any, Any], place: str, run: str) -> Number:
    key = (run, _title(row), row["metric"], place)
    if pd.isna(row[place]):
        return Number(key)
    ends = (row[f"{place} low"], row[f"{place} high"])
    low, high = (None if pd.isna(end) else float(end) for end in ends)
    return Number(key, float(row[place]), low, high, int(row["n"]))
