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

from camx.evaluators import basins
from camx.evaluators.basins import FAR, compiled

DELTAS = (0.3, 0.5, 0.7)  # IoU from which a box is right
LEAST = DELTAS[0]
THRESHOLDS = 255  # whole numbers, 0 to 254, that a pixel may be above
LEVELS = 256
TINY = 0.2  # of the size from which a component may be right: such are only counted
RULES = ("largest", "all")  # which contours' boxes count: MaxBoxAcc's, MaxBoxAccV2's
_memory = threading.local()  # what a map's passes write into, once a thread


@compiled
def overlap(x0: int, y0: int, x1: int, y1: int, truths: np.ndarray) -> float:
    """The largest IoU of a box with any of ``truths (n,4)``, every side counted + 1."""
    best = 0.0
    for k in range(len(truths)):
        a0, b0, a1, b1 = truths[k, 0], truths[k, 1], truths[k, 2], truths[k, 3]
        w, h = min(x1, a1) - max(x0, a0) + 1, min(y1, b1) - max(y0, b0) + 1
        if w > 0 and h > 0:
            both = w * h
            areas = (x1 - x0 + 1) * (y1 - y0 + 1) + (a1 - a0 + 1) * (b1 - b0 + 1)
            best = max(best, both / (areas - both))
    return best


@compiled
def _by_level(level: np.ndarray, n: int) -> Any:
    """``(order, start)``: places of each level in turn, those of v from ``start[v]``."""
    start = np.zeros(LEVELS + 1, np.int32)
    for i in range(n):
        start[level[i] + 1] += 1
    for v in range(LEVELS):
        start[v + 1] += start[v]
    order, at = np.empty(n, np.int32), start.copy()
    for i in range(n):
        order[at[level[i]]] = i
        at[level[i]] += 1
    return order, start


@compiled
def _rows(m: int, peak: np.ndarray, first: np.ndarray, box: np.ndarray, area: np.ndarray) -> Any:
    """The rows that hold anything: ``(basin, value)`` of each."""
    n = 0
    basin, value = np.empty(first[m + 1], np.int32), np.empty(first[m + 1], np.uint8)
    for b in range(1, m + 1):
        for v in range(1, peak[b] + 1):
            if box[first[b] + v, 1] >= 0 or area[first[b] + v]:
                basin[n], value[n] = b, v
                n += 1
    return basin[:n], value[:n]


@compiled
def _root(root: np.ndarray, b: int) -> int:
    while root[b] != b:
        root[b] = root[root[b]]
        b = root[b]
    return b


@compiled
def _join(extent: np.ndarray, r: int, box: np.ndarray, i: int) -> None:
    """Widen the extent of component `r` by that of a row."""
    extent[r, 0], extent[r, 1] = min(extent[r, 0], box[i, 0]), max(extent[r, 1], box[i, 1])
    extent[r, 2], extent[r, 3] = min(extent[r, 2], box[i, 2]), max(extent[r, 3], box[i, 3])


@compiled
def _state(
    states: np.ndarray, k: int, since: int, until: int, area: int, extent: np.ndarray, iou: float
) -> int:
    """Note what a component was from level `since` down to `until`, and count it."""
    if iou < 0 or since < until:
        return k
    states[k, 0], states[k, 1], states[k, 2], states[k, 4] = since, until, area, iou
    states[k, 3] = 2 * (extent[1] - extent[0]) * (extent[3] - extent[2])
    return k + 1


