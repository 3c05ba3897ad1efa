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
def windows(
    grid: np.ndarray, label: np.ndarray, first: np.ndarray, rows: int, level: np.ndarray,
    pairs: np.ndarray,
) -> Any:  # fmt: skip
    """Of each 2 x 2 pixels: twice the area that rows add ``(rows,)``, and how many basins touch.

    A contour runs through pixels' centres: of four pixels it encloses a half where three are above
    the threshold, and the whole where all are. What a hole hides of it is not counted. Basins that
    touch are noted in `pairs`, by 8 neighbours, with the `level` that they do at, the lower
    pixel's; at a corner they do where neither other pixel of the four connects them.
    """
    area, n = np.zeros(rows, np.int32), 0
    height, width = grid.shape
    for y in range(height - 1):
        a, c, la, lc = grid[y, 0], grid[y + 1, 0], label[y, 0], label[y + 1, 0]
        for x in range(1, width):
            b, d, lb, ld = grid[y, x], grid[y + 1, x], label[y, x], label[y + 1, x]
            low, lower = min(a, b), min(c, d)
            second = min(max(low, lower), min(max(a, b), max(c, d)))
            if second:
                at = first[la if a > b else lb]
                area[at + second] += 1
                least = min(low, lower)
                if least:
                    area[at + least] += 1
            if la != lb or la != lc or la != ld:
                n = _noted(n, level, pairs, la, lb, low)
                n = _noted(n, level, pairs, la, lc, min(a, c))
                if min(a, d) > max(b, c):
                    n = _noted(n, level, pairs, la, ld, min(a, d))
                elif min(b, c) > max(a, d):
                    n = _noted(n, level, pairs, lb, lc, min(b, c))
            a, c, la, lc = b, d, lb, ld
        n = _noted(n, level, pairs, la, lc, min(a, c))
    for x in range(1, width):
        v, u = grid[height - 1, x - 1], grid[height - 1, x]
        n = _noted(n, level, pairs, label[height - 1, x - 1], label[height - 1, x], min(v, u))
    return area, n


@compiled
def sides(grid: np.ndarray, label: np.ndarray, level: np.ndarray, pairs: np.ndarray) -> int:
    """How many basins of the inverted map touch, by 4 neighbours; noted as in `windows`."""
    height, width = grid.shape
    n = 0
    for y in range(height):
        for x in range(width):
            b, v = label[y, x], grid[y, x]
            if x + 1 < width and label[y, x + 1] != b:
                n = _noted(n, level, pairs, b, label[y, x + 1], 255 - max(v, grid[y, x + 1]))
            if y + 1 < height and label[y + 1, x] != b:
                n = _noted(n, level, pairs, b, label[y + 1, x], 255 - max(v, grid[y + 1, x]))
    return n


@compiled
def _noted(n: int, level: np.ndarray, pairs: np.ndarray, b: int, other: int, value: int) -> int:
    """Note that two basins touch, if they are two; how many pairs there are then."""
    if b == other or b == 0 or other == 0:
        return n
    level[n], pairs[n, 0], pairs[n, 1] = value, b, other
    return n + 1
