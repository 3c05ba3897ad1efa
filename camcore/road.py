"""ROAD's fill: removed pixels become what their neighbours say, solved for a batch on its device.

Rong et al. 2022, "A Consistent and Efficient Evaluation Strategy for Attribution Methods": each
removed pixel is the weighted mean of its eight neighbours, 1/6 of those beside and 1/12 of those at
the corners, all of them at once; neighbours outside the image do not count. The equations are
those of a graph whose edges bear these weights, so their matrix is symmetric and positive definite
wherever a pixel is left. Conjugate gradients in float32 solve them, preconditioned by one cycle of
multigrid, whose coarser equations are those that the finer ones imply on bilinear functions; what
is left of the equations is computed in float64, and solved again.

Values lie flat, ``(B,C,n)``: rows of a grid with a border of zeros around it, so that a neighbour
is a shift of the whole, and a pass over memory one long loop. A grid has an odd number of rows and
of columns; places with odd numbers are those of the next coarser one.
"""

import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

TOLERANCE = 1e-5  # of a pixel, in the images' units: the noise is 1e-2
GAIN = 1e-3  # of an error, until what is left is computed anew
ROUNDS, CYCLES = 20, 12  # far more than any mask needs; and of each round
DAMPING = 0.8  # of Jacobi's smoothing
RIDGE = 1e-4  # of the diagonal of the equations that are inverted
DENSE = 300  # places that are solved for at once
NOISE = 0.01  # ROAD's standard deviation, in the images' units

HAT = {-1: 0.5, 0: 1.0, 1: 0.5}  # what a place of a coarser grid gives to those around it
STEPS = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
Size = tuple[int, int]  # rows and columns, with the border


