"""At which thresholds a map's boxes are right: every contour of every binary map, in one pass.

What stands here in 255 calls of OpenCV's ``findContours``, one a threshold, takes 20 ms a map and
more; a tree of the components of all thresholds gives the same answers in one or two. Holes, which
``findContours`` lists too, are the components of the inverted map by 4 neighbours instead of 8,
less the one outside. Where areas do not settle which contour is the largest, ``findContours`` does.

A contour's box is its bounding rectangle as wsolevaluation takes it: exclusive end, capped at the
last pixel, and every width and height counted + 1 (`docs/measures.md`).
"""

import threading
from typing import Any

import cv2
import numpy as np

from camx.evaluators.contours import basins
from camx.evaluators.contours.basins import FAR
from camx.evaluators.contours.compiling import compiled
from camx.evaluators.contours.floods import LEVELS, flood, overlap

DELTAS = (0.3, 0.5, 0.7)  # IoU from which a box is right
LEAST = DELTAS[0]
THRESHOLDS = 255  # whole numbers, 0 to 254, that a pixel may be above
RULES = ("largest", "all")  # which contours' boxes count: MaxBoxAcc's, MaxBoxAccV2's
_memory = threading.local()  # what a map's passes write into, once a thread


@compiled
def _holes(
    grid: np.ndarray, truths: np.ndarray, small: float, label: np.ndarray, above: np.ndarray,
    peak: np.ndarray, number: np.ndarray, first: np.ndarray, level: np.ndarray, pairs: np.ndarray,
    best: np.ndarray,
) -> Any:  # fmt: skip
    """Put the best IoU of any hole's contour into ``best (255,)``; twice what holes may hide."""
    hidden = np.zeros(THRESHOLDS, np.int32)
    n = basins.hollows(grid, label, above, peak)
    m = basins.number(grid, label, above, peak, n, number, first, True)
    if m == 1:
        return hidden
    rows = first[0]
    box, area = basins.extents(grid, label, first, rows, True), np.zeros(rows, np.int32)
    n = basins.sides(grid, label, level, pairs)
    states, _, room, _ = flood(
        m, peak, first, box, area, level, pairs, n, True, grid, truths, small
    )
    for v in range(1, LEVELS):
        hidden[LEVELS - 1 - v] = room[v]
    for k in range(len(states)):
        for v in range(int(states[k, 1]), int(states[k, 0]) + 1):
            best[LEVELS - 1 - v] = max(best[LEVELS - 1 - v], states[k, 4])
    return hidden


@compiled
def _sweep(
    grid: np.ndarray, truths: np.ndarray, small: float, label: np.ndarray, above: np.ndarray,
    peak: np.ndarray, number: np.ndarray, first: np.ndarray, level: np.ndarray, pairs: np.ndarray,
) -> Any:  # fmt: skip
    """The IoU of the largest contour's box and the best of all, ``(255,)`` each, by threshold.

    Those below `LEAST` may be too low. ``doubtful (255,)`` is where areas do not tell which contour
    is the largest, and it matters.
    """
    best, largest = np.zeros(THRESHOLDS), np.zeros(THRESHOLDS)
    hidden = _holes(grid, truths, small, label, above, peak, number, first, level, pairs, best)
    n = basins.raised(grid, label, above, peak)
    m = basins.number(grid, label, above, peak, n, number, first, False)
    rows = first[0]
    box = basins.extents(grid, label, first, rows, False)
    area, n = basins.windows(grid, label, first, rows, level, pairs)
    states, alive, _, tiny = flood(
        m, peak, first, box, area, level, pairs, n, False, grid, truths, small
    )
    most, which = np.full(THRESHOLDS, -1.0), np.zeros(THRESHOLDS, np.int32)
    top, doubtful = np.zeros(THRESHOLDS), np.zeros(THRESHOLDS, np.bool_)
    for k in range(len(states)):
        for t in range(int(states[k, 1]) - 1, int(states[k, 0])):
            best[t], top[t] = max(best[t], states[k, 4]), max(top[t], states[k, 4])
            if states[k, 2] > most[t]:
                most[t], which[t], largest[t] = states[k, 2], k, states[k, 4]
    for k in range(len(states)):
        for t in range(int(states[k, 1]) - 1, int(states[k, 0])):
            reach = min(states[k, 2] + hidden[t], states[k, 3])
            doubtful[t] |= top[t] >= LEAST and which[t] != k and reach >= most[t]
    for t in range(THRESHOLDS):
        doubtful[t] |= top[t] >= LEAST and tiny[t + 1] >= most[t]
        if alive[t + 1] == 0:  # the authors' box where nothing is above: one pixel
            best[t] = largest[t] = overlap(0, 0, 0, 0, truths)
    return largest, best, doubtful


def _buffers(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """What the passes over a map of this shape write into."""
    held: dict[tuple[int, ...], tuple[np.ndarray, ...]] = getattr(_memory, "held", {})
    if shape not in held:
        size = shape[0] * shape[1]
        per_basin = [np.empty(size + 3, np.int32) for _ in range(4)]
        edges = np.empty(4 * size, np.uint8), np.empty((4 * size, 2), np.int32)
        kind = np.uint16 if size < 1 << 16 else np.int32  # of basins: half as much to look at
        held = {shape: (np.empty(shape, kind), *per_basin, *edges)}
        _memory.held = held
    return held[shape]


def right(grid: np.ndarray, truths: np.ndarray) -> dict[str, np.ndarray]:
    """Whether a box is right at each threshold: by rule ``(3,255) bool``, a row for each of DELTAS.

    Of ``grid (H,W) uint8`` the pixels above t = 0..254 are object; `truths` are ``(n,4)`` whole
    numbers x0, y0, x1, y1 on the same grid. ``largest`` asks for the contour of the largest area,
    ``all`` for any, holes' too. Where nothing is above t, the box is (0, 0, 0, 0).
    """
    truths = np.asarray(truths, np.int64).reshape(-1, 4)
    sides = truths[:, 2:] - truths[:, :2] + 1
    small = LEAST * float(sides.prod(1).min(initial=FAR * FAR))
    grid = np.ascontiguousarray(grid)
    largest, best, doubtful = _sweep(grid, truths, small, *_buffers(grid.shape))
    for t in np.flatnonzero(doubtful):
        largest[t] = overlap(*_largest(grid, int(t)), truths)
    deltas = np.array(DELTAS)[:, None]
    return {"largest": largest >= deltas, "all": best >= deltas}


def _largest(grid: np.ndarray, threshold: int) -> tuple[int, int, int, int]:
    """The box of the contour that OpenCV calls the largest, the first of its list on ties."""
    mask = (grid > threshold).astype(np.uint8)
    contours = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    x, y, w, h = cv2.boundingRect(max(contours, key=cv2.contourArea))
    return x, y, min(x + w, grid.shape[1] - 1), min(y + h, grid.shape[0] - 1)


def intervals(rows: np.ndarray) -> list[tuple[int, ...]]:
    """Where each of ``rows (k,n) bool`` is true, as ``(start, end, ...)``, ends exclusive."""
    padded = np.zeros((len(rows), rows.shape[1] + 2), bool)
    padded[:, 1:-1] = rows
    of, edges = np.nonzero(padded[:, 1:] != padded[:, :-1])
    ends = np.searchsorted(of, np.arange(1, len(rows)))
    return [tuple(part.tolist()) for part in np.split(edges, ends)]
