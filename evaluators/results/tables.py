"""Declarative tables, YAML files of cells and the paper's values; the paper's are I to XIII."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from camx.camcore.suggestions import near
from camx.evaluators import tasks
from camx.evaluators.fields import finite
from camx.evaluators.files import parse_yaml, read_text
from camx.evaluators.records import Run
from camx.evaluators.tasks import Task
from camx.evaluators.types import Cell

_FOLDER = resources.files("camx.configs") / "tables"
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII")
NEEDED = ("title", "source", "command", "metrics", "columns", "rows")
CELL = ("method", "layer", "variant")
Content = Mapping[str, Any]  # of a table's file, or of a row of it


@dataclass(frozen=True)
class Entry:
    """One number of a table: where it stands, the paper's value, and the cell that measures it.

    `quoted` says whose number the paper's is, where it is not its own. `printed` is whether the
    paper has such a number; the others go to ``cells.csv`` only. `networks` are those that the row
    is of, where it names any, and `named` those that any row of the table names.
    """

    table: str
    row: str
    metric: str
    column: str
    paper: float | None
    task: Task
    cell: Cell | None
    quoted: str = ""
    printed: bool = True
    networks: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    def suits(self, model: str | None) -> bool:
        """Whether a network measures it: one that a row names measures that row alone."""
        name = network_name(model)
        return name in self.networks if self.networks else name not in self.named


def network_name(model: str | None) -> str | None:
    """A network's name without the package that publishes it: torchvision:vgg16 is vgg16."""
    return model and model.rpartition(":")[2]


@dataclass(frozen=True)
class Table:
    """A declarative table: its `name` (the file's), title, source and entries in the paper's order.

    `shown` are metrics that the terminal shows though the paper does not print them. `data` are the
    kinds of data (`kinds.kind`) and `networks` the networks that its values are of, and the
    miniature's, which stand for them; none named are any.
    """

    name: str
    title: str
    source: str
    task: Task
    entries: tuple[Entry, ...]
    shown: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    def comparable(self, run: Run) -> bool:
        """Whether the run is of the data and networks that the table's values are of."""
        named = {name for entry in self.entries for name in entry.networks}
        name = network_name(run.model)
        network = not self.networks or name in (None, *self.networks, *named)
        return network and (not self.data or run.kind in self.data)


def names() -> list[str]:
    """The shipped tables, in the paper's order."""
    stems = {Path(e.name).stem for e in _FOLDER.iterdir() if e.name.endswith(".yaml")}
    return sorted(stems, key=lambda n: (ROMAN.index(n) if n in ROMAN else len(ROMAN), n))


def load(name: str) -> Table:
    """Table `name`, or the user's own ``FILE.yaml``, whose tasks' files are relative to it.

    Raises `ValueError` saying what is wrong in which row.
    """
    folder = None
    if name.endswith((".yaml", ".yml")):
        text, origin, folder = read_text(Path(name), "table file"), name, Path(name).parent
    elif name in names():
        text, origin = (_FOLDER / f"{name}.yaml").read_text("utf-8"), f"table {name}"
    else:
        accepted = f"{', '.join(names())} (or FILE.yaml){near(name, names())}"
        raise ValueError(f"unknown table {name!r}; known: {accepted}")
    content = parse_yaml(text, origin)
    for key in NEEDED:
        if not isinstance(content, dict) or key not in content:
            raise ValueError(f"{origin}: {key!r} is missing; a table needs {', '.join(NEEDED)}")
    _check(content, origin)
    task = task_of(content["command"], folder, origin)
    of_metric = _tasks(content, task, folder, origin)
    stem = Path(name).stem
    rows = [_entries(stem, content, row, of_metric, origin) for row in content["rows"]]
    entries = tuple(entry for row in rows for entry in row)
    shown = tuple(content.get("shown", ()))
    kinds = (tuple(content.get(key, ())) for key in ("data", "networks"))
    return Table(stem, content["title"], content["source"], task, entries, shown, *kinds)


