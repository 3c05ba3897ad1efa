"""Components of a map while the threshold falls: every one of every threshold, and its IoU.

A pixel's basin (`basins`) is what floods: at each level basins grow by their pixels of that value,
and those that touch there become one component.
"""

from typing import Any, NamedTuple

import numpy as np

from camx.evaluators.contours.basins import FAR
from camx.evaluators.contours.compiling import compiled

LEVELS = 256
TINY = 0.2  # of the size from which a component may be right: such are only counted


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
    n, begin = 0, 0
    basin, value = np.empty(first[0], np.int32), np.empty(first[0], np.uint8)
    for b in range(1, m + 1):
        for row in range(begin, first[b] + peak[b] + 1):
            if box[row, 1] >= 0 or area[row]:
                basin[n], value[n] = b, row - first[b]
                n += 1
        begin = first[b] + peak[b] + 1
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


class Forest(NamedTuple):
    """Components while the threshold falls, by the basin at their root.

    `since` is the level that a component has been what it is from, `twice` twice its area, `held`
    twice that of its box, `iou` below 0 where it has no state.
    """

    root: np.ndarray
    since: np.ndarray
    extent: np.ndarray
    twice: np.ndarray
    held: np.ndarray
    iou: np.ndarray


@compiled
def _left(forest: Forest, r: int, v: int, states: np.ndarray, k: int) -> int:
    """Note what component `r` was down to the level above v, and count it."""
    if forest.iou[r] < 0 or forest.since[r] <= v:
        return k
    w = forest.extent[r, 1] - forest.extent[r, 0]
    h = forest.extent[r, 3] - forest.extent[r, 2]
    states[k, 0], states[k, 1], states[k, 2] = forest.since[r], v + 1, forest.twice[r]
    states[k, 3], states[k, 4] = 2 * w * h, forest.iou[r]
    return k + 1


@compiled
def _merged(forest: Forest, r: int, s: int, v: int, states: np.ndarray, k: int) -> int:
    """Make component s part of r."""
    for q in (r, s):
        k = _left(forest, q, v, states, k)
    forest.root[s] = r
    _join(forest.extent, r, forest.extent, s)
    forest.twice[r] += forest.twice[s]
    forest.since[r] = v
    return k


@compiled
def _sized(
    forest: Forest, r: int, rim: int, shape: tuple[int, int], truths: np.ndarray, small: float
) -> int:
    """Give component r its IoU, if it may be right; of a tiny one, the most of twice its area."""
    x0, x1, y0, y1 = forest.extent[r]
    w, h = x1 - x0, y1 - y0
    forest.held[r] = 2 * (w + 2 * rim) * (h + 2 * rim)
    size = (w + 2 * rim + 2) * (h + 2 * rim + 2)
    if size < TINY * small:
        return 2 * w * h
    forest.iou[r] = 0.0
    if size >= small:
        right, bottom = min(x1 + rim + 1, shape[1] - 1), min(y1 + rim + 1, shape[0] - 1)
        forest.iou[r] = overlap(x0 - rim, y0 - rim, right, bottom, truths)
    return 0


@compiled
def _forest(m: int) -> Any:
    """Nothing yet of `m` basins."""
    extent, iou = np.full((m + 1, 4), -1, np.int32), np.full(m + 1, -1.0)
    extent[:, 0] = FAR
    extent[:, 2] = FAR
    zeros = np.zeros((3, m + 1), np.int32)
    return Forest(np.arange(m + 1).astype(np.int32), zeros[0], extent, zeros[1], zeros[2], iou)


@compiled
def flood(
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
    order, start = _by_level(level, n)
    basin, value = _rows(m, peak, first, box, area)
    grown, begin = _by_level(value, len(value))
    forest, changed = _forest(m), np.empty(len(value) + n, np.int32)
    states = np.empty((len(value) + 2 * n + m, 5))
    alive, room, tiny = np.zeros((3, LEVELS), np.int32)
    k, count, total, most = 0, 0, 0, 0
    for v in range(LEVELS - 1, 0, -1):
        touched = 0
        for i in range(begin[v], begin[v + 1]):
            b = basin[grown[i]]
            r, row = _root(forest.root, b), first[b] + v
            count += peak[b] == v and b != outside
            k = _left(forest, r, v, states, k)
            _join(forest.extent, r, box, row)
            forest.twice[r] += area[row]
            forest.since[r], changed[touched], touched = v, r, touched + 1
        for i in range(start[v], start[v + 1]):
            r, s = _root(forest.root, pairs[order[i], 0]), _root(forest.root, pairs[order[i], 1])
            if r == s:
                continue
            if s == outside:
                r, s = s, r
            k = _merged(forest, r, s, v, states, k)
            total -= forest.held[s]
            count, changed[touched], touched = count - 1, r, touched + 1
        for i in range(touched):
            r = changed[i]
            if forest.root[r] == r and r != outside:
                total -= forest.held[r]
                most = max(most, _sized(forest, r, rim, grid.shape, truths, small))
                total += forest.held[r]
        alive[v], room[v], tiny[v] = count, total, most
    for r in range(1, m + 1):
        if forest.root[r] == r:
            k = _left(forest, r, 0, states, k)
    return states[:k], alive, room, tiny
