"""MaxBoxAcc and MaxBoxAccV2: is a box right, at the threshold that is best for the whole data set?

A record keeps the thresholds that the image's box is right at, so that the accuracy at every one of
them, and at one chosen on other images, is computed from records.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from camx.evaluators import measures
from camx.evaluators.judged import Map, Truth
from camx.evaluators.measures import Row
from camx.evaluators.metrics import Metric

if TYPE_CHECKING:
    import pandas as pd

TITLE = "MaxBoxAcc, MaxBoxAccV2: boxes at the best threshold"
SOURCE = "Choe et al. 2020, CVPR; clovaai/wsolevaluation"
TRUTH = "boxes"
CHOOSES = True
STEP = 0.001  # from one threshold to the next
TAUS = np.arange(0, 1, STEP)
DELTAS = (30, 50, 70)  # percent
COUNT = len(TAUS)


def best(counts: np.ndarray) -> float:
    """The highest share of images in percent, of ``(1001,)``: those right at each tau, and all."""
    return 100 * float(counts[:COUNT].max() / counts[COUNT])


def best_of_all(counts: np.ndarray) -> float:
    """The mean over each IoU's highest share, ``(3001,)``: the counts of three, and all."""
    return 100 * float(counts[:-1].reshape(len(DELTAS), COUNT).max(1).mean() / counts[-1])


METRICS = (
    Metric("MaxBoxAcc", "largest contour's box, IoU >= 0.5, best threshold", counts=best),
    Metric("MaxBoxAccV2", "any contour's box, mean of IoU >= 0.3, 0.5, 0.7", counts=best_of_all),
    Metric("BoxAcc", "as MaxBoxAcc, at the threshold chosen on other images"),
    Metric("BoxAccV2", "as MaxBoxAccV2, at the thresholds chosen on other images"),
)


@dataclass(frozen=True)
class Record(Row):
    """The thresholds, in thousandths, that the box is right at: starts and exclusive ends in turn.

    By the rule of the contour, the `largest` or `any`, and by the IoU asked for.
    """

    largest_30: tuple[int, ...]
    largest_50: tuple[int, ...]
    largest_70: tuple[int, ...]
    any_30: tuple[int, ...]
    any_50: tuple[int, ...]
    any_70: tuple[int, ...]


def judge(shown: Map, truth: Truth) -> list[tuple[int, ...]]:
    from camx.evaluators import contours  # compiled, when it is asked for

    right = contours.right(shown.levels, truth.square_boxes)
    whole = (TAUS * int(shown.levels.max())).astype(int)  # what a pixel has to be above
    rows = np.concatenate([right[rule] for rule in contours.RULES])
    return contours.intervals(rows[:, whole])


def notice() -> str:
    """What is to be waited for, the first time."""
    from camx.evaluators.contours import compiling

    return "" if compiling.kept() else "maxboxacc is compiled first, which takes some 15 s, once"


def table(frame: "pd.DataFrame", rule: str, delta: int) -> np.ndarray:
    """``(n,1000) uint8``: whether each record's box is right at each of TAUS."""
    rows = np.zeros((len(frame), COUNT + 1), np.int8)
    ends = frame[f"{rule}_{delta}"].to_numpy()
    lengths = [len(each) for each in ends]
    places = np.repeat(np.arange(len(frame)), lengths)
    flat = np.concatenate([np.asarray(each, int) for each in ends]) if len(frame) else places
    signs = np.concatenate([np.tile((1, -1), n // 2) for n in lengths]) if len(frame) else places
    np.add.at(rows, (places, flat), signs)
    return rows[:, :COUNT].cumsum(1).astype(np.uint8)


def outcomes(frame: "pd.DataFrame", other: "pd.DataFrame") -> "pd.DataFrame":
    """The counts of thresholds, and whether the box is right at those chosen on `other`."""
    one = np.ones((len(frame), 1), np.uint8)
    first = table(frame, "largest", 50)
    each = [table(frame, "any", delta) for delta in DELTAS]
    columns = {
        "MaxBoxAcc": measures.vectors(frame, np.hstack([first, one])),
        "MaxBoxAccV2": measures.vectors(frame, np.hstack([*each, one])),
    }
    if len(other):
        single, mean = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
        elsewhere = dict(measures.by_cell(other))
        for key, rows in measures.by_cell(frame):
            if key in elsewhere:
                at = frame.index.get_indexer(rows.index)
                chosen_on = elsewhere[key]
                single[at] = first[at, peak(table(chosen_on, "largest", 50))]
                levels = [peak(table(chosen_on, "any", delta)) for delta in DELTAS]
                mean[at] = 100 * np.mean([t[at, at_] for t, at_ in zip(each, levels)], axis=0)
        columns |= {"BoxAcc": _hits(single), "BoxAccV2": mean}
    return measures.columns(frame, columns)


def _hits(values: np.ndarray) -> np.ndarray:
    """Hits as bool where all are there, so that they count as a share of images."""
    return values if np.isnan(values).any() else values.astype(bool)


def peak(rows: np.ndarray) -> int:
    """The place in TAUS at which most of ``rows (n,1000)`` are right, the first of equals."""
    return int(rows.sum(0, dtype=np.int64).argmax())


def curves(frame: "pd.DataFrame") -> dict[tuple[str, ...], np.ndarray]:
    """The share of right boxes in percent at each of TAUS, by cell, rule and IoU."""
    return {
        (*key, f"{rule} contour, IoU >= {delta / 100:g}"): shares(rows, rule, delta)
        for key, rows in measures.by_cell(frame)
        for rule, delta in (("largest", 50), *(("any", delta) for delta in DELTAS))
    }


def shares(frame: "pd.DataFrame", rule: str, delta: int) -> np.ndarray:
    """``(1000,)``: the share of right boxes in percent at each of TAUS."""
    return 100 * table(frame, rule, delta).mean(0)
