"""Tasks, one evaluator a module or package, named as its command.

docs/evaluators.md says what a task's module declares: TITLE, SOURCE, TASK, METRICS, Record and
grade or loop; with defaults Protocol, Options, canonical, outcomes and what else `Task` lists.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from camx.camcore import plugins
from camx.camcore.suggestions import near
from camx.evaluators import datasets, parts, records
from camx.evaluators.fields import Checked
from camx.evaluators.measures import Measure
from camx.evaluators.metrics import Metric as Metric
from camx.evaluators.types import Cell, Dataset, MapProtocol, Protocol

if TYPE_CHECKING:
    import pandas as pd

PACKAGE = "camx.evaluators.tasks"
DATA = ("localization", "defects", "segmentation")


DEGENERATE = Metric("degenerate", "maps that are empty or constant", better="lower", interval=False)


@dataclass(frozen=True, kw_only=True)
class NoOptions(Checked):
    """A task whose command has no options of its own."""


def _nothing(*_arguments: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task as it was declared, its defaults filled in.

    `command` is that of the runs that hold its records; `reference` is how it can be loaded again.
    What the functions take and give stands in docs/evaluators.md.
    """

    name: str
    command: str
    reference: str
    plugin: plugins.Plugin
    data: str
    record: type
    protocol: type[Protocol] = MapProtocol
    options: type = NoOptions
    metrics: Mapping[str, Metric]
    network: bool = True
    truth: bool = True
    tables: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    layer: str = ""
    trainer: str = ""
    out: str = ""
    help: str = ""
    untimed: str = ""
    grade: Callable[..., Sequence[Any]] | None = None
    loop: Callable[..., None] | None = None
    canonical: Callable[[Cell], Cell] = Cell.canonical
    outcomes: "Callable[[Path], list[pd.DataFrame]]"
    check: Callable[[Any, Sequence[str]], Any] = _nothing
    read: Callable[[str, Any, int], Dataset[Any]]
    parts: Callable[[Dataset[Any], Any], Iterable[Sequence[Any]]] = lambda data, _: [data.samples]
    cells: Callable[[Sequence[Cell], Any, Any], list[Cell]] = lambda cells, *_: list(cells)
    identity: Callable[[Any], dict[str, Any]] = _nothing
    versions: Callable[[Any], dict[str, str]] = _nothing
    folder: Callable[[Any], str] = lambda _: "records"
    unsaved: Callable[[Any], Mapping[str, set[Cell]]] = _nothing
    begin: Callable[[Any], Iterable[str]] = _nothing
    doubts: Callable[[Any], Iterable[str]] = _nothing
    finish: Callable[[Any, Any], Iterable[str]] = _nothing
    judges: Callable[[Any, Dataset[Any]], tuple[Measure, ...]] = lambda *_: ()
    others: Callable[[str, Any, Dataset[Any]], Dataset[Any] | None] = lambda *_: None
    shown: Callable[[Any], Sequence[str]] | None = None

    def __reduce__(self) -> Any:
        """To another process a task goes as its reference, and is loaded there."""
        return load, (self.reference,)

    @property
    def writes_records(self) -> bool:
        """Whether it writes the records that it measures, and is no further metric of another's."""
        return self.name == self.command

    def graded(self, picture: Any, grids: Any, logits: np.ndarray, protocol: Any) -> Sequence[Any]:
        """What `grade` says of an image. `ValueError` naming both for what is no record."""
        where = f"task {self.reference}: grade of {picture.sample.image_id}"
        assert self.grade, "a task that loops itself is not asked"
        try:
            rows = self.grade(picture, grids, logits, protocol)
        except (ValueError, FileNotFoundError):
            raise
        except Exception as error:
            raise ValueError(f"{where}: {type(error).__name__}: {error}") from error
        if not isinstance(rows, list | tuple) or not all(isinstance(r, self.record) for r in rows):
            what = f"{str(rows)[:80]}; expected a list of {self.record.__name__}"
            raise ValueError(f"{where} is {what}")
        cells = {(r.image_id, r.method, r.layer, r.variant) for r in rows}
        if cells != {(picture.sample.image_id, *cell.key) for cell in grids}:
            raise ValueError(f"{where}: expected one record for each of {len(grids)} cells")
        return rows

    def metric(self, name: str) -> Metric:
        """A metric by name. `ValueError` naming those there are."""
        if name not in self.metrics:
            accepted = f"{', '.join(self.metrics)}{near(name, self.metrics)}"
            raise ValueError(f"unknown metric {name!r}; known: {accepted}")
        return self.metrics[name]


DECLARED = {
    "data": "TASK", "record": "Record", "protocol": "Protocol", "options": "Options",
    "network": "NETWORK", "truth": "TRUTH", "tables": "TABLES", "nulls": "NULLS",
    "methods": "METHODS", "layer": "LAYER", "trainer": "TRAINER", "out": "OUT", "help": "__doc__",
    "untimed": "UNTIMED",
}  # fmt: skip
CALLED = (
    "grade", "loop", "canonical", "check", "read", "parts", "cells", "identity", "versions",
    "folder", "unsaved", "begin", "doubts", "finish", "shown", "judges", "others",
)  # fmt: skip


