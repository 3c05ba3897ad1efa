"""PxAP, mPxAP and peak IoU: are the map's pixels the object's, at all thresholds at once?

A record is the image's histogram of map values, on the object and off it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from camx.evaluators import measures
from camx.evaluators.judged import Map, Truth
from camx.evaluators.measures import Row
from camx.evaluators.metrics import Metric
from camx.evaluators.object_masks import IGNORED, OBJECT

if TYPE_CHECKING:
    import pandas as pd

TITLE = "PxAP, mPxAP, pIoU: pixels at every threshold, against masks"
SOURCE = "Choe et al. 2020, CVPR; clovaai/wsolevaluation; Zhu et al. 2022, ECCV (BagCAMs)"
TRUTH = "masks"
CHOOSES = True
STEP = 0.001
TAUS = np.arange(0, 1, STEP)
EDGES = np.append(TAUS, [1.0, 2.0, 3.0])
BINS = len(EDGES) - 1
PEAK = "IoU"  # the curve whose highest point is sought


def _above(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels at or above each bin's edge, the highest first: on the object, off it."""
    on, off = np.asarray(counts, float).reshape(2, BINS)[:, ::-1].cumsum(1)
    return on, off


def average_precision(counts: np.ndarray) -> float:
    """PxAP in percent of ``(2 * BINS,)`` pixels by value, on the object and off it.

    The precision of each bin times the recall that it adds; from the second on, as the authors do.
    NaN where no pixel is the object's.
    """
    on, off = _above(counts)
    if not on[-1]:
        return float("nan")
    precision = np.divide(on, on + off, out=np.zeros(BINS), where=on + off > 0)
    return 100 * float((precision[1:] * np.diff(on)).sum() / on[-1])


def ious(counts: np.ndarray) -> np.ndarray:
    """``(BINS,)``: the IoU in percent of what is at or above each bin's edge, the lowest first."""
    on, off = _above(counts)
    union = on[-1] + off
    return 100 * np.divide(on, union, out=np.zeros(BINS), where=union > 0)[::-1]


def peak_iou(counts: np.ndarray) -> float:
    """pIoU: the highest of the `ious`, all pixels of all images together."""
    return float(ious(counts).max())


def _one_iou(counts: np.ndarray) -> float:
    """The IoU in percent of ``(2,)`` intersection and union."""
    return 100 * float(counts[0] / counts[1]) if counts[1] else float("nan")


METRICS = (
    Metric("PxAP", "area below the pixels' precision-recall curve", counts=average_precision),
    Metric("mPxAP", "mean over classes of PxAP", by_class=average_precision),
    Metric("pIoU", "pixels' IoU at the best threshold", counts=peak_iou),
    Metric("PxIoU", "as pIoU, at the threshold chosen on other images", counts=_one_iou),
)


@dataclass(frozen=True)
class Record(Row):
    """The bins of `EDGES` that hold pixels, and how many each holds of the object, of the rest."""

    bins: tuple[int, ...]
    object: tuple[int, ...]
    background: tuple[int, ...]


def judge(shown: Map, truth: Truth) -> list[tuple[int, ...]]:
    mask = truth.square_mask
    marked, counted = mask == OBJECT, mask != IGNORED
    place = _bins(shown.square)
    on = np.bincount(place[marked], minlength=BINS)
    off = np.bincount(place[counted & ~marked], minlength=BINS)
    held = np.flatnonzero(on + off)
    return [tuple(values.tolist()) for values in (held, on[held], off[held])]


def _bins(values: np.ndarray) -> np.ndarray:
    """The bin of each value, as ``numpy.histogram`` over `EDGES` counts it."""
    place = np.minimum((values / STEP).astype(np.int32), BINS - 2)
    place -= values < EDGES[place]
    place += values >= EDGES[place + 1]
    return place


def table(frame: "pd.DataFrame") -> np.ndarray:
    """``(n, 2 * BINS) int32``: each record's histograms."""
    rows = np.zeros((len(frame), 2 * BINS), np.int32)
    for row, bins, on, off in zip(rows, frame["bins"], frame["object"], frame["background"]):
        row[np.asarray(bins, int)], row[np.asarray(bins, int) + BINS] = on, off
    return rows


def outcomes(frame: "pd.DataFrame", other: "pd.DataFrame") -> "pd.DataFrame":
    rows = table(frame)
    counts = measures.vectors(frame, rows)
    labelled = np.hstack([frame[["label"]].to_numpy(), rows])
    columns = {"PxAP": counts, "mPxAP": measures.vectors(frame, labelled), "pIoU": counts}
    if len(other):
        overlaps = np.full((len(frame), 2), -1)
        elsewhere = dict(measures.by_cell(other))
        for key, of_cell in measures.by_cell(frame):
            if key in elsewhere:
                at = frame.index.get_indexer(of_cell.index)
                edge = int(ious(table(elsewhere[key]).sum(0)).argmax())
                on, off = rows[at, :BINS], rows[at, BINS:]
                hit = on[:, edge:].sum(1)
                overlaps[at] = np.stack([hit, on.sum(1) + off[:, edge:].sum(1)], 1)
        columns["PxIoU"] = measures.vectors(frame, overlaps).where(overlaps[:, 0] >= 0)
    return measures.columns(frame, columns)


def curves(frame: "pd.DataFrame") -> dict[tuple[str, ...], np.ndarray]:
    """Precision, recall and IoU in percent at each of TAUS, of all pixels, by cell."""
    made: dict[tuple[str, ...], np.ndarray] = {}
    for key, rows in measures.by_cell(frame):
        total = table(rows).sum(0)
        on, off = (part[::-1] for part in _above(total))
        precision = np.divide(on, on + off, out=np.full(BINS, np.nan), where=on + off > 0)
        recall = on / on[0] if on[0] else np.full(BINS, np.nan)
        made[(*key, "precision")] = 100 * precision[: len(TAUS)]
        made[(*key, "recall")] = 100 * recall[: len(TAUS)]
        made[(*key, PEAK)] = ious(total)[: len(TAUS)]
    return made
