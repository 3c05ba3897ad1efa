"""Mean IoU from one confusion matrix over the set, as the VOC devkit's ``VOCevalseg.m`` has it; class 0 is the background."""

from collections.abc import Sequence

import numpy as np

IGNORED = 255  # a mask's pixels of this index do not count


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """``(classes,classes) int64``: how many pixels of each true class (rows) each class was predicted for (columns).

    `truth` and `predicted` are ``(H,W)`` indices 0 to classes - 1. Where the truth is 255 nothing counts, whatever was
    predicted. Raises `ValueError` naming an index out of range, or two sizes that differ.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"the prediction is {_size(predicted)}, but the true mask is {_size(truth)}")
    counted = truth != IGNORED
    true, found = _indices(truth[counted], "the true mask", classes), _indices(predicted[counted], "the prediction", classes)
    return np.bincount(classes * true + found, minlength=classes**2).reshape(classes, classes)


def _size(mask: np.ndarray) -> str:
    return " x ".join(map(str, mask.shape[::-1]))


def _indices(values: np.ndarray, what: str, classes: int) -> np.ndarray:
    for value in (values.min(), values.max()) if len(values) else ():
        if not 0 <= value < classes:
            ignored = f", and {IGNORED} where a pixel does not count" if "true" in what else ""
            raise ValueError(f"{what} holds index {value}; accepted: 0 to {classes - 1}{ignored}")
    return values.astype(np.int64)


def overlaps(confusion: np.ndarray) -> np.ndarray:
    """``(2,classes)``: each class's intersection and union. They add up over images, and IoU needs no more."""
    hit = np.diagonal(confusion)
    return np.stack([hit, confusion.sum(0) + confusion.sum(1) - hit])


def ious(overlaps: np.ndarray) -> np.ndarray:
    """``(classes,)``, 0 to 1, of intersections and unions ``(2,classes)``; NaN for a class neither true nor predicted."""
    hit, union = np.asarray(overlaps, float)
    return np.divide(hit, union, out=np.full(len(hit), np.nan), where=union > 0)


def mean(overlaps: np.ndarray) -> float:
    """The mean IoU in percent of intersections and unions ``(2,classes)``, over the classes that are true or predicted.

    For a class that is neither, the devkit divides 0 by 0. On a whole VOC set there is none; on a part of one, such a
    class is left out here. One that is predicted but nowhere true counts, with 0. NaN if nothing is left.
    """
    found = ious(overlaps)
    known = found[~np.isnan(found)]
    return 100 * float(known.mean()) if len(known) else float("nan")


def iou(confusion: np.ndarray) -> np.ndarray:
    """Each class's IoU, ``(classes,)``, 0 to 1; NaN for a class neither true nor predicted."""
    return ious(overlaps(confusion))


def miou(confusion: np.ndarray) -> float:
    """The mean IoU in percent; see `mean` for a class that is absent."""
    return mean(overlaps(confusion))


def sparse(confusion: np.ndarray) -> tuple[int, ...]:
    """What is not zero: true class, predicted class, pixels; true class, ... An image's matrix holds few."""
    true, predicted = np.nonzero(confusion)
    return tuple(np.stack([true, predicted, confusion[true, predicted]], 1).ravel().tolist())


def sparse_overlaps(matrices: Sequence[Sequence[int]], classes: int) -> np.ndarray:
    """`overlaps` of each of N matrices that `sparse` wrote: ``(N,2,classes) float64``.

    Whole numbers, as floats because the bootstrap multiplies them many times, which NumPy does fast for floats only.
    """
    true, predicted, pixels = np.concatenate([np.asarray(m, np.int64) for m in [*matrices, ()]]).reshape(-1, 3).T
    row = classes * np.repeat(np.arange(len(matrices)), np.array([len(m) // 3 for m in matrices], int))

    def total(index: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.bincount(row + index, weight, classes * len(matrices)).reshape(-1, classes)

    hit = total(true, pixels * (true == predicted))
    return np.stack([hit, total(true, pixels) + total(predicted, pixels) - hit], 1)
