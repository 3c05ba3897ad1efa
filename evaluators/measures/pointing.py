"""The pointing game: does the map's highest pixel lie on the object, or within 15 pixels of it?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from camx.evaluators import measures
from camx.evaluators.judged import Map, Truth
from camx.evaluators.measures import Row
from camx.evaluators.metrics import Metric

if TYPE_CHECKING:
    import pandas as pd

TITLE = "the pointing game, 15 pixels: mean over classes"
SOURCE = "Zhang et al. 2018, IJCV (excitation backprop); facebookresearch/TorchRay"
TRUTH = "boxes"
TOLERANCE = 15  # pixels of the image; as far as that is a miss
SMALL = 0.25  # of the image: a difficult image's boxes cover less, and it shows other classes too


def share(counts: np.ndarray) -> float:
    """Hits among images in percent, of ``(2,)``: hits, images."""
    return 100 * float(counts[0] / counts[1])


METRICS = (
    Metric("pointing", "highest pixel within 15 of the object, mean over classes", by_class=share),
    Metric(
        "pointing-difficult", "the same of small objects among others", by_class=share, shown=False
    ),
    Metric("pointing-images", "the same, mean over images", shown=False),
)


@dataclass(frozen=True)
class Record(Row):
    """`hit` is the share of the map's highest pixels that hit: 0 or 1 unless several are highest.

    `counted` is False where all the class's objects are marked difficult; `difficult` is whether
    the image is one of the difficult subset.
    """

    hit: float
    counted: bool
    difficult: bool


def judge(shown: Map, truth: Truth) -> tuple[float, bool, bool]:
    sample = truth.sample
    hard = truth.boxed.mean() < SMALL and sample.present > 1
    return hit(shown.on_image, truth.distance), not sample.difficult, bool(hard)


def hit(heatmap: np.ndarray, distance: np.ndarray) -> float:
    """The share of the highest pixels that are less than 15 pixels away from the object.

    A single highest pixel is a hit or a miss, as TorchRay has it; where many are, as low-resolution
    maps have them, this is what a draw among them gives on average. A map that is no number has
    none, and misses.
    """
    highest = heatmap == heatmap.max()
    near = distance[highest] < TOLERANCE - 1e-3  # the next distance below 15 is the root of 221
    return float(near.mean()) if len(near) else 0.0


def outcomes(frame: "pd.DataFrame", _other: "pd.DataFrame") -> "pd.DataFrame":
    hits = np.stack([frame["label"], frame["hit"], np.ones(len(frame))], 1)
    counts, counted = measures.vectors(frame, hits), frame["counted"]
    return measures.columns(frame, {
        "pointing": counts.where(counted),
        "pointing-difficult": counts.where(counted & frame["difficult"]),
        "pointing-images": (100 * frame["hit"]).where(counted),
    })  # fmt: skip
