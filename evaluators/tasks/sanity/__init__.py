"""Draw the network's weights anew, from the output on: does a method's map react to them?

After each step the map of the same class is made again and compared with the original one, by the
order of their values at the layer's size. A map that follows the network ends as unlike it as the
maps of two unrelated images are, which is the floor.

\b
camx measure sanity --limit 10                          the gradient methods at every stage
camx measure sanity --limit 10 --method mine.py         of a method of your own
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from camx.evaluators import records, stats
from camx.evaluators.fields import Checked, choice, text, whole
from camx.evaluators.tasks import Metric
from camx.evaluators.types import Cell, MapProtocol, single

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from camx.evaluators.grids import Missing
    from camx.evaluators.loop import Measurement, Tick
    from camx.evaluators.records import Writer

TITLE = "sanity check: maps while the weights are drawn anew"
SOURCE = "Adebayo et al. 2018, Sanity Checks for Saliency Maps, section 3.1"
TASK = "localization"
TRUTH = False  # it asks the network, not the annotations
METRICS = (
    Metric("similarity", "rank correlation with the original map, weights all new", better="lower"),
    Metric("floor", "the same of two unrelated images' original maps", better="neither"),
    Metric("beyond", "similarity less floor, of each image", better="lower"),
    Metric("course", "mean similarity over the steps", better="lower"),
    Metric("absolute", "similarity of the absolute values", better="lower", shown=False),
    Metric(
        "sanity-degenerate", "maps that are constant, weights all new", better="neither",
        interval=False,
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Protocol(MapProtocol):
    """How maps are made, and how weights are drawn anew."""

    cascade: str = choice(
        "stages", "modules", help="what is drawn anew at a step: a stage, or each module"
    )
    weights_seed: int = whole(0, 2**31, help="what the new weights are drawn with")


@dataclass(frozen=True, kw_only=True)
class Options(Checked):
    """What `camx measure sanity` is told besides."""

    split: str = text(
        default="", help="Split of a data set that has some, by its name; else the reader's choice."
    )


@dataclass(frozen=True)
class Record:
    """One image's map at one layer, while weights are drawn anew: a row of ``records/``.

    `signed` are Spearman's correlations with the original map after each of `steps`, -1 to 1,
    `absolute` those of absolute values; 0 where the new map is constant, `degenerate` says of the
    last one. `floor` is that of the original map and `other`'s, another image's. What is undefined,
    since the original is constant, is not a number.
    """

    image_id: str
    label: int
    method: str
    layer: str
    variant: str
    other: str
    steps: tuple[str, ...]
    signed: tuple[float, ...]
    absolute: tuple[float, ...]
    floor: float
    degenerate: bool


def cells(cells: Sequence[Cell], _options: Any, _protocol: Any) -> list[Cell]:
    """The cells, each of one layer as it is. `ValueError` for a fused or scaled one."""
    return single(cells, "maps are compared at their layer's size")


def loop(
    job: "Measurement[Any, Any]",
    samples: Sequence[Any],
    missing: "Missing",
    writer: "Writer",
    tick: "Tick",
) -> None:
    """Compare the maps of each sample; see `randomising`."""
    from camx.evaluators.tasks.sanity import randomising

    randomising.measure(job, samples, missing, writer, tick)


def outcomes(run: "Path") -> "list[pd.DataFrame]":
    """Per image and cell, x 100; what is undefined is missing."""
    frame = records.read(run)
    if not len(frame):
        return []
    last = 100 * frame["signed"].map(lambda values: values[-1])
    return [
        frame[records.KEY].assign(
            **{
                "similarity": last,
                "floor": 100 * frame["floor"],
                "beyond": last - 100 * frame["floor"],
                "course": 100 * frame["signed"].map(lambda values: sum(values) / len(values)),
                "absolute": 100 * frame["absolute"].map(lambda values: values[-1]),
                "sanity-degenerate": frame["degenerate"],
            }
        )
    ]


def finish(job: "Measurement[Any, Any]", _progress: Any) -> list[str]:
    """A verdict on each cell."""
    frames = outcomes(job.out)
    if not frames:
        return []
    groups = dict(list(frames[0].groupby(records.CELL)))
    return [f"{cell}: {verdict(groups[cell.key])}" for cell in job.cells if cell.key in groups]


def verdict(frame: "pd.DataFrame") -> str:
    """What a cell's outcomes say: whether its maps see the weights.

    They do where the similarity left is not above the floor, by the interval of the images'
    differences; they do not where it is at least half of the way from there to 1.
    """
    frame = frame[["similarity", "floor", "beyond"]].dropna()
    if not len(frame):
        return "nothing is known: no image has a map, and another to compare it with"
    value, low, high, n = stats.describe(frame["similarity"].to_numpy(float))
    floor = float(frame["floor"].mean())
    said = f"similarity {value:.0f} [{low:.0f}, {high:.0f}], floor {floor:.0f}, n={n}"
    if n == 1:
        return f"one image tells nothing: {said}"
    _, above, _, _ = stats.describe(frame["beyond"].to_numpy(float))
    if above <= 0:
        return f"reacts to the weights: {said}"
    if low >= (100 + floor) / 2:
        return f"does not see the weights: {said}"
    return f"keeps part of its maps whatever the weights: {said}"
