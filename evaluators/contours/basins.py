"""A map's basins: the pixels from which a path that never falls leads to one maximum.

Above any threshold a pixel is connected with its basin's maximum, so that of a basin only its
pixels' values need be told apart, and basins merge where two that touch are both above. Compiled,
since each of these passes looks at every pixel.
"""

from typing import Any

import numpy as np

from camx.evaluators.contours.compiling import compiled

FAR = 1 << 14  # beyond any pixel


@compiled
def raised(grid: np.ndarray, label: np.ndarray, above: np.ndarray, peak: np.ndarray) -> int:
    """Give each pixel above 0 a basin, from 1, and each basin the one `above` it, or itself.

    By 8 neighbours.
    First a pixel joins an earlier neighbour that is as high or higher, or begins a basin; then,
    backwards, a basin whose first value has a later neighbour that is higher goes up into its.
    """
    height, width = grid.shape
    n = 0
    for y in range(height):
        for x in range(width):
            v = grid[y, x]
            if v == 0:
                label[y, x] = 0
            elif x and grid[y, x - 1] >= v:
                label[y, x] = label[y, x - 1]
            elif y and grid[y - 1, x] >= v:
                label[y, x] = label[y - 1, x]
            elif y and x and grid[y - 1, x - 1] >= v:
                label[y, x] = label[y - 1, x - 1]
            elif y and x + 1 < width and grid[y - 1, x + 1] >= v:
                label[y, x] = label[y - 1, x + 1]
            else:
                n += 1
                label[y, x], above[n], peak[n] = n, n, v
    for y in range(height - 1, -1, -1):
        for x in range(width - 1, -1, -1):
            v, b = grid[y, x], label[y, x]
            if v == 0 or above[b] != b or peak[b] != v:
                continue
            if x + 1 < width and grid[y, x + 1] > v:
                above[b] = label[y, x + 1]
            elif y + 1 < height and grid[y + 1, x] > v:
                above[b] = label[y + 1, x]
            elif y + 1 < height and x and grid[y + 1, x - 1] > v:
                above[b] = label[y + 1, x - 1]
            elif y + 1 < height and x + 1 < width and grid[y + 1, x + 1] > v:
                above[b] = label[y + 1, x + 1]
    return n


@compiled
def hollows(grid: np.ndarray, label: np.ndarray, above: np.ndarray, peak: np.ndarray) -> int:
    """The same of the inverted map, 255 less its values, by 4 neighbours; basin 1 is outside."""
    height, width = grid.shape
    above[1], peak[1], n = 1, 255, 1
    for y in range(height):
        for x in range(width):
            v = grid[y, x]
            if v == 255:
                label[y, x] = 0
            elif y == 0 or x == 0 or y == height - 1 or x == width - 1:
                label[y, x] = 1
            elif grid[y, x - 1] <= v:
                label[y, x] = label[y, x - 1]
            elif grid[y - 1, x] <= v:
                label[y, x] = label[y - 1, x]
            else:
                n += 1
                label[y, x], above[n], peak[n] = n, n, 255 - v
    for y in range(height - 2, 0, -1):
        for x in range(width - 2, 0, -1):
            v, b = grid[y, x], label[y, x]
            if b > 1 and above[b] == b and peak[b] == 255 - v:
                if grid[y, x + 1] < v:
                    above[b] = label[y, x + 1]
                elif grid[y + 1, x] < v:
                    above[b] = label[y + 1, x]
    return n


@compiled
def number(
    grid: np.ndarray, label: np.ndarray, above: np.ndarray, peak: np.ndarray, n: int,
    number: np.ndarray, first: np.ndarray, flip: bool,
) -> int:  # fmt: skip
    """Number the maxima from 1, label pixels so, and give each a row for every value to its peak.

    ``first[b] + v`` is the row of value v; ``first[0]`` is how many rows there are. Of the inverted
    map if `flip`: then from the least value that any of the basin's pixels has, for hollows are
    many and shallow. (Areas are entered at the values of neighbours, too, which may be lower.)
    """
    m = 0
    for b in range(1, n + 1):
        if above[b] == b:
            m += 1
            number[b], peak[m] = m, peak[b]
    for b in range(1, n + 1):
        top = b
        while above[top] != top:
            above[top] = above[above[top]]
            top = above[top]
        number[b] = number[top]
    number[0] = 0
    least = np.zeros(m + 1, np.int32)
    if flip:
        least[:] = peak[: m + 1]
    for y in range(grid.shape[0]):
        for x in range(grid.shape[1]):
            b = number[label[y, x]]
            label[y, x] = b
            if flip and 255 - grid[y, x] < least[b]:
                least[b] = 255 - grid[y, x]
    rows = 0
    for b in range(1, m + 1):
        first[b] = rows - least[b]
        rows += peak[b] - least[b] + 1
    first[0] = rows
    return m


