"""Regions as COCO writes them: polygons, or runs of pixels column by column, plain or compressed.

What pycocotools would read past its end, or fill from memory that it never wrote, is refused here:
it checks neither that runs fill the image nor that a polygon is near it.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco

from camx.evaluators.files import digest
from camx.evaluators.object_masks import ObjectMask, Size, nearest

NUMBERS = (int, float)


@dataclass(frozen=True)
class Region:
    """Polygons ``x, y, x, y, ...``, or lengths of runs that are outside and inside in turn."""

    polygons: tuple[tuple[float, ...], ...] = ()
    runs: tuple[int, ...] = ()

    def drawn(self, size: Size) -> np.ndarray:
        """``(h,w) bool`` at the size of its image, as pycocotools draws it."""
        (width, height), runs = size, list(self.runs)
        if self.polygons:
            rings = [list(polygon) for polygon in self.polygons]
            merged = coco.merge(coco.frPyObjects(rings, height, width))
            runs = unpacked(merged["counts"].decode())
        inside = np.arange(len(runs)) % 2 == 1
        return np.repeat(inside, runs).reshape(width, height).T


@dataclass(frozen=True)
class Regions(ObjectMask):
    """The regions of a class in an image of `size` (width, height), one an instance."""

    size: Size
    regions: tuple[Region, ...]

    @property
    def files(self) -> tuple[()]:
        return ()  # one file says those of all images: its share of it is the rule

    @property
    def rule(self) -> str:
        return f"regions {digest([repr((self.size, self.regions)).encode()])}"

    def parts(self, size: Size) -> list[np.ndarray]:
        drawn = (region.drawn(self.size).astype(np.uint8) for region in self.regions)
        return [nearest(pixels, size).astype(bool) for pixels in drawn]


def read_region(told: Any, size: Size) -> Region:
    """A region as JSON holds it. `ValueError` for what is none of an image of `size`."""
    if isinstance(told, list):
        return Region(tuple(_polygon(polygon, size) for polygon in told))
    if not isinstance(told, dict) or told.get("size") != [size[1], size[0]]:
        there = told.get("size") if isinstance(told, dict) else told
        expected = f"polygons, or runs of size {[size[1], size[0]]}, the image's height and width"
        raise ValueError(f"segmentation of size {there!r}; expected {expected}")
    counts = told.get("counts")
    runs = unpacked(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise ValueError(f"counts {str(counts)[:40]!r} are no runs; expected COCO's, or a list")
    if sum(runs) != size[0] * size[1]:
        what = f"counts of {sum(runs)} pixels"
        raise ValueError(f"{what}; expected {size[0] * size[1]}, those of the image")
    return Region(runs=tuple(runs))


def _polygon(told: Any, size: Size) -> tuple[float, ...]:
    if not isinstance(told, list) or not all(type(number) in NUMBERS for number in told):
        raise ValueError(f"polygon {str(told)[:40]}; expected numbers x, y, x, y, ...")
    if len(told) < 6 or len(told) % 2:
        what = f"a polygon of {len(told)} numbers"
        raise ValueError(f"{what}; expected x, y of three corners or more")
    for name, values, side in (("x", told[::2], size[0]), ("y", told[1::2], size[1])):
        low, high = min(values), max(values)
        if not (-side <= low and high <= 2 * side and math.isfinite(sum(values))):
            what = f"a polygon from {name} {low} to {high}"
            raise ValueError(f"{what}, but the image has {side} pixels there")
    return tuple(told)


def unpacked(text: str) -> list[int]:
    """The runs of pycocotools's compressed form; its last is -1 for a text that is none.

    Six bits a character from ``0`` on: five of a number, lowest first, and one that says whether it
    goes on, whose fifth bit is its sign at the end. From the fourth run on it is the difference to
    the run two before.
    """
    runs: list[int] = []
    value = shift = 0
    for code in text.encode("utf-8"):
        bits = code - 48
        if not 0 <= bits < 64:
            return [-1]
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) * (bits >> 4 & 1)
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return [-1] if shift else runs
