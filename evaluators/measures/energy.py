"""How much of the map lies on the object: energy in the boxes, and in the mask."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from camx.evaluators import measures
from camx.evaluators.judged import Map, Truth
from camx.evaluators.measures import Row
from camx.evaluators.metrics import Metric

if TYPE_CHECKING:
    import pandas as pd

TITLE = "energy-based pointing game: share of the map in the boxes, in the mask"
SOURCE = "Wang et al. 2020, CVPRW (Score-CAM); Arras et al. 2022 (relevance mass accuracy)"
TRUTH = "boxes"
LARGE = 0.5  # of the image: Score-CAM's paper leaves out larger boxes, and images of several
METRICS = (
    Metric("energy", "share of the map in the boxes"),
    Metric("energy-single", "the same of images with one box, at most half of them", shown=False),
    Metric("mass", "share of the map in the mask"),
    Metric("box area", "share of the image in the boxes: what chance gives", better="neither"),
)


@dataclass(frozen=True)
class Record(Row):
    """Shares of the map, 0 to 1; NaN of a constant map, and of a mask where there is none.

    `area` is the boxes' share of the image.
    """

    in_boxes: float
    in_mask: float
    area: float
    boxes: int


def judge(shown: Map, truth: Truth) -> tuple[float, float, float, int]:
    inside = truth.boxed
    in_mask = share(shown, truth.marked, truth.counted) if truth.masked else float("nan")
    return share(shown, inside, None), in_mask, float(inside.mean()), len(truth.sample.boxes)


def share(shown: Map, part: np.ndarray, counted: np.ndarray | None) -> float:
    """The part of the map, from the image's minimum up, that lies in ``part (H,W) bool``.

    Of the pixels that are `counted`, by default all. NaN of a map without any energy.
    """
    if shown.on_image.dtype == np.uint8:
        levels = np.arange(256) - np.flatnonzero(shown.histogram())[0]
        within, whole = shown.histogram(part) @ levels, shown.histogram(counted) @ levels
    else:
        energy = shown.on_image - shown.on_image.min()
        within, whole = energy[part].sum(), (energy if counted is None else energy[counted]).sum()
    return float(within / whole) if whole > 0 else float("nan")


def outcomes(frame: "pd.DataFrame", _other: "pd.DataFrame") -> "pd.DataFrame":
    energy = 100 * frame["in_boxes"]
    single = (frame["boxes"] == 1) & (frame["area"] <= LARGE)
    return measures.columns(frame, {
        "energy": energy, "energy-single": energy.where(single),
        "mass": 100 * frame["in_mask"], "box area": 100 * frame["area"],
    })  # fmt: skip