def _check(content: Content, origin: str) -> None:
    """Raise `ValueError` naming what of a table is of another kind, or a row's unknown key."""
    kinds = {"title": str, "source": str, "columns": dict, "rows": list, "from": dict}
    for key, kind in kinds.items():
        if not isinstance(content.get(key, kind()), kind) or (key in NEEDED and not content[key]):
            raise ValueError(f"{origin}: {key} is {content[key]!r}; expected a {kind.__name__}")
    for key in ("metrics", "also", "shown"):
        names = content.get(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{origin}: {key} is {names!r}; expected a list of metrics")
    for key in ("data", "networks"):
        words = content.get(key, [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{origin}: {key} is {words!r}; expected a list of names")
    measured = [*content["metrics"], *content.get("also", [])]
    accepted = {"row", "cell", "quoted", "networks", *measured}
    for row in content["rows"]:
        if not isinstance(row, dict) or "row" not in row:
            raise ValueError(f"{origin}: a row is {row!r}; expected a mapping with its name as row")
        where = f"{origin}: row {row['row']!r}"
        if strange := sorted(str(key) for key in row if key not in accepted):
            names = f"{', '.join(sorted(accepted))}{near(strange[0], accepted)}"
            raise ValueError(f"{where}: unknown {strange[0]!r}; known: {names}")
        words = row.get("networks", [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{where}: networks is {words!r}; expected a list of names")
        for metric in (metric for metric in measured if metric in row):
            values = row[metric]
            if not isinstance(values, list) or not all(v is None or finite(v) for v in values):
                what = f"{metric} is {values!r}"
                raise ValueError(f"{where}: {what}; expected a list of numbers or null")


def task_of(name: Any, folder: Path | None, origin: str) -> Task:
    """A task by the name of its command, or its file. `ValueError` naming those there are."""
    names = tasks.names()
    if not isinstance(name, str) or not (name in names or name.endswith(".py") or ":" in name):
        raise ValueError(f"{origin}: command is {name!r}; accepted: {', '.join(names)}")
    return tasks.load(name, folder)


def _tasks(content: Content, task: Task, folder: Path | None, origin: str) -> dict[str, Task]:
    """The task that measures each metric of the table: its own, unless ``from`` says another."""
    others = content.get("from", {})
    measured = {}
    for metric in [*content["metrics"], *content.get("also", []), *content.get("shown", [])]:
        measured[metric] = task_of(others[metric], folder, origin) if metric in others else task
        try:
            measured[metric].metric(metric)
        except ValueError as error:
            raise ValueError(f"{origin}: {error}") from None
    return measured


def _entries(
    name: str, content: Content, row: Content, of_metric: Mapping[str, Task], origin: str
) -> list[Entry]:
    """The numbers of a row; a column without anything, such as a test server's, has no cell."""
    entries = []
    columns, where = content["columns"], f"{origin}: row {row.get('row')!r}"
    named = tuple(name for other in content["rows"] for name in other.get("networks", ()))
    networks = tuple(row.get("networks", ())), named
    for metric in [*content["metrics"], *content.get("also", [])]:
        values = row.get(metric, [None] * len(columns))
        if len(values) != len(columns):
            raise ValueError(f"{where} has {len(values)} values of {metric}, not {len(columns)}")
        task, printed = of_metric[metric], metric in content["metrics"]
        for (column, part), paper in zip(columns.items(), values):
            place = (name, str(row["row"]), metric, str(column))
            cell = _cell(part, row.get("cell"), task, where, str(column))
            if cell or paper is not None:
                quoted = str(row.get("quoted", ""))
                entries.append(Entry(*place, paper, task, cell, quoted, printed, *networks))
    return entries


def _cell(column: Any, row: Any, task: Task, where: str, name: str) -> Cell | None:
    """The cell of a column and a row as records name it, or None if they do not make one.

    Raises `ValueError` for a key or a variant that means nothing.
    """
    if not isinstance(column, dict | None) or not isinstance(row, dict | None):
        raise ValueError(f"{where}, column {name!r}: expected a mapping such as {{layer: S5}}")
    words = {"variant": "", **(column or {}), **(row or {})}
    if strange := set(words) - set(CELL):
        raise ValueError(f"{where}: unknown {min(strange)!r}; a cell has {', '.join(CELL)}")
    if column is None or not {"method", "layer"} <= set(words):
        return None
    try:
        return task.canonical(Cell.of(*(str(words[key]) for key in CELL)))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def papers(tables: Sequence[Table], model: str | None) -> dict[tuple[str, Cell, str], float]:
    """The paper's value of a network by command, cell and metric."""
    return {
        (entry.task.command, entry.cell, entry.metric): entry.paper
        for table in tables
        for entry in table.entries
        if entry.cell and entry.paper is not None and entry.suits(model)
    }


def file_name(table: Table) -> str:
    """``table_01.csv`` for Table I; a user's own table keeps its name."""
    number = f"{ROMAN.index(table.name) + 1:02d}" if table.name in ROMAN else table.name
    return f"table_{number}.csv"
