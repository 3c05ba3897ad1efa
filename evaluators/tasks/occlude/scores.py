"""What drop, ADCC and ROAD record of an image, and the numbers that come of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from camx.evaluators import records
from camx.evaluators.tasks import Metric

if TYPE_CHECKING:
    import pandas as pd

FOLDERS = {"drop": "records-drop", "adcc": "records-adcc", "road": "records-road"}
_EMPTY = "maps that are empty or constant: what they leave is the fill alone"
METRICS = (
    Metric(
        "drop", "mean loss of probability, in percent of it, where the image is weighed by its map",
        better="lower", shown=False,
    ),
    Metric("increase", "images whose probability is higher then", shown=False),
    Metric("gain", "mean gain of probability, in percent of what was left to gain", shown=False),
    Metric("drop-degenerate", _EMPTY, better="lower", shown=False, interval=False),
    Metric("adcc", "harmonic mean of coherency, 1 - complexity and 1 - drop, x 100", shown=False),
    Metric("coherency", "correlation with the map of the weighed image, 0 to 100", shown=False),
    Metric("complexity", "mean of the map, x 100", better="lower", shown=False),
    Metric("adcc-drop", "as drop, of the images of adcc", better="lower", shown=False),
    Metric("adcc-degenerate", _EMPTY, better="lower", shown=False, interval=False),
    Metric(
        "road", "half of what the lowest pixels' loss costs less than the highest ones', in points",
        unit="points", shown=False,
    ),
    Metric(
        "road-morf", "change of probability, in points, when the highest pixels go",
        unit="points", better="lower", shown=False,
    ),
    Metric(
        "road-lerf", "change of probability, in points, when the lowest pixels go",
        unit="points", shown=False,
    ),
    Metric(
        "road-degenerate", "images whose map was empty or constant, and so has no order",
        better="lower", shown=False, interval=False,
    ),
)  # fmt: skip
SHOWN = {
    "drop": ("drop", "increase", "gain", "drop-degenerate"),
    "adcc": ("adcc", "coherency", "complexity", "adcc-drop", "adcc-degenerate"),
    "road": ("road", "road-morf", "road-lerf", "road-degenerate"),
}


@dataclass(frozen=True)
class Drop:
    """One image weighed by its map in one cell: a row of ``records-drop/``.

    `explained` is the class asked about, `score_before` its probability, `score_after` that of the
    image times its map in [0, 1].
    """

    image_id: str
    label: int
    method: str
    layer: str
    variant: str
    explained: int
    score_before: float
    score_after: float
    degenerate: bool


@dataclass(frozen=True)
class Adcc:
    """The same with ADCC's parts: a row of ``records-adcc/``.

    `coherency` is (r + 1) / 2, r the correlation of the map and the weighed image's map of the same
    class, and 0 where either is constant; `complexity` the map's mean, 0 to 1.
    """

    image_id: str
    label: int
    method: str
    layer: str
    variant: str
    explained: int
    score_before: float
    score_after: float
    coherency: float
    complexity: float
    degenerate: bool


@dataclass(frozen=True)
class Road:
    """One image's probabilities without its highest and lowest pixels: a row of ``records-road/``.

    `morf` are those of `explained` without the highest (most relevant first), `lerf` without the
    lowest, at each of the protocol's percentiles; empty where the map is constant.
    """

    image_id: str
    label: int
    method: str
    layer: str
    variant: str
    explained: int
    score_before: float
    morf: tuple[float, ...]
    lerf: tuple[float, ...]
    degenerate: bool


def outcomes(metric: str, frame: "pd.DataFrame") -> "pd.DataFrame":
    """The metrics' outcomes from the records of a kind, in percent; hits as bool."""
    return frame[records.KEY].assign(**{"drop": _drop, "adcc": _adcc, "road": _road}[metric](frame))


def _lost(frame: "pd.DataFrame") -> "pd.Series":
    """max(0, p - o) / p, 0 to 1; of a probability that is 0, nothing is lost."""
    before, after = frame["score_before"], frame["score_after"]
    return ((before - after).clip(lower=0) / before).fillna(0.0)


def _drop(frame: "pd.DataFrame") -> "dict[str, pd.Series]":
    """Average drop, increase in confidence (Chattopadhay et al. 2018), gain (Zhang et al. 2023)."""
    before, after = frame["score_before"], frame["score_after"]
    return {
        "drop": 100 * _lost(frame),
        "increase": after > before,
        "gain": 100 * ((after - before).clip(lower=0) / (1 - before)).fillna(0.0),
        "drop-degenerate": frame["degenerate"],
    }


def _adcc(frame: "pd.DataFrame") -> "dict[str, pd.Series]":
    """ADCC and its parts (Poppi et al. 2021); a part that is 0 makes it 0."""
    lost = _lost(frame)
    parts = [frame["coherency"], 1 - frame["complexity"], 1 - lost]
    inverse = sum(1 / part.clip(lower=0) for part in parts)  # of 0 infinity, and so 0
    return {
        "adcc": 100 * 3 / inverse,
        "coherency": 100 * frame["coherency"],
        "complexity": 100 * frame["complexity"],
        "adcc-drop": 100 * lost,
        "adcc-degenerate": frame["degenerate"],
    }


def _road(frame: "pd.DataFrame") -> "dict[str, pd.Series]":
    """ROAD's changes of probability, means over the percentiles (Rong et al. 2022)."""
    before = frame["score_before"]
    highest, lowest = (
        frame[name].map(lambda s: sum(s) / len(s) if len(s) else float("nan"))
        for name in ("morf", "lerf")
    )
    return {
        "road": 100 * (lowest - highest) / 2,
        "road-morf": 100 * (highest - before),
        "road-lerf": 100 * (lowest - before),
        "road-degenerate": frame["degenerate"],
    }
