"""The ImageNet-Segmentation protocol: the map above its own mean, against a mask."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from camx.evaluators import confusion, measures
from camx.evaluators.judged import Map, Truth
from camx.evaluators.measures import Row
from camx.evaluators.metrics import Metric
from camx.evaluators.object_masks import IGNORED, OBJECT

if TYPE_CHECKING:
    import pandas as pd

TITLE = "pixel accuracy, mIoU, mAP and F1 of maps above their mean, against masks"
SOURCE = "Chefer et al. 2021, CVPR; hila-chefer/Transformer-Explainability"
TRUTH = "masks"


def accuracy(counts: np.ndarray) -> float:
    """Right pixels in percent, of ``(4,)``: true and false object, true and false background."""
    return 100 * float((counts[0] + counts[2]) / counts.sum())


def mean_iou(counts: np.ndarray) -> float:
    """The mean IoU in percent of object and background, of the same."""
    hit, false, rest, missed = counts
    union = hit + false + missed, rest + false + missed
    return confusion.mean(np.array([(hit, rest), union]))


METRICS = (
    Metric("pixAcc", "pixels that are right, of all images", counts=accuracy),
    Metric("seg-mIoU", "mean IoU of object and background, of all images", counts=mean_iou),
    Metric("mAP", "average precision of both classes' pixels, mean over images"),
    Metric("AP", "average precision of the object's pixels, mean over images", shown=False),
    Metric("F1", "of the object's pixels, mean over images"),
)


@dataclass(frozen=True)
class Record(Row):
    """Pixels of the 224 x 224 image by truth and prediction, and average precisions in percent."""

    hit: int
    false: int
    rest: int
    missed: int
    mean_precision: float
    precision: float


def judge(shown: Map, truth: Truth) -> tuple[int, int, int, int, float, float]:
    mask = truth.square_mask
    marked, counted = mask == OBJECT, mask != IGNORED
    values = shown.linear
    if not np.isfinite(values).all():
        values = np.zeros(values.shape)
    above = (values > values.mean())[counted]
    on = marked[counted]
    hit, predicted, true = int((above & on).sum()), int(above.sum()), int(on.sum())
    false, missed = predicted - hit, true - hit
    ends = values.min(), values.max()
    both, object_only = precisions(values[counted], on, ends)
    rest = len(on) - hit - false - missed
    return hit, false, rest, missed, 100 * both, 100 * object_only


def precisions(values: np.ndarray, on: np.ndarray, ends: tuple[Any, Any]) -> tuple[float, float]:
    """Average precision, 0 to 1, of both classes' scores together, and of the object's alone.

    The background's score is one less the object's, and the authors' mAP ranks both at once.
    `ends` are the whole map's minimum and maximum, ignored pixels', too: scores are 0 and 1 there.
    """
    levels = values
    if values.dtype != np.uint8:
        levels = np.unique(values, return_inverse=True)[1].reshape(values.shape)
        return _both(values, on, *ends), _average(*_sorted(levels, on))
    object_, background = (np.bincount(levels[part], minlength=256) for part in (on, ~on))
    span = slice(int(ends[0]), int(ends[1]) + 1)
    first, second = object_[span], background[span]
    return _average(first + second[::-1], second + first[::-1]), _average(first, second)


def _both(values: np.ndarray, on: np.ndarray, low: float, high: float) -> float:
    if low == high:
        return 0.5  # each pixel is right for one class and wrong for the other
    stretched = (values - low) / (high - low)
    scores = np.concatenate([stretched, 1 - stretched])
    levels = np.unique(scores, return_inverse=True)[1].reshape(-1)
    return _average(*_sorted(levels, np.concatenate([on, ~on])))


def _sorted(levels: np.ndarray, on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = int(levels.max()) + 1
    return np.bincount(levels[on], minlength=count), np.bincount(levels[~on], minlength=count)


def _average(positive: np.ndarray, negative: np.ndarray) -> float:
    """Average precision of counts by level, ascending: each level's precision times its recall.

    As scikit-learn has it; 0 where nothing is positive.
    """
    hit, false = positive[::-1].cumsum(), negative[::-1].cumsum()
    if not len(hit) or not hit[-1]:
        return 0.0
    precision = np.divide(hit, hit + false, out=np.zeros(len(hit)), where=hit + false > 0)
    return float((precision * positive[::-1]).sum() / hit[-1])


def outcomes(frame: "pd.DataFrame", _other: "pd.DataFrame") -> "pd.DataFrame":
    counts = frame[["hit", "false", "rest", "missed"]].to_numpy()
    vectors = measures.vectors(frame, counts)
    hit, wrong = counts[:, 0], counts[:, 1] + counts[:, 3]
    both = 2 * hit + wrong
    f1 = 100 * np.divide(2.0 * hit, both, out=np.zeros(len(frame)), where=both > 0)
    return measures.columns(frame, {
        "pixAcc": vectors, "seg-mIoU": vectors, "mAP": frame["mean_precision"],
        "AP": frame["precision"], "F1": f1,
    })  # fmt: skip
