"""Map to box, and IoU (docs/protocol.md, section 1, "Box" and "IoU")."""

from collections.abc import Sequence

import cv2
import numpy as np

from camx.evaluators.types import Box

NOTHING: Box = (0, 0, 1, 1)  # the authors' box where no pixel passes the threshold


def _contours(mask: np.ndarray, mode: int = cv2.RETR_TREE) -> Sequence[np.ndarray]:
    return cv2.findContours(mask, mode, cv2.CHAIN_APPROX_SIMPLE)[0]


def largest_rectangle(mask: np.ndarray) -> Box:
    """The contour whose bounding rectangle has the largest w*h, the first of findContours' on ties.

    A contour within another has a smaller rectangle, so the outermost ones decide; all contours, in
    the authors' order, are asked for only to settle a tie between them.
    """
    rectangles = [cv2.boundingRect(contour) for contour in _contours(mask, cv2.RETR_EXTERNAL)]
    if not rectangles:
        return NOTHING
    areas = [w * h for _, _, w, h in rectangles]
    if areas.count(max(areas)) == 1:
        x, y, w, h = rectangles[areas.index(max(areas))]
    else:
        x, y, w, h = max(map(cv2.boundingRect, _contours(mask)), key=lambda r: r[2] * r[3])
    return x, y, x + w, y + h


def largest_contour(mask: np.ndarray) -> Box:
    """The bounding rectangle of the contour that encloses the largest area, the first on ties."""
    contours = _contours(mask)
    if not contours:
        return NOTHING
    x, y, w, h = cv2.boundingRect(max(contours, key=cv2.contourArea))
    return x, y, x + w, y + h


RULES = {"rectangle": largest_rectangle, "contour": largest_contour}


def box(mask: np.ndarray, rule: str = "rectangle") -> Box:
    """The box ``(x0, y0, x1, y1)``, exclusive end, of a uint8 mask; `NOTHING` if it is empty."""
    return RULES[rule](mask)


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
