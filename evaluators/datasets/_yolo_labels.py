"""YOLO's files of labels: a line an object, box or polygon, in shares of the picture's sides."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from camx.evaluators.datasets._objects import Marked
from camx.evaluators.files import read_lines
from camx.evaluators.object_masks import ObjectMask, Size
from camx.evaluators.values import Box, whole_of

FORM = "class cx cy w h, or class x1 y1 x2 y2 x3 y3 ..., in shares from 0 to 1"


@dataclass(frozen=True)
class Polygons(ObjectMask):
    """A class's polygons in a file of labels, each ``(x1, y1, x2, y2, ...)`` in shares."""

    path: Path
    label: int
    outlines: tuple[tuple[float, ...], ...]

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    @property
    def rule(self) -> str:
        return f"polygons of class {self.label}, by pixels' centres"

    def parts(self, size: Size) -> list[np.ndarray]:
        return [_filled(np.reshape(outline, (-1, 2)) * size, size) for outline in self.outlines]


def _filled(points: np.ndarray, size: Size) -> np.ndarray:
    """``(h,w) bool``: the pixels whose centres lie in a polygon of ``(n,2)`` points x, y."""
    from skimage import draw  # takes a moment to import

    mask = np.zeros(size[::-1], bool)
    mask[draw.polygon(points[:, 1] - 0.5, points[:, 0] - 0.5, mask.shape)] = True
    return mask


def read_labels(
    path: Path, size: Size, classes: int, origin: Path
) -> tuple[list[Marked], Mapping[int, ObjectMask]]:
    """The objects of a file of labels, and the masks of classes that have polygons alone.

    There are so many `classes` by `origin`.
    Raises `ValueError` naming the line for a class or a number out of range.
    """
    objects: list[Marked] = []
    outlines: dict[int, list[tuple[float, ...]]] = {}
    for number, line in read_lines(path, "file of labels"):
        where = f"{path}, line {number}"
        label, shares = _numbers(line.split(), classes, origin, where)
        polygon = len(shares) > 4
        objects.append(Marked(label, _around(shares, size) if polygon else _box(shares, size)))
        outlines.setdefault(label, []).append(shares if polygon else ())
    masks: dict[int, ObjectMask] = {
        label: Polygons(path, label, tuple(parts))
        for label, parts in outlines.items()
        if all(parts)
    }
    return objects, masks


def _numbers(
    words: Sequence[str], classes: int, origin: Path, where: str
) -> tuple[int, tuple[float, ...]]:
    """``(class, shares)`` of a line. `ValueError` for what is none."""
    first, *rest = words
    if not 0 <= whole_of(first) < classes:
        expected = f"expected a whole number below {classes}, those of the classes of {origin}"
        raise ValueError(f"{where}: class is {first!r}; {expected}")
    if len(rest) != 4 and (len(rest) < 6 or len(rest) % 2):
        raise ValueError(f"{where}: {len(words)} values; expected {FORM}")
    shares = tuple(map(_share, rest))
    if wrong := [word for word, share in zip(rest, shares) if not 0 <= share <= 1]:
        raise ValueError(f"{where}: {wrong[0]!r} is no share from 0 to 1; expected {FORM}")
    if len(rest) == 4 and 0 in shares[2:]:
        raise ValueError(f"{where}: a box of no size; expected w and h above 0")
    return int(first), shares


def _share(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def _box(shares: Sequence[float], size: Size) -> Box:
    x, y, w, h = shares
    return _pixels(x - w / 2, y - h / 2, x + w / 2, y + h / 2, size)


def _around(shares: Sequence[float], size: Size) -> Box:
    xs, ys = shares[::2], shares[1::2]
    return _pixels(min(xs), min(ys), max(xs), max(ys), size)


def _pixels(x0: float, y0: float, x1: float, y1: float, size: Size) -> Box:
    """A box in whole pixels, at least one wide and high, and beginning in the picture."""
    (left, right), (top, bottom) = (
        (min(round(low * side), side - 1), round(high * side))
        for low, high, side in ((x0, x1, size[0]), (y0, y1, size[1]))
    )
    return left, top, max(right, left + 1), max(bottom, top + 1)
