"""Relevance rank accuracy: how many of the K highest pixels are the object's, K its size?"""

from dataclasses import dataclass

import numpy as np

from camx.evaluators.judged import Map, Truth
from camx.evaluators.measures import Row
from camx.evaluators.metrics import Metric

TITLE = "relevance rank accuracy: the highest pixels against the object"
SOURCE = "Arras, Osman and Samek 2022, Information Fusion (arXiv 2003.07258)"
TRUTH = "boxes"
METRICS = (Metric("rank", "share of the K highest pixels on the object, K its size"),)


@dataclass(frozen=True)
class Record(Row):
    """`rank` in percent, NaN where no pixel is the object's; a map of no numbers is constant."""

    rank: float


def judge(shown: Map, truth: Truth) -> tuple[float]:
    marked, counted = truth.marked, truth.counted
    if shown.on_image.dtype == np.uint8:
        return (100 * accuracy(shown.histogram(counted), shown.histogram(marked)),)
    values = shown.on_image if np.isfinite(shown.on_image).all() else np.zeros(marked.shape)
    values = values if counted is None else values[counted]
    levels = np.unique(values, return_inverse=True)[1].ravel()
    of_object = marked.ravel() if counted is None else marked[counted]
    count = int(levels.max()) + 1
    every, on = (np.bincount(part, minlength=count) for part in (levels, levels[of_object]))
    return (100 * accuracy(every, on),)


def accuracy(every: np.ndarray, on: np.ndarray) -> float:
    """The share, 0 to 1, of the K highest pixels that are the object's, which has K; NaN of none.

    Of pixels by value, ascending: of `every` one, and of those `on` the object. Of pixels as high
    as the last that belongs to the K, the share that is needed counts: what any order among equals
    gives on average. Packages that sort take the order of the array instead.
    """
    k = int(on.sum())
    if not k:
        return float("nan")
    reached = every[::-1].cumsum()
    last = int(np.searchsorted(reached, k))  # levels from the top that the K highest need
    needed = k - (reached[last] - every[::-1][last])
    hits = on[::-1][:last].sum() + on[::-1][last] * needed / every[::-1][last]
    return float(hits / k)
