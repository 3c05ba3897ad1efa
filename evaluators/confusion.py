"""Mean IoU from one confusion matrix over the set, as the devkit's ``VOCevalseg.m``."""

from collections.abc import Sequence

import numpy as np

IGNORED = 255  # a mask's pixels of this index do not count


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """``(classes,classes) int64``: pixels of each true class (rows) by predicted class (columns).

    `truth` and `predicted` are ``(H,W)`` indices 0 to classes - 1. Where the truth is 255 nothing
    counts, whatever was predicted. Raises `ValueError` naming an index out of range, or two sizes
    that differ.
    """
    if truth.shape != predicted.shape:
        ours, true = (" x ".join(map(str, mask.shape[::-1])) for mask in (predicted, truth))
        raise ValueError(f"the prediction is {ours}, but the true mask is {true}")
    counted = truth != IGNORED
    rows, columns = (mask[counted].astype(np.int64) for mask in (truth, predicted))
    _check(rows, "the true mask", classes, f", and {IGNORED} where a pixel does not count")
    _check(columns, "the prediction", classes)
    return np.bincount(classes * rows + columns, minlength=classes**2).reshape(classes, classes)


def _check(indices: np.ndarray, what: str, classes: int, also: str = "") -> None:
    for index in (indices.min(), indices.max()) if len(indices) else ():
        if not 0 <= index < classes:
            raise ValueError(f"{what} holds index {index}; accepted: 0 to {classes - 1}{also}")


def overlaps(confusion: np.ndarray) -> np.ndarray:
    """``(2,classes)``: each class's intersection and union, which add up over images."""
    hit = np.diagonal(confusion)
    return np.stack([hit, confusion.sum(0) + confusion.sum(1) - hit])


def ious(overlaps: np.ndarray) -> np.ndarray:
    """``(classes,)``, 0 to 1, of ``(2,classes)``; NaN for a class neither true nor predicted."""
    hit, union = np.asarray(overlaps, float)
    return np.divide(hit, union, out=np.full(len(hit), np.nan), where=union > 0)


def mean(overlaps: np.ndarray) -> float:
    """The mean IoU in percent of overlaps ``(2,classes)``, over the classes true or predicted.

    For a class that is neither, the devkit divides 0 by 0. On a whole VOC set there is none; on a
    part of one, such a class is left out here. One that is predicted but nowhere true counts, with
    0. NaN if nothing is left.
    """
    shares = ious(overlaps)
    of_present = shares[~np.isnan(shares)]
    return 100 * float(of_present.mean()) if len(of_present) else float("nan")


def iou(confusion: np.ndarray) -> np.ndarray:
    """Each class's IoU, ``(classes,)``, 0 to 1; NaN for a class neither true nor predicted."""
    return ious(overlaps(confusion))


def miou(confusion: np.ndarray) -> float:
    """The mean IoU in percent; see `mean` for a class that is absent."""
    return mean(overlaps(confusion))


def sparse(confusion: np.ndarray) -> tuple[int, ...]:
    """What is not zero: true class, predicted class, pixels; true class, ..."""
    true, predicted = np.nonzero(confusion)
    return tuple(np.stack([true, predicted, confusion[true, predicted]], 1).ravel().tolist())


def sparse_overlaps(matrices: Sequence[Sequence[int]], classes: int) -> np.ndarray:
    """`overlaps` of each of N matrices that `sparse` wrote: ``(N,2,classes) float64``.

    Whole numbers, as floats because an interval sums them many times, which NumPy does fast for
    floats only.
    """
    entries = np.concatenate([np.asarray(m, np.int64) for m in [*matrices, ()]])
    true, predicted, pixels = entries.reshape(-1, 3).T
    lengths = np.array([len(m) // 3 for m in matrices], int)
    start = np.repeat(classes * np.arange(len(matrices)), lengths)  # of each entry's matrix

    def total(index: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.bincount(start + index, weight, classes * len(matrices)).reshape(-1, classes)

    hit = total(true, pixels * (true == predicted))
    return np.stack([hit, total(true, pixels) + total(predicted, pixels) - hit], 1)
