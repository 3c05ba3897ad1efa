"""Measure how large a map's values are, before any normalisation: those of shallow layers are low.

Each layer's own map of the label, as the method makes it: its mean and its maximum over the views,
in thousandths, and the mean as a share of the maximum, which is what a fusion sees.

\b
camx measure values                                      LayerCAM at every stage, on the miniature
camx measure values --method gradcam --layer S5          of another method
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from camx.evaluators.fields import Checked, text
from camx.evaluators.tasks import Metric
from camx.evaluators.types import Cell, MapProtocol, single

if TYPE_CHECKING:
    from camx.evaluators.grids import Missing
    from camx.evaluators.loop import Measurement, Tick
    from camx.evaluators.records import Writer

TITLE = "values of raw maps: how much lower those of shallow layers are"
SOURCE = "LayerCAM paper, section III-A"
TASK = "localization"
TRUTH = False  # it asks the network, not the annotations
METHODS = ("layercam",)
UNIT = "thousandths"
METRICS = (
    Metric("mean", "of the map's values, in thousandths", unit=UNIT, better="neither"),
    Metric("peak", "its largest value, in thousandths", unit=UNIT, better="neither"),
    Metric("share", "its mean in percent of its largest value", better="neither"),
)


@dataclass(frozen=True, kw_only=True)
class Protocol(MapProtocol):
    """How maps are made; of what is done with them afterwards nothing counts here."""


@dataclass(frozen=True, kw_only=True)
class Options(Checked):
    """What `camx measure values` is told besides."""

    split: str = text(
        default="", help="Split of a data set that has some, by its name; else the reader's choice."
    )


@dataclass(frozen=True)
class Record:
    """One image's map at one layer: a row of ``records/``; see `METRICS`."""

    image_id: str
    method: str
    layer: str
    variant: str
    mean: float
    peak: float
    share: float


def cells(cells: Sequence[Cell], _options: Any, _protocol: Any) -> list[Cell]:
    """The cells, each of one layer as it is. `ValueError` for a fused or scaled one."""
    return single(cells, "values are of single layers")


def loop(
    job: "Measurement[Any, Any]",
    samples: Sequence[Any],
    missing: "Missing",
    writer: "Writer",
    tick: "Tick",
) -> None:
    """Measure the raw maps of each sample; see `raw`."""
    from camx.evaluators.tasks.values import raw

    raw.measure(job, samples, missing, writer, tick)
