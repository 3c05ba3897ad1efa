"""Map to box, and IoU (docs/protocol.md, section 1, "Box" and "IoU")."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from camx.evaluators.types import Box

NOTHING: Box = (0, 0, 1, 1)  # the authors' box where no pixel passes the threshold


@dataclass(frozen=True)
class Outline:
    """A mask ``(H,W) uint8``, cut out of the image at pixel `at`, and its outermost contours.

    What is cut off must be empty. Points of contours are pixels of the image.
    """

    mask: np.ndarray
    at: tuple[int, int] = (0, 0)

    @cached_property
    def outer(self) -> Sequence[np.ndarray]:
        return self._contours(cv2.RETR_EXTERNAL)

    @property
    def every(self) -> Sequence[np.ndarray]:
        """Every contour, holes' too, in the authors' order."""
        return self._contours(cv2.RETR_TREE)

    def _contours(self, mode: int) -> Sequence[np.ndarray]:
        return cv2.findContours(self.mask, mode, cv2.CHAIN_APPROX_SIMPLE, offset=self.at)[0]

    @cached_property
    def rectangles(self) -> list[Sequence[int]]:
        """The outermost contours' bounding rectangles: x, y, w, h."""
        return [cv2.boundingRect(contour) for contour in self.outer]

    @cached_property
    def extent(self) -> Box:
        """The box of all that is marked; `NOTHING` if nothing is."""
        if not self.rectangles:
            return NOTHING
        left, top, width, height = np.array(self.rectangles).T
        right, low = (left + width).max(), (top + height).max()
        return int(left.min()), int(top.min()), int(right), int(low)

    def thick(self, contour: np.ndarray) -> bool:
        """Whether a corner of the contour is one of four marked pixels in a square."""
        return any(self._square(x, y) for x, y in (contour[:, 0] - self.at).tolist())

    def _square(self, x: int, y: int) -> bool:
        around = self.mask[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] > 0
        pairs = around[1:] & around[:-1]
        return bool((pairs[:, 1:] & pairs[:, :-1]).any())


def largest_rectangle(outline: Outline) -> Sequence[int]:
    """The contour whose bounding rectangle has the largest w*h, the first of findContours' on ties.

    A contour within another has a smaller rectangle, so the outermost ones decide; all contours, in
    the authors' order, are asked for only to settle a tie between them.
    """
    rectangles = outline.rectangles
    areas = [w * h for _, _, w, h in rectangles]
    if areas.count(max(areas)) == 1:
        return rectangles[areas.index(max(areas))]
    return max(map(cv2.boundingRect, outline.every), key=lambda r: r[2] * r[3])


def largest_contour(outline: Outline) -> Sequence[int]:
    """The bounding rectangle of the contour that encloses the largest area, the first on ties.

    A hole's contour encloses as much as the outer one only where what is between them is nowhere
    two pixels thick, so here too the outermost ones decide, and all settle what is left.
    """
    areas = [cv2.contourArea(contour) for contour in outline.outer]
    first = areas.index(max(areas))
    if areas.count(areas[first]) == 1 and outline.thick(outline.outer[first]):
        return outline.rectangles[first]
    return cv2.boundingRect(max(outline.every, key=cv2.contourArea))


RULES = {"rectangle": largest_rectangle, "contour": largest_contour}


def box(mask: np.ndarray, rule: str = "rectangle") -> Box:
    """The box ``(x0, y0, x1, y1)``, exclusive end, of a uint8 mask; `NOTHING` if it is empty."""
    return outlined(Outline(mask), rule)


def outlined(outline: Outline, rule: str) -> Box:
    """The same of a mask whose contours other rules share."""
    if not outline.outer:
        return NOTHING
    x, y, w, h = RULES[rule](outline)
    return x, y, x + w, y + h


def iou(box: Box, truths: Sequence[Box], convention: str = "inclusive") -> float:
    """The largest IoU of `box` with any of `truths`, in [0, 1].

    ``inclusive`` counts widths and heights +1, as the authors' code does, and is 0 where the boxes'
    overlap has no extent before the +1; ``exact`` counts them as they are.
    """
    extra = 1 if convention == "inclusive" else 0
    x0, y0, x1, y1 = box
    best = 0.0
    for a0, b0, a1, b1 in truths:
        left, top, right, bottom = max(x0, a0), max(y0, b0), min(x1, a1), min(y1, b1)
        if left < right and top < bottom:
            both = (right - left + extra) * (bottom - top + extra)
            areas = (x1 - x0 + extra) * (y1 - y0 + extra) + (a1 - a0 + extra) * (b1 - b0 + extra)
            best = max(best, both / (areas - both))
    return best