def names() -> list[str]:
    """The tasks that camx has, and those of entry points."""
    return plugins.names(PACKAGE)


def load(name: str, folder: Path | None = None) -> Task:
    """Task `name`, ``FILE.py`` (relative to `folder`) or ``module:object``.

    Raises `ValueError` naming what the plug-in lacks.
    """
    if name.endswith(".py"):
        path = (folder or Path()) / name
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such task file")
        return _load(str(path.resolve()), path.stat().st_mtime_ns)
    return _load(name, 0)


@lru_cache(maxsize=64)
def _load(reference: str, _version: int) -> Task:
    plugin = plugins.load(PACKAGE, None, reference)
    module = plugin.object
    base = load(module.BASE) if hasattr(module, "BASE") else None
    values = dict(vars(base)) if base else {}
    fields = DECLARED | {name: name for name in CALLED}
    values |= {field: getattr(module, n) for field, n in fields.items() if hasattr(module, n)}
    lacking = [DECLARED[field] for field in ("data", "record") if field not in values]
    if not {"grade", "loop"} & set(values):
        lacking.append("grade or loop")
    if not getattr(module, "METRICS", ()):
        lacking.append("METRICS")
    if lacking:
        raise ValueError(f"task {reference}: {lacking[0]} is missing (docs/evaluators.md)")
    _check(module, values, f"task {reference}")
    metrics = {metric.name: metric for metric in module.METRICS}
    outcomes = getattr(module, "outcomes", None) or _outcomes(values["record"], tuple(metrics))
    return Task(
        **{
            "read": lambda data, options, _seed: datasets.load(
                data, values["data"], getattr(options, "split", ""), values.get("truth", True)
            ),
            **values,
            "out": values.get("out") or plugin.name,
            "name": plugin.name,
            "command": base.command if base else plugin.name,
            "reference": plugin.reference,
            "plugin": plugin,
            "metrics": {**(base.metrics if base else {}), **metrics},
            "outcomes": (lambda run: [*base.outcomes(run), *outcomes(run)]) if base else outcomes,
        }
    )


def judged_by(task: Task, measures: Sequence[Measure]) -> Task:
    """The task with the metrics of a user's measures, which it does not know by itself."""
    foreign = [measure for measure in measures if not measure.plugin.shipped]
    if not foreign:
        return task
    metrics = {metric.name: metric for measure in foreign for metric in measure.metrics}
    if taken := sorted(metrics.keys() & task.metrics.keys()):
        raise ValueError(f"metric {taken[0]!r} is measured already; give it another name")

    def outcomes(run: Path) -> "list[pd.DataFrame]":
        return [*task.outcomes(run), *(f for measure in foreign for f in measure.read(run))]

    return dataclasses.replace(task, metrics={**task.metrics, **metrics}, outcomes=outcomes)


def _check(module: Any, values: Mapping[str, Any], origin: str) -> None:
    """Raise `ValueError` for what a task declares that is of another kind."""
    record, metrics = values["record"], module.METRICS
    if values["data"] not in DATA:
        raise ValueError(f"{origin}: TASK is {values['data']!r}; accepted: {', '.join(DATA)}")
    if not isinstance(metrics, tuple) or not all(isinstance(m, Metric) for m in metrics):
        raise ValueError(f"{origin}: METRICS is {metrics!r}; expected a tuple of Metric")
    if not isinstance(record, type) or not dataclasses.is_dataclass(record):
        raise ValueError(f"{origin}: Record is no dataclass")
    names = [field.name for field in dataclasses.fields(record)]
    for name in (n for n in records.KEY if n not in names):
        raise ValueError(f"{origin}: Record has no field {name!r}; it needs {records.KEY}")
    try:
        parts.schema(record)
    except (KeyError, NameError) as error:
        what = "a Record's fields are str, int, float, bool or a tuple of one of them"
        raise ValueError(f"{origin}: {what}, not {error}") from None
    for name in (n for n in CALLED if values.get(n) is not None and not callable(values[n])):
        raise ValueError(f"{origin}: {name} is {values[name]!r}; expected a function")
    for name, base in (("protocol", "MapProtocol"), ("options", "camx.evaluators.fields.Checked")):
        kind = values.get(name, NoOptions)
        if not (isinstance(kind, type) and issubclass(kind, Checked)):
            raise ValueError(f"{origin}: {DECLARED[name]} does not derive from {base}")
    if not hasattr(module, "outcomes"):
        for metric in (m.name for m in metrics if m.name not in names):
            raise ValueError(f"{origin}: nothing measures {metric!r}; Record has {names}")


def _outcomes(record: type, metrics: tuple[str, ...]) -> "Callable[[Path], list[pd.DataFrame]]":
    """Outcomes as the records have them: a field that is called as a metric is that metric."""
    columns = [f.name for f in dataclasses.fields(record) if f.name in metrics]

    def outcomes(run: Path) -> "list[pd.DataFrame]":
        frame = records.read(run, [*records.KEY, *columns])
        return [frame] if len(frame) else []

    return outcomes