@compiled
def extents(grid: np.ndarray, label: np.ndarray, first: np.ndarray, rows: int, flip: bool) -> Any:
    """The bounding box of each row's pixels, ``(rows,4)`` x0, x1, y0, y1, both ends inclusive.

    Of the inverted map if `flip`, where that of the outside is not asked for.
    """
    outside = 1 if flip else 0
    box = np.full((rows, 4), -1, np.int16)
    box[:, 0] = FAR
    box[:, 2] = FAR
    for y in range(grid.shape[0]):
        for x in range(grid.shape[1]):
            b = label[y, x]
            if b > outside:
                value = 255 - grid[y, x] if flip else grid[y, x]
                i = first[b] + value
                if x < box[i, 0]:
                    box[i, 0] = x
                if x > box[i, 1]:
                    box[i, 1] = x
                if y < box[i, 2]:
                    box[i, 2] = y
                box[i, 3] = y
    return box


@compiled
def areas(grid: np.ndarray, label: np.ndarray, first: np.ndarray, rows: int) -> Any:
    """Twice the area within a contour that each row adds, ``(rows,)``.

    A contour runs through pixels' centres: of each 2 x 2 pixels it encloses a half where three are
    above the threshold, and the whole where four are. What a hole hides of it is not counted.
    """
    area = np.zeros(rows, np.int32)
    for y in range(grid.shape[0] - 1):
        for x in range(grid.shape[1] - 1):
            a, b, c, d = grid[y, x], grid[y, x + 1], grid[y + 1, x], grid[y + 1, x + 1]
            low, lower = min(a, b), min(c, d)
            second = min(max(low, lower), min(max(a, b), max(c, d)))
            if second:
                at = first[label[y, x] if a > b else label[y, x + 1]]
                area[at + second] += 1
                least = min(low, lower)
                if least:
                    area[at + least] += 1
    return area


@compiled
def touching(
    grid: np.ndarray, label: np.ndarray, flip: bool, level: np.ndarray, pairs: np.ndarray
) -> int:
    """Basins that touch, ``pairs (n,2)``, and the value that they do at, the lower pixel's.

    By 4 neighbours if `flip`, else by 8; pixels that touch at a corner count where neither other
    pixel of the four connects them.
    """
    height, width = grid.shape
    n = 0
    for y in range(height):
        for x in range(width):
            b, v = label[y, x], grid[y, x]
            if b == 0:
                continue
            if x + 1 < width:
                n = _noted(n, level, pairs, b, label[y, x + 1], v, grid[y, x + 1], flip)
            if y + 1 == height:
                continue
            n = _noted(n, level, pairs, b, label[y + 1, x], v, grid[y + 1, x], flip)
            if flip:
                continue
            if x + 1 < width:
                value = min(v, grid[y + 1, x + 1])
                if grid[y, x + 1] < value and grid[y + 1, x] < value:
                    n = _noted(n, level, pairs, b, label[y + 1, x + 1], value, value, False)
            if x:
                value = min(v, grid[y + 1, x - 1])
                if grid[y, x - 1] < value and grid[y + 1, x] < value:
                    n = _noted(n, level, pairs, b, label[y + 1, x - 1], value, value, False)
    return n


@compiled
def _noted(
    n: int, level: np.ndarray, pairs: np.ndarray, b: int, other: int, v: int, value: int, flip: bool
) -> int:
    """Note that two basins touch, if they are two; how many pairs there are then."""
    if other == 0 or other == b:
        return n
    level[n] = 255 - max(v, value) if flip else min(v, value)
    pairs[n, 0] = b
    pairs[n, 1] = other
    return n + 1
