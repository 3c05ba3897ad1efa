"""Pseudo labels (Tables IX to XI) and thresholded maps (Table XIII): maps to masks to records, and records to mIoU.

An image has a map for each of its own classes; class k is index k + 1 of a mask, 0 the background, and 255 does not count.
"""

import pickle
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from camcore import variants
from evaluators import confusion, heatmaps
from evaluators import records as stored
from evaluators.types import Cell, Pseudo, PseudoProtocol, Scene

METRICS = ("mIoU", "mIoU-20", "mIoU-pseudo", "degenerate")
STATISTICS = {"mIoU": confusion.mean, "mIoU-20": confusion.mean, "mIoU-pseudo": confusion.mean}


def canonical(cell: Cell) -> Cell:
    """The cell as records name it."""
    return cell._replace(variant=variants.canonical(cell.layer, cell.variant))


def on_image(grids: np.ndarray, size: tuple[int, int], interpolation: str = "linear") -> np.ndarray:
    """The maps ``(K,g,g) uint8`` of an image's K classes resized to ``size = (width, height)``: ``(K,height,width) uint8``."""
    found = np.empty((len(grids), *size[::-1]), np.uint8)
    for at, grid in enumerate(grids):
        found[at] = heatmaps.on_image(grid, size, interpolation)
    return found


def assign(maps: np.ndarray, labels: Sequence[int], superpixels: np.ndarray | None, threshold: float = 0.3) -> np.ndarray:
    """Eq. 10 of the paper: the pseudo label ``(H,W) uint8`` of an image from the maps ``(K,H,W)`` of its classes `labels`.

    Each class's map, uint8 or float in 0 to 1, is averaged over each of the ``superpixels (H,W)``, numbered from 0; all
    its pixels take the class with the highest mean, the first of equals, or the background where that mean is below
    `threshold`. Without superpixels each pixel is one. An image without classes is all background.
    """
    _check(maps, labels)
    height, width = maps.shape[1:]
    if not len(maps):
        return np.zeros((height, width), np.uint8)
    if superpixels is None:
        means = maps.reshape(len(maps), -1) / _peak(maps)
    elif superpixels.shape != (height, width) or superpixels.dtype.kind not in "iu" or superpixels.min() < 0:
        raise ValueError(f"superpixels must be ({height},{width}) whole numbers from 0, not {superpixels.shape} of {superpixels.dtype}")
    else:
        counts = np.maximum(np.bincount(superpixels.ravel()), 1)  # a number that no pixel has is never asked for
        sums = np.stack([np.bincount(superpixels.ravel(), m.ravel()) for m in maps])
        means = sums / (counts * _peak(maps))  # one rounding: a mean of 76.5 of 255 is 0.3, not a little less
    found = _chosen(means.argmax(0), labels, means.max(0) >= threshold)
    return found.reshape(height, width) if superpixels is None else found[superpixels]


def _chosen(best: np.ndarray, labels: Sequence[int], marked: np.ndarray) -> np.ndarray:
    """Indices of a mask: the best of the image's own classes where `marked`, elsewhere the background."""
    return np.where(marked, np.asarray(labels)[best] + 1, 0).astype(np.uint8)


def _peak(maps: np.ndarray) -> int:
    return 255 if maps.dtype == np.uint8 else 1


def _level(maps: np.ndarray, threshold: float) -> float:
    """The threshold in the maps' own unit, without what 255 t leaves behind the ninth digit."""
    return round(_peak(maps) * threshold, 9)


def _check(maps: np.ndarray, labels: Sequence[int]) -> None:
    if maps.ndim != 3 or len(maps) != len(labels):
        raise ValueError(f"{len(labels)} classes need maps ({len(labels)},H,W), one each, not {maps.shape}")
    if maps.dtype != np.uint8 and maps.size and not (maps.min() >= 0 and maps.max() <= 1):
        raise ValueError(f"maps hold {maps.min():g} to {maps.max():g}; accepted: 0 to 1, or uint8")