@compiled
def _flood(
    m: int, peak: np.ndarray, first: np.ndarray, box: np.ndarray, area: np.ndarray,
    level: np.ndarray, pairs: np.ndarray, n: int, hollow: bool, grid: np.ndarray,
    truths: np.ndarray, small: float,
) -> Any:  # fmt: skip
    """Every component of every threshold: ``states (k,5)``; by level `alive`, `room` and `tiny`.

    A state: the levels that it lasts from and to, twice its area, the most that twice its area may
    be, its IoU. A component whose box is smaller than `small` cannot be right, and is said to have
    no IoU; one that is much smaller has no state, and `tiny` is the most that twice the area of
    such a one may be. `alive` counts components, and `room` is twice the area of their boxes.
    """
    rim, outside = (1, 1) if hollow else (0, 0)  # a hole's contour runs through the pixels around
    right, bottom = grid.shape[1] - 1, grid.shape[0] - 1
    order, start = _by_level(level, n)
    basin, value = _rows(m, peak, first, box, area)
    grown, begin = _by_level(value, len(value))
    root, since = np.arange(m + 1).astype(np.int32), np.zeros(m + 1, np.int32)
    extent, twice = np.full((m + 1, 4), -1, np.int32), np.zeros(m + 1, np.int32)
    extent[:, 0] = FAR
    extent[:, 2] = FAR
    iou, changed = np.full(m + 1, -1.0), np.empty(len(value) + n, np.int32)
    held, room = np.zeros(m + 1, np.int32), np.zeros(LEVELS, np.int32)
    states = np.empty((len(value) + 2 * n + m, 5))
    alive, tiny = np.zeros(LEVELS, np.int32), np.zeros(LEVELS, np.int32)
    k, count, most, total = 0, 0, 0, 0
    for v in range(LEVELS - 1, 0, -1):
        touched = 0
        for i in range(begin[v], begin[v + 1]):
            b = basin[grown[i]]
            r, row = _root(root, b), first[b] + v
            count += peak[b] == v and b != outside
            k = _state(states, k, since[r], v + 1, twice[r], extent[r], iou[r])
            _join(extent, r, box, row)
            twice[r], since[r], changed[touched] = twice[r] + area[row], v, r
            touched += 1
        for i in range(start[v], start[v + 1]):
            r, s = _root(root, pairs[order[i], 0]), _root(root, pairs[order[i], 1])
            if r == s:
                continue
            if s == outside:
                r, s = s, r
            for q in (r, s):
                k = _state(states, k, since[q], v + 1, twice[q], extent[q], iou[q])
            root[s] = r
            total -= held[s]
            _join(extent, r, extent, s)
            twice[r], since[r], changed[touched] = twice[r] + twice[s], v, r
            count, touched = count - 1, touched + 1
        for i in range(touched):
            r = changed[i]
            if root[r] != r or r == outside:
                continue
            w, h = extent[r, 1] - extent[r, 0], extent[r, 3] - extent[r, 2]
            total -= held[r]
            held[r] = 2 * (w + 2 * rim) * (h + 2 * rim)
            total += held[r]
            size = (w + 2 * rim + 2) * (h + 2 * rim + 2)
            if size < TINY * small:
                most = max(most, 2 * w * h)
            elif size < small:
                iou[r] = 0.0
            else:
                x1, y1 = min(extent[r, 1] + rim + 1, right), min(extent[r, 3] + rim + 1, bottom)
                iou[r] = overlap(extent[r, 0] - rim, extent[r, 2] - rim, x1, y1, truths)
        alive[v], room[v], tiny[v] = count, total, most
    for r in range(1, m + 1):
        if root[r] == r:
            k = _state(states, k, since[r], 1, twice[r], extent[r], iou[r])
    return states[:k], alive, room, tiny


@compiled
def _holes(
    grid: np.ndarray, truths: np.ndarray, small: float, label: np.ndarray, above: np.ndarray,
    peak: np.ndarray, number: np.ndarray, first: np.ndarray, level: np.ndarray, pairs: np.ndarray,
    best: np.ndarray,
) -> Any:  # fmt: skip
    """Put the best IoU of any hole's contour into ``best (255,)``; twice what holes may hide."""
    hidden = np.zeros(THRESHOLDS, np.int32)
    m = basins.number(label, above, peak, basins.hollows(grid, label, above, peak), number, first)
    if m == 1:
        return hidden
    rows = first[m + 1]
    box, area = basins.extents(grid, label, first, rows, True), np.zeros(rows, np.int32)
    n = basins.touching(grid, label, True, level, pairs)
    states, _, room, _ = _flood(
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
    m = basins.number(label, above, peak, basins.raised(grid, label, above, peak), number, first)
    rows = first[m + 1]
    box = basins.extents(grid, label, first, rows, False)
    area = basins.areas(grid, label, first, rows)
    n = basins.touching(grid, label, False, level, pairs)
    states, alive, _, tiny = _flood(
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
        held = {shape: (np.empty(shape, np.int32), *per_basin, *edges)}
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


def intervals(row: np.ndarray) -> tuple[int, ...]:
    """Where ``row (n,) bool`` is true, as ``(start, end, start, end, ...)``, ends exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False])).astype(np.int8)))
    return tuple(edges.tolist())


def expanded(ends: np.ndarray, n: int = THRESHOLDS) -> np.ndarray:
    """``(n,) bool``, the opposite of `intervals`."""
    row = np.zeros(n + 1, np.int8)
    row[ends[::2]] += 1
    np.subtract.at(row, ends[1::2], 1)
    return row[:n].cumsum() > 0
