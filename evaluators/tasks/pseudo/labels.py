"""Maps to a segmentation label (eq. 10), and what Table XIII counts of them.

An image has a map for each of its own classes; class k is index k + 1 of a mask, 0 the background,
and 255 does not count.
"""

from collections.abc import Sequence

import numpy as np

from camx.evaluators import confusion, heatmaps


def on_image(grids: np.ndarray, size: tuple[int, int], interpolation: str = "linear") -> np.ndarray:
    """The maps ``(K,g,g) uint8`` resized to `size` (width, height): ``(K,height,width)``."""
    resized = [heatmaps.on_image(grid, size, interpolation) for grid in grids]
    return np.array(resized, np.uint8).reshape(len(grids), *size[::-1])


def assign(
    maps: np.ndarray, labels: Sequence[int], superpixels: np.ndarray | None, threshold: float = 0.3
) -> np.ndarray:
    """Eq. 10: the pseudo label ``(H,W) uint8`` from the maps ``(K,H,W)`` of an image's `labels`.

    Each class's map, uint8 or float in 0 to 1, is averaged over each of the ``superpixels (H,W)``,
    numbered from 0; all its pixels take the class with the highest mean, the first of equals, or
    the background where that mean is below `threshold`. Without superpixels each pixel is one. An
    image without classes is all background.
    """
    check(maps, labels)
    if not len(maps):
        return np.zeros(maps.shape[1:], np.uint8)
    if superpixels is None:
        means = maps.reshape(len(maps), -1) / _peak(maps)
    else:
        means = _superpixel_means(maps, superpixels)
    indices = _indices(means.argmax(0), labels, means.max(0) >= threshold)
    return indices.reshape(maps.shape[1:]) if superpixels is None else indices[superpixels]


def _superpixel_means(maps: np.ndarray, superpixels: np.ndarray) -> np.ndarray:
    """The mean of each of ``maps (K,H,W)`` in 0 to 1 over each superpixel: ``(K,S)``."""
    shape, whole = maps.shape[1:], superpixels.dtype.kind in "iu"
    if superpixels.shape != shape or not whole or superpixels.min() < 0:
        expected = f"({shape[0]},{shape[1]}) whole numbers from 0"
        what = f"{superpixels.shape} of {superpixels.dtype}"
        raise ValueError(f"superpixels must be {expected}, not {what}")
    places = superpixels.ravel()
    counts = np.maximum(np.bincount(places), 1)  # a number that no pixel has is never asked for
    sums = np.stack([np.bincount(places, m.ravel()) for m in maps])
    # One rounding: a mean of 76.5 of 255 is 0.3, not a little less.
    return sums / (counts * _peak(maps))


def _indices(best: np.ndarray, labels: Sequence[int], marked: np.ndarray) -> np.ndarray:
    """Indices of a mask: the best of the image's classes where `marked`, else background."""
    return np.where(marked, np.asarray(labels)[best] + 1, 0).astype(np.uint8)


def _peak(maps: np.ndarray) -> int:
    return 255 if maps.dtype == np.uint8 else 1


def _level(maps: np.ndarray, threshold: float) -> float:
    """The threshold in the maps' own unit, without what 255 t leaves behind the ninth digit."""
    return round(_peak(maps) * threshold, 9)


def check(maps: np.ndarray, labels: Sequence[int]) -> None:
    """Raise `ValueError` unless there is a map ``(H,W)``, uint8 or 0 to 1, for each of `labels`."""
    if maps.ndim != 3 or len(maps) != len(labels):
        expected = f"maps ({len(labels)},H,W), one each"
        raise ValueError(f"{len(labels)} classes need {expected}, not {maps.shape}")
    if maps.dtype != np.uint8 and maps.size and not (maps.min() >= 0 and maps.max() <= 1):
        raise ValueError(f"maps hold {maps.min():g} to {maps.max():g}; accepted: 0 to 1, or uint8")


def argmax(maps: np.ndarray, labels: Sequence[int], threshold: float = 0.2) -> np.ndarray:
    """Each pixel's best class, ``(H,W) uint8``: background unless its map exceeds `threshold`."""
    check(maps, labels)
    if not len(maps):
        return np.zeros(maps.shape[1:], np.uint8)
    return _indices(maps.argmax(0), labels, maps.max(0) > _level(maps, threshold))


def argmax_confusion(
    maps: np.ndarray, labels: Sequence[int], truth: np.ndarray, classes: int, threshold: float = 0.2
) -> np.ndarray:
    """Table XIII with the background as a class: `argmax` against ``truth (H,W)``.

    The background competes with a constant `threshold` and wins a tie. A true class without a map
    is missed.
    """
    return confusion.confusion(truth, argmax(maps, labels, threshold), classes + 1)


def hard_counts(
    maps: np.ndarray, labels: Sequence[int], truth: np.ndarray, classes: int, threshold: float = 0.2
) -> np.ndarray:
    """Table XIII class by class: ``(2,classes) int64``, intersections and unions in pixels.

    A class's map above `threshold` against where ``truth (H,W)`` is that class; the background is
    no class, and maps may overlap. Classes that are not in `labels` count nothing.
    """
    check(maps, labels)
    counted, counts = truth != confusion.IGNORED, np.zeros((2, classes), np.int64)
    for label, marked in zip(labels, maps > _level(maps, threshold)):
        true = truth == label + 1
        counts[:, label] = (marked & true).sum(), ((marked | true) & counted).sum()
    return counts
