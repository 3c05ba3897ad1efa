"""Measures of localization, one a file: what else a map is worth than its box.

Each is judged on the same maps, in the same pass, and has records of its own, in
``records-<measure>/``. A file declares TITLE, SOURCE, TRUTH, METRICS, a `Record` that derives from
`Row`, ``judge(map, truth)``, which gives the record's fields besides the row's in their order, and,
unless these are called as the metrics, ``outcomes(frame, other)``, a column a metric. TRUTH is
``boxes`` (a mask serves as well) or ``masks``. docs/measures.md is about those that there are.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from camx.camcore import plugins
from camx.evaluators import parts, records
from camx.evaluators.judged import Map, Truth
from camx.evaluators.metrics import Metric
from camx.evaluators.types import Cell

if TYPE_CHECKING:
    import pandas as pd

PACKAGE = "camx.evaluators.measures"
ALL = "all"
TRUTHS = ("boxes", "masks")
OTHER = "threshold"  # at the end of a folder: records of the images that a threshold is chosen on


@dataclass(frozen=True)
class Row:
    """What every measure's record begins with: the image, its class, the cell."""

    image_id: str
    label: int
    method: str
    layer: str
    variant: str


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure as it was declared; `chooses` tells that it has a threshold to be chosen.

    `outcomes` takes the records as a frame, and those of the images that thresholds are chosen on,
    which may be empty; `curves` gives what each of its thresholds, `taus`, is worth in percent, by
    method, layer, variant and the curve's name; only of `peak` the best is sought, if it names one.
    `notice` is what people are told before the wait.
    """

    name: str
    plugin: plugins.Plugin
    truth: str
    record: type
    metrics: tuple[Metric, ...]
    judge: Callable[[Map, Truth], Sequence[Any]]
    outcomes: "Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]"
    curves: "Callable[[pd.DataFrame], Mapping[tuple[str, ...], np.ndarray]] | None" = None
    taus: np.ndarray = field(default_factory=lambda: np.zeros(0), compare=False)
    peak: str = ""
    chooses: bool = False
    notice: Callable[[], str] = str
    suffix: str = ""

    def __reduce__(self) -> Any:
        """To another process a measure goes as its reference, and is loaded there."""
        return _loaded, (self.plugin.reference, self.suffix)

    @property
    def kind(self) -> str:
        """The folder of its records in a run."""
        return f"records-{self.name}{self.suffix}"

    def elsewhere(self) -> "Measure":
        """The same of the images that thresholds are chosen on."""
        return dataclasses.replace(self, suffix=f"-{OTHER}")

    def row(self, truth: Truth, cell: Cell, shown: Map) -> Any:
        """The record of a map. `ValueError` naming the measure and the image if it has none."""
        sample = truth.sample
        try:
            return self.record(sample.image_id, sample.label, *cell.key, *self.judge(shown, truth))
        except (ValueError, FileNotFoundError):
            raise
        except Exception as error:  # whatever goes wrong in somebody's file
            what = f"measure {self.plugin.reference}: {sample.image_id}"
            raise ValueError(f"{what}: {type(error).__name__}: {error}") from error

    def read(self, run: Path) -> "list[pd.DataFrame]":
        """The outcomes that a run holds: one frame, keyed as records, or none."""
        frame = records.read(run, kind=self.kind)
        if frame.empty:
            return []
        other = records.read(run, kind=self.elsewhere().kind)
        columns = self.outcomes(frame, other).reindex(frame.index)
        return [frame[records.KEY].join(columns)]


def names() -> list[str]:
    """The measures that camx has, and those of entry points."""
    return plugins.names(PACKAGE)


def load(name: str) -> Measure:
    """A measure by name, ``FILE.py`` or ``module:object``. `ValueError` naming what it lacks."""
    plugin = plugins.load(PACKAGE, None, name)
    module, where = plugin.object, f"measure {plugin.reference}"
    needed = ("TITLE", "SOURCE", "TRUTH", "METRICS", "Record", "judge")
    if lacking := [word for word in needed if not hasattr(module, word)]:
        raise ValueError(f"{where}: {lacking[0]} is missing (docs/measures.md)")
    if module.TRUTH not in TRUTHS:
        raise ValueError(f"{where}: TRUTH is {module.TRUTH!r}; accepted: {', '.join(TRUTHS)}")
    metrics = tuple(module.METRICS)
    if not metrics or not all(isinstance(metric, Metric) for metric in metrics):
        raise ValueError(f"{where}: METRICS is {module.METRICS!r}; expected a tuple of Metric")
    if not (isinstance(module.Record, type) and issubclass(module.Record, Row)):
        raise ValueError(f"{where}: Record does not derive from evaluators.measures.Row")
    try:
        parts.schema(module.Record)
    except (KeyError, NameError) as error:
        what = "a Record's fields are str, int, float, bool or a tuple of one of them"
        raise ValueError(f"{where}: {what}, not {error}") from None
    fields = [each.name for each in dataclasses.fields(module.Record)]
    outcomes = getattr(module, "outcomes", None) or _as_recorded(metrics)
    if not hasattr(module, "outcomes"):
        for metric in (metric.name for metric in metrics if metric.name not in fields):
            raise ValueError(f"{where}: nothing measures {metric!r}; Record has {fields}")
    return Measure(
        name=plugin.name, plugin=plugin, truth=module.TRUTH, record=module.Record,
        metrics=metrics, judge=module.judge, outcomes=outcomes,
        curves=getattr(module, "curves", None), taus=getattr(module, "TAUS", np.zeros(0)),
        peak=getattr(module, "PEAK", ""), chooses=getattr(module, "CHOOSES", False),
        notice=getattr(module, "notice", str),
    )  # fmt: skip


def _loaded(reference: str, suffix: str) -> Measure:
    return dataclasses.replace(load(reference), suffix=suffix)


def _as_recorded(metrics: Sequence[Metric]) -> Callable[..., Any]:
    return lambda frame, _other: frame[[metric.name for metric in metrics]]


def asked(wanted: Sequence[str], masked: bool) -> tuple[Measure, ...]:
    """The measures named; ``all`` is every one that the data can be measured by.

    `masked` says whether the data set has masks. `ValueError` for a measure that needs them where
    there are none, for two of one name, and for two that give one metric.
    """
    listed = [name for word in wanted for name in (names() if word == ALL else [word])]
    unique = {m.plugin.reference: m for m in map(load, dict.fromkeys(listed))}
    fit = [m for m in unique.values() if masked or m.truth != "masks" or ALL not in wanted]
    for measure in fit:
        if measure.truth == "masks" and not masked:
            boxes = ", ".join(name for name in names() if load(name).truth == "boxes")
            what = "needs masks, and the data set has boxes alone"
            raise ValueError(f"measure {measure.name} {what}; those that do without: {boxes}")
    for one, other in itertools.combinations(fit, 2):
        what = f"measures {one.plugin.reference} and {other.plugin.reference}"
        if one.name == other.name:
            raise ValueError(f"{what} have one name, {one.name}, and so one folder of records")
        for metric in {m.name for m in one.metrics} & {m.name for m in other.metrics}:
            raise ValueError(f"{what} both give {metric!r}; a metric has one measure")
    return tuple(fit)


def shipped() -> list[Measure]:
    """camx's own measures."""
    return [load(name) for name in names()]


def metrics() -> tuple[Metric, ...]:
    """Every metric of camx's own measures."""
    return tuple(metric for measure in shipped() for metric in measure.metrics)


def outcomes(run: Path) -> "list[pd.DataFrame]":
    """The outcomes of every measure that a run has records of."""
    return [frame for measure in shipped() for frame in measure.read(run)]


def by_cell(frame: "pd.DataFrame") -> "Iterable[tuple[tuple[str, str, str], pd.DataFrame]]":
    """The rows of each cell: its key, and them."""
    for key, rows in frame.groupby(records.CELL, sort=False):
        yield (str(key[0]), str(key[1]), str(key[2])), rows


def vectors(frame: "pd.DataFrame", rows: np.ndarray) -> "pd.Series":
    """A row of counts ``(n,k)`` for each record, as outcomes hold them."""
    import pandas as pd

    return pd.Series(list(rows), index=frame.index, dtype=object)


def columns(frame: "pd.DataFrame", values: Mapping[str, Any]) -> "pd.DataFrame":
    """Outcomes of the records, a column a metric."""
    import pandas as pd

    return pd.DataFrame(dict(values), index=frame.index)
