"""ROAD's fill: removed pixels become what their neighbours say, solved for a batch on its device.

Rong et al. 2022, "A Consistent and Efficient Evaluation Strategy for Attribution Methods": each
removed pixel is the weighted mean of its eight neighbours, 1/6 of those beside and 1/12 of those at
the corners, all of them at once; neighbours outside the image do not count. The equations are
those of a graph whose edges bear these weights, so their matrix is symmetric and positive definite
wherever a pixel is left. Conjugate gradients in float32 solve them, preconditioned by one cycle of
multigrid, whose coarser equations are those that the finer ones imply on bilinear functions; what
is left of the equations is computed in float64, and solved again.
"""

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
DENSE = 200  # unknowns that are solved for at once
NOISE = 0.01  # ROAD's standard deviation, in the images' units


def neighbours(values: Tensor) -> Tensor:
    """The weighted sum of each pixel's eight neighbours, ``(...,h,w)``; zero outside the image."""
    wide = pad(values, (1, 1, 1, 1))
    pairs = wide[..., :-1] + wide[..., 1:]
    columns = pairs[..., :-1] + pairs[..., 1:]  # 1, 2, 1
    pairs = columns[..., :-1, :] + columns[..., 1:, :]
    return (pairs[..., :-1, :] + pairs[..., 1:, :] - 4 * values) / 12


def _finer(coarse: Tensor, size: int) -> Tensor:
    """Values at every second of `size` places of the last axis, and their means in between."""
    after = torch.cat([coarse[..., 1:], coarse[..., -1:]], -1)
    return torch.stack([coarse, (coarse + after) / 2], -1).flatten(-2)[..., :size]


def _coarser(fine: Tensor) -> Tensor:
    """The transpose of `_finer`."""
    fine = pad(fine, (0, fine.shape[-1] % 2))
    even, half = fine[..., 0::2].clone(), fine[..., 1::2] / 2
    even += half
    even[..., 1:] += half[..., :-1]
    even[..., -1] += half[..., -1]
    return even


@dataclass(frozen=True)
class Level:
    """The equations on a grid ``(h,w)``, of masks ``(B,1,h,w)``.

    `apply` multiplies ``(B,C,h,w)`` by the matrix, `inverse` is one over its diagonal, 0 where
    there is nothing to solve, and `mask` what is solved.
    """

    apply: Callable[[Tensor], Tensor]
    inverse: Tensor
    mask: Tensor

    def prolong(self, coarse: Tensor) -> Tensor:
        rows, columns = self.mask.shape[-2:]
        return self.mask * _finer(_finer(coarse, columns).mT, rows).mT

    def restrict(self, fine: Tensor) -> Tensor:
        return _coarser(_coarser(self.mask * fine).mT).mT


def _finest(removed: Tensor) -> Level:
    """The equations themselves, of removed pixels ``(B,1,h,w)``, 1 or 0."""
    total = neighbours(torch.ones_like(removed[:1]))

    def apply(values: Tensor) -> Tensor:
        return removed * (total * values - neighbours(removed * values))

    return Level(apply, removed / total, removed)