def argmax(maps: np.ndarray, labels: Sequence[int], threshold: float = 0.2) -> np.ndarray:
    """Each pixel's best class of the image's own, ``(H,W) uint8``: the background unless its map exceeds `threshold`."""
    _check(maps, labels)
    if not len(maps):
        return np.zeros(maps.shape[1:], np.uint8)
    return _chosen(maps.argmax(0), labels, maps.max(0) > _level(maps, threshold))


def argmax_confusion(maps: np.ndarray, labels: Sequence[int], truth: np.ndarray, classes: int, threshold: float = 0.2) -> np.ndarray:
    """Table XIII with the background as a class: `argmax` against ``truth (H,W)``, ``(classes+1,classes+1) int64``.

    The background competes with a constant `threshold` and wins a tie. A true class without a map is missed.
    """
    return confusion.confusion(truth, argmax(maps, labels, threshold), classes + 1)


def hard_counts(maps: np.ndarray, labels: Sequence[int], truth: np.ndarray, classes: int, threshold: float = 0.2) -> np.ndarray:
    """Table XIII class by class: ``(2,classes) int64``, intersection and union in pixels of each own class.

    A class's map above `threshold` against where ``truth (H,W)`` is that class; the background is no class, and maps
    may overlap. Classes that are not in `labels` count nothing.
    """
    _check(maps, labels)
    counted, found = truth != confusion.IGNORED, np.zeros((2, classes), np.int64)
    for label, marked in zip(labels, maps > _level(maps, threshold)):
        true = truth == label + 1
        found[:, label] = (marked & true).sum(), ((marked | true) & counted).sum()
    return found


def score(
    scene: Scene,
    maps: Mapping[Cell, np.ndarray],
    pseudo: Mapping[Cell, np.ndarray],
    truth: np.ndarray | None,
    classes: int,
    protocol: PseudoProtocol,
) -> list[Pseudo]:
    """One record per cell from its maps on the image, ``(K,H,W) uint8`` in the order of the scene's labels.

    `pseudo` are the cells' pseudo labels ``(H,W) uint8`` (`assign`). ``truth (H,W) uint8`` is the true mask, or None;
    without it a record says only that the image was done. Raises `ValueError` naming the image.
    """
    records = []
    for cell, stack in maps.items():
        try:
            counts = _counts(scene, stack, pseudo[cell], truth, classes, protocol.hard_threshold)
        except ValueError as error:
            raise ValueError(f"{scene.mask or scene.path}: {error}") from None
        empty = any(heatmaps.degenerate(m) for m in stack)
        records.append(Pseudo(scene.image_id, *cell, tuple(scene.labels), classes, *counts, empty))
    return records