def _size(rows: int, columns: int) -> Size:
    """Of a grid with as many rows and columns inside."""
    return 2 * (rows // 2) + 3, 2 * (columns // 2) + 3


def _flat(values: Tensor, size: Size) -> Tensor:
    """``(...,h,w)`` laid into a grid: ``(...,n)``."""
    rows, columns = values.shape[-2:]
    return pad(values, (1, size[1] - columns - 1, 1, size[0] - rows - 1)).flatten(-2)


def _within(size: Size) -> slice:
    """The places that `around` gives."""
    return slice(size[1] + 1, -size[1] - 1)


def around(values: Tensor, size: Size) -> Tensor:
    """Twelve times the weighted sum of a place and its eight neighbours: 1, 2, 1 by 1, 2, 1.

    Of a grid ``(...,n)``, without its first and last `columns` + 1 places.
    """
    pairs = values[..., :-1] + values[..., 1:]
    triples = pairs[..., :-1] + pairs[..., 1:]
    pairs = triples[..., : -size[1]] + triples[..., size[1] :]
    return pairs[..., : -size[1]] + pairs[..., size[1] :]


@dataclass(frozen=True)
class Level:
    """The equations on a grid, whose values are 0 wherever `mask (B,1,n)` is.

    `apply` multiplies ``(B,C,n)`` by the matrix, `inverse` is one over its diagonal, 0 where
    there is nothing to solve.
    """

    apply: Callable[[Tensor], Tensor]
    inverse: Tensor
    mask: Tensor
    size: Size

    @property
    def coarser(self) -> Size:
        return _size(self.size[0] // 2, self.size[1] // 2)

    def prolong(self, coarse: Tensor) -> Tensor:
        """Values of the next coarser grid, and their means in between."""
        rows, columns = (side // 2 for side in self.size)
        inner = coarse.unflatten(-1, self.coarser)[..., 1 : rows + 1, 1 : columns + 1]
        spread = coarse.new_zeros(*coarse.shape[:-1], *self.size)
        spread[..., 1::2, 1::2] = inner / 4
        fine = torch.zeros_like(spread).flatten(-2)
        within = _within(self.size)
        torch.mul(
            around(spread.flatten(-2), self.size), self.mask[..., within], out=fine[..., within]
        )
        return fine

    def restrict(self, fine: Tensor) -> Tensor:
        """The transpose of `prolong`, of what is 0 wherever the mask is."""
        sums = pad(around(fine, self.size), (0, 2)).unflatten(-1, (-1, self.size[1]))
        return _flat(sums[..., 0::2, 0:-2:2] / 4, self.coarser)


def _finest(removed: Tensor) -> Level:
    """The equations themselves, of removed pixels ``(B,1,h,w)``, 1 or 0."""
    size = _size(*removed.shape[-2:])
    mask, total, within = _flat(removed, size), _total(removed, size), _within(size)
    centre, weight = mask * (total + 1 / 3), mask[..., within] / -12

    def apply(values: Tensor) -> Tensor:
        product = centre * values
        product[..., within].addcmul_(weight, around(values, size))
        return product

    return Level(apply, mask / total, mask, size)


def _total(like: Tensor, size: Size) -> Tensor:
    """The neighbours' weights in each place's equation, ``(1,1,n)``; never 0."""
    inside, within = _flat(torch.ones_like(like[:1]), size), _within(size)
    total = torch.ones_like(inside)
    total[..., within] = around(inside, size) / 12 - inside[..., within] / 3
    return total.clamp_(min=1e-6)  # a single pixel has no neighbour


def _stencil(removed: Tensor) -> Tensor:
    """The finest equations' matrix, ``(B,3,rows,3,columns)``: of each place its neighbours'."""
    size = _size(*removed.shape[-2:])
    mask = _flat(removed, size).unflatten(-1, size)[:, 0]
    total = _total(removed, size).unflatten(-1, size)[:, 0]
    wide = pad(mask, (1, 1, 1, 1))
    stencil = mask.new_zeros(len(mask), 3, size[0], 3, size[1])
    for a, b in STEPS:
        there = wide[:, 1 + a : 1 + a + size[0], 1 + b : 1 + b + size[1]]
        weight = total if (a, b) == (0, 0) else -HAT[a] * HAT[b] / 3
        stencil[:, a + 1, :, b + 1] = weight * mask * there
    return stencil


def _halved(stencil: Tensor) -> Tensor:
    """A matrix ``(...,3,n)`` along its last axis as it is on every second place, ``(...,3,n//2)``.

    Between the places that a step is apart: through all that have a part in either.
    """
    count = stencil.shape[-1] // 2
    halved = stencil.new_zeros(*stencil.shape[:-1], count)
    for at, through, step in itertools.product((-1, 0, 1), repeat=3):
        weight = HAT[at] * HAT.get(at + through - 2 * step, 0.0)
        if weight:
            part = stencil[..., through + 1, 1 + at : 1 + at + 2 * count : 2]
            halved[..., step + 1, :].add_(part, alpha=weight)
    return halved


def _implied(finer: Level, stencil: Tensor) -> tuple[Level, Tensor]:
    """The next coarser level, and its matrix: restricted, multiplied, prolonged."""
    size = finer.coarser
    halved = _halved(_halved(stencil).permute(0, 3, 4, 1, 2)).permute(0, 3, 4, 1, 2)
    rows, columns = (side // 2 for side in finer.size)
    stencil = halved.new_zeros(len(halved), 3, size[0], 3, size[1])
    stencil[:, :, 1 : rows + 1, :, 1 : columns + 1] = halved
    within, edge, count = _within(size), size[1] + 1, size[0] * size[1]
    flat = stencil.transpose(2, 3).flatten(3)
    shifts = [
        (edge + a * size[1] + b, flat[:, a + 1, b + 1, None, within].contiguous())
        for a, b in STEPS
        if (a, b) != (0, 0)
    ]
    diagonal = flat[:, 1, 1, None].contiguous()

    def apply(values: Tensor) -> Tensor:
        product = diagonal * values
        inner = product[..., within]
        for at, weight in shifts:
            inner.addcmul_(weight, values[..., at : at + count - 2 * edge])
        return product

    mask = (diagonal > 1e-6).to(diagonal)
    return Level(apply, mask / diagonal.clamp(min=1e-6), mask, size), stencil


@dataclass(frozen=True)
class Hierarchy:
    """The equations from the finest grid to the coarsest, whose inverse ``(B,n,n)`` is known."""

    levels: list[Level]
    inverse: Tensor

    def cycle(self, residual: Tensor, depth: int = 0) -> Tensor:
        """Multigrid's V-cycle: about what solves a residual; symmetric, as conjugacy needs."""
        level = self.levels[depth]
        if depth == len(self.levels) - 1:
            return (residual @ self.inverse).mul_(level.mask)
        damped = DAMPING * level.inverse
        solution = damped * residual
        unsolved = residual - level.apply(solution)
        solution += level.prolong(self.cycle(level.restrict(unsolved), depth + 1))
        return solution.addcmul_(damped, residual - level.apply(solution))


def hierarchy(removed: Tensor) -> Hierarchy:
    """The equations of removed pixels ``(B,1,h,w)``, 1 or 0."""
    levels, stencil = [_finest(removed)], _stencil(removed)
    while levels[-1].mask.shape[-1] > DENSE:
        level, stencil = _implied(levels[-1], stencil)
        levels.append(level)
    coarsest = levels[-1]
    count = coarsest.mask.shape[-1]
    unit = torch.eye(count, device=removed.device, dtype=removed.dtype)
    columns = coarsest.apply(unit.expand(len(removed), -1, -1) * coarsest.mask)
    # What is not solved for stands for itself. Functions that differ where nothing is removed only
    # are the same to the equations, which a little on the diagonal tells apart.
    diagonal = torch.where(coarsest.mask > 0, RIDGE / coarsest.inverse.clamp(min=1e-9), 1.0)
    matrix = columns.double() + torch.diag_embed(diagonal[:, 0])
    return Hierarchy(levels, torch.linalg.inv(matrix).to(removed.dtype))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1, keepdim=True)


def _largest(values: Tensor) -> Tensor:
    """The largest absolute value of each channel, ``(B,C,1)``."""
    return values.abs().amax(-1, keepdim=True)


def _gained(grids: Hierarchy, residual: Tensor) -> tuple[Tensor, Tensor]:
    """What solves a residual ``(B,C,n)`` to `GAIN`, and about the error left, ``(B,C,1)``."""
    step = grids.cycle(residual)
    solution, direction, product = torch.zeros_like(step), step, _dot(residual, step)
    error = _largest(step)
    enough = (GAIN * error).clamp(min=TOLERANCE / 2)
    for _ in range(CYCLES):
        unsolved = error > enough  # each channel by itself: its neighbours do not move it
        if not unsolved.any():
            break
        through = grids.levels[0].apply(direction)
        length = torch.where(unsolved, product / _dot(direction, through), 0.0)
        solution.addcmul_(length, direction)
        residual = torch.addcmul(residual, length, through, value=-1)
        step = grids.cycle(residual)
        before, product = product, _dot(residual, step)
        direction = torch.addcmul(step, torch.where(unsolved, product / before, 0.0), direction)
        error = torch.where(unsolved, _largest(step), error)
    return solution, error


def fill(images: Tensor, removed: Tensor) -> Tensor:
    """``images (B,3,h,w)`` with the `removed` pixels ``(B,h,w) bool`` filled from the others.

    Within 1e-4 of the sparse direct solution, in the images' units. An image of which nothing is
    left is zero: the preprocessing's mean. What is solved of an image does not depend on its
    neighbours in the batch. Raises `ArithmeticError` for what is not solved in `ROUNDS`.
    """
    if images.device.type == "cpu" and len(images) > 1:  # one's intermediate results stay in cache
        return torch.cat([fill(i[None], m[None]) for i, m in zip(images, removed)])
    rows, columns = (_around(removed.any(0).any(axis)) for axis in (1, 0))
    filled = images.clone()
    part = filled[..., rows, columns]
    part.copy_(_filled(part, removed[..., rows, columns]))
    return filled


def _around(removed: Tensor) -> slice:
    """The rows or columns of which any pixel is removed, and their neighbours."""
    places = removed.nonzero()
    if not len(places):
        return slice(0, 1)
    return slice(max(int(places[0]) - 1, 0), int(places[-1]) + 2)


def _filled(images: Tensor, removed: Tensor) -> Tensor:
    """`fill`, of images whose neighbourhoods are whole."""
    left = ~removed[:, None]
    shape = images.shape[-2:]
    gone = (~left & left.any(-1, keepdim=True).any(-2, keepdim=True)).double()
    exact, grids = _finest(gone), hierarchy(gone.float())
    size = exact.size
    within = _within(size)
    values = torch.where(left, images, 0.0).double()
    count = left.sum((2, 3)).clamp(min=1)[..., None]
    solution = exact.mask * (values.sum((2, 3))[..., None] / count)  # first, the mean
    given = torch.zeros_like(solution)
    given[..., within] = exact.mask[..., within] * around(_flat(values, size), size) / 12
    unsolved = torch.ones_like(solution[..., :1], dtype=torch.bool)
    for _ in range(ROUNDS):
        correction, error = _gained(grids, (given - exact.apply(solution)).float())
        solution = solution + torch.where(unsolved, correction, 0.0)
        unsolved = unsolved & (error > TOLERANCE)
        if not unsolved.any():
            solved = solution.unflatten(-1, size)[..., 1 : shape[0] + 1, 1 : shape[1] + 1]
            return torch.where(left, images, solved.to(images.dtype))
    raise ArithmeticError(f"a fill of {tuple(images.shape)} is not solved in {ROUNDS} rounds")


def noise(key: str, seed: int, shape: tuple[int, ...]) -> Tensor:
    """ROAD's noise of an image, the same on every machine: seeded by the image's name, `key`."""
    rng = np.random.default_rng([zlib.crc32(key.encode()), seed])
    return torch.from_numpy(NOISE * rng.standard_normal(shape)).float()