def _implied(finer: Level) -> Level:
    """The next coarser level: restricted, multiplied, prolonged.

    Its matrix reaches a place's neighbours only, so that nine products with every third row's every
    third place tell all of it.
    """
    rows, columns = (-(-side // 2) for side in finer.mask.shape[-2:])
    like = finer.mask
    i = torch.arange(rows, device=like.device)[:, None]
    j = torch.arange(columns, device=like.device)[None]
    colours = [(i % 3 == a) & (j % 3 == b) for a in range(3) for b in range(3)]
    probes = torch.stack(colours).to(like)[None].expand(len(like), -1, -1, -1)
    answers = finer.restrict(finer.apply(finer.prolong(probes)))
    shifts = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    places = torch.stack([(i + a) % 3 * 3 + (j + b) % 3 for a, b in shifts])
    stencil = answers.gather(1, places.expand(len(like), -1, -1, -1))

    def apply(values: Tensor) -> Tensor:
        wide, total = pad(values, (1, 1, 1, 1)), torch.zeros_like(values)
        for (a, b), weight in zip(shifts, stencil.split(1, 1)):
            total.addcmul_(weight, wide[..., 1 + a : 1 + a + rows, 1 + b : 1 + b + columns])
        return total

    diagonal = stencil[:, 4:5]
    mask = (diagonal > 1e-6).to(like)
    return Level(apply, mask / diagonal.clamp(min=1e-6), mask)


@dataclass(frozen=True)
class Hierarchy:
    """The equations from the finest grid to the coarsest, whose inverse ``(B,n,n)`` is known."""

    levels: list[Level]
    inverse: Tensor

    def cycle(self, residual: Tensor, depth: int = 0) -> Tensor:
        """Multigrid's V-cycle: about what solves a residual; symmetric, as conjugacy needs."""
        level = self.levels[depth]
        if depth == len(self.levels) - 1:
            flat = residual.flatten(2) @ self.inverse
            return level.mask * flat.unflatten(2, residual.shape[2:])
        damped = DAMPING * level.inverse
        solution = damped * residual
        coarse = level.restrict(residual - level.apply(solution))
        solution += level.prolong(self.cycle(coarse, depth + 1))
        return solution.addcmul_(damped, residual - level.apply(solution))


def hierarchy(removed: Tensor) -> Hierarchy:
    """The equations of removed pixels ``(B,1,h,w)``, 1 or 0."""
    levels = [_finest(removed)]
    while levels[-1].mask[0].numel() > DENSE:
        levels.append(_implied(levels[-1]))
    coarsest = levels[-1]
    shape, count = coarsest.mask.shape, coarsest.mask[0].numel()
    unit = torch.eye(count, device=removed.device, dtype=removed.dtype)
    columns = coarsest.apply(unit.view(1, count, *shape[2:]).expand(len(removed), -1, -1, -1))
    # What is not solved for stands for itself. Functions that differ where nothing is removed only
    # are the same to the equations, which a little on the diagonal tells apart.
    diagonal = torch.where(coarsest.mask > 0, RIDGE / coarsest.inverse.clamp(min=1e-9), 1.0)
    matrix = columns.flatten(2).double() + torch.diag_embed(diagonal.flatten(1))
    return Hierarchy(levels, torch.linalg.inv(matrix).to(removed.dtype))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((2, 3), keepdim=True)


def _gained(grids: Hierarchy, residual: Tensor) -> tuple[Tensor, Tensor]:
    """What solves a residual ``(B,C,h,w)`` to `GAIN`, and about the error left, ``(B,C,1,1)``."""
    step = grids.cycle(residual)
    solution, direction, product = torch.zeros_like(step), step, _dot(residual, step)
    error = step.abs().amax((2, 3), keepdim=True)
    enough = (GAIN * error).clamp(min=TOLERANCE / 2)
    for _ in range(CYCLES):
        unsolved = error > enough  # each channel by itself: its neighbours do not move it
        if not unsolved.any():
            break
        through = grids.levels[0].apply(direction)
        length = torch.where(unsolved, product / _dot(direction, through), 0.0)
        solution = solution + length * direction
        residual = residual - length * through
        step = grids.cycle(residual)
        before, product = product, _dot(residual, step)
        direction = step + torch.where(unsolved, product / before, 0.0) * direction
        error = torch.where(unsolved, step.abs().amax((2, 3), keepdim=True), error)
    return solution, error


def fill(images: Tensor, removed: Tensor) -> Tensor:
    """``images (B,3,h,w)`` with the `removed` pixels ``(B,h,w) bool`` filled from the others.

    Within 1e-4 of the sparse direct solution, in the images' units. An image of which nothing is
    left is zero: the preprocessing's mean. What is solved of an image does not depend on its
    neighbours in the batch. Raises `ArithmeticError` for what is not solved in `ROUNDS`.
    """
    left = ~removed[:, None]
    values = torch.where(left, images, 0.0).double()
    count = left.sum((2, 3), keepdim=True)
    gone = (~left & (count > 0)).double()
    solution = gone * values.sum((2, 3), keepdim=True) / count.clamp(min=1)  # first, the mean
    exact, grids = _finest(gone), hierarchy(gone.float())
    given = gone * neighbours(values)
    unsolved = torch.ones_like(values[:, :, :1, :1], dtype=torch.bool)
    for _ in range(ROUNDS):
        correction, error = _gained(grids, (given - exact.apply(solution)).float())
        solution = solution + torch.where(unsolved, correction, 0.0)
        unsolved = unsolved & (error > TOLERANCE)
        if not unsolved.any():
            return torch.where(left, images, solution.to(images.dtype))
    raise ArithmeticError(f"a fill of {tuple(images.shape)} is not solved in {ROUNDS} rounds")


def noise(key: str, seed: int, shape: tuple[int, ...]) -> Tensor:
    """ROAD's noise of an image, the same on every machine: seeded by the image's name, `key`."""
    rng = np.random.default_rng([zlib.crc32(key.encode()), seed])
    return torch.from_numpy(NOISE * rng.standard_normal(shape)).float()