def _counts(
    scene: Scene, maps: np.ndarray, pseudo: np.ndarray, truth: np.ndarray | None, classes: int, threshold: float
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """A record's `confusion`, `argmax`, `intersections` and `unions`."""
    unknown = [label for label in scene.labels if not 0 <= label < classes]
    if unknown:
        raise ValueError(f"class {unknown[0]} is none of the data set's; accepted: 0 to {classes - 1}")
    if truth is None:
        return (), (), (), ()
    labelled = confusion.confusion(truth, pseudo, classes + 1)
    constant = argmax_confusion(maps, scene.labels, truth, classes, threshold)
    both, either = hard_counts(maps, scene.labels, truth, classes, threshold)[:, list(scene.labels)].tolist()
    return confusion.sparse(labelled), confusion.sparse(constant), tuple(both), tuple(either)


def outcomes(run: Path) -> list[pd.DataFrame]:
    """Per image and cell, keyed as records: intersections and unions by class for each mIoU; missing without a true mask.

    mIoU is Table XIII's form with the background as a class (`argmax_confusion`), mIoU-20 its class-wise form
    (`hard_counts`), mIoU-pseudo that of the pseudo labels.
    """
    frame = stored.read(run, [*stored.KEY, "classes", "labels", "confusion", "argmax", "intersections", "unions", "degenerate"])
    if frame.empty:
        return []
    measured, classes = frame[frame["confusion"].map(len) > 0], int(frame["classes"].max())
    counts = {
        "mIoU": confusion.sparse_overlaps(measured["argmax"].to_list(), classes + 1),
        "mIoU-20": _own_overlaps(measured, classes),
        "mIoU-pseudo": confusion.sparse_overlaps(measured["confusion"].to_list(), classes + 1),
    }
    columns = {metric: pd.Series(list(values), index=measured.index, dtype=object) for metric, values in counts.items()}
    return [frame[[*stored.KEY, "degenerate"]].assign(**columns)]


def _own_overlaps(frame: pd.DataFrame, classes: int) -> np.ndarray:
    """Each record's intersections and unions, ``(N,2,classes) float64``, from those of its own classes."""
    found = np.zeros((len(frame), 2, classes))
    for row, (labels, *own) in enumerate(zip(frame["labels"], frame["intersections"], frame["unions"])):
        found[row][:, np.asarray(labels, int)] = own
    return found


def cues(maps: np.ndarray, labels: Sequence[int], size: int = 41, foreground: float = 0.2, background: float = 0.05) -> np.ndarray:
    """Seeds as DGCN takes them: ``(3,N) int64``, index of the mask, y and x, on a grid of `size` over the whole image.

    A cell is a class's where its map ``(H,W)`` of ``maps (K,H,W)`` exceeds the share `foreground` of its maximum; of
    several, the class with the fewest cells takes it (as in hustvl/DGCN, dsrg_cues.py). It is background where
    every map is below the share `background` of its maximum: DGCN has it from a saliency model, which camx has not. A
    class whose map is empty may be anywhere, so that there is no background then.
    """
    _check(maps, labels)
    small = [cv2.resize(m.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) for m in maps]
    found = np.zeros((size, size), int)
    for grid in small:
        found[grid >= background * grid.max()] = -1
    taken = [(grid > foreground * grid.max(), label) for grid, label in zip(small, labels)]
    for cells, label in sorted(taken, key=lambda pair: -int(pair[0].sum())):
        found[cells] = label + 1
    y, x = np.nonzero(found >= 0)
    return np.stack([found[y, x], y, x])


def input_list(path: Path) -> dict[str, int]:
    """``{image_id: i}`` of DGCN's ``input_list.txt``, whose lines are ``image.jpg i``."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such list; expected DGCN's dataset/list/input_list.txt")
    found: dict[str, int] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split()
        if words and (len(words) != 2 or not words[1].isdecimal()):
            raise ValueError(f"{path}, line {number}: {line.strip()!r} is not an image and its number, such as 2008_007028.jpg 0")
        if words and found.setdefault(Path(words[0]).stem, int(words[1])) != int(words[1]):
            raise ValueError(f"{path}, line {number}: {words[0]} has two numbers")
    return found


def export_cues(path: Path, numbers: Mapping[str, int], seeds: Iterable[tuple[str, Sequence[int], np.ndarray]]) -> list[str]:
    """Write DGCN's seed pickle of ``(image_id, class indices, cues)`` as they come; returns the listed images without any.

    Image i of `numbers` has ``i_labels``, the indices of the mask that are in it without the background, and
    ``i_cues (3,N)``. Whole or not at all, and one image at a time in memory.
    """
    missing = dict.fromkeys(numbers)

    def items() -> Iterator[tuple[str, np.ndarray]]:
        for image_id, labels, found in seeds:
            if image_id not in numbers:
                raise ValueError(f"{image_id}: not in DGCN's list of {len(numbers)} images")
            missing.pop(image_id, None)
            yield f"{numbers[image_id]}_labels", np.asarray(labels, np.int64) + 1
            yield f"{numbers[image_id]}_cues", found

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as file:
            _Pickler(file).dump(_Items(items()))
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    return list(missing)


@dataclass(frozen=True)
class _Items:
    """What a pickled dictionary shall hold, taken one by one."""

    pairs: Iterator[tuple[str, np.ndarray]]


class _Pickler(pickle.Pickler):
    """Writes `_Items` as a dictionary, and arrays as ``numpy.array(list, dtype)``, which every release of NumPy can read.

    A plain array of NumPy 2 names a module that the older NumPy of DGCN's time lacks.
    """

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=4)  # the first that goes to the file as it grows
        self.fast = True  # keeps no reference to what was written

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, _Items):
            return dict, (), None, None, value.pairs
        if isinstance(value, np.ndarray):
            return np.array, (value.tolist(), value.dtype.name)
        return NotImplemented
