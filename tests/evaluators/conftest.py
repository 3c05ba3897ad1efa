"""Maps of every kind that measures meet."""

import cv2
import numpy as np
import pytest


def smooth(rng, height, width):
    return cv2.GaussianBlur(rng.random((height, width)), (0, 0), max(height, width) / 16)


def plateaus(rng, height, width):
    """A low-resolution map of four values, each pixel the nearest one."""
    grid = rng.integers(4, size=(7, 7)) / 3
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_NEAREST)


def peak(rng, height, width):
    values = np.zeros((height, width))
    values[rng.integers(height), rng.integers(width)] = 1
    return values


def rings(_rng, height, width):
    """One in another, lower to the inside, with an island in the middle; a line leads outwards."""
    values = np.zeros((height, width))
    for depth, level in ((2, 0.9), (height // 6, 0.6)):
        values[depth : height - depth, depth : width - depth] = level
        values[depth + 1 : height - depth - 1, depth + 1 : width - depth - 1] = 0.1
    values[height // 2, width // 2 :] = 1
    return values


def lines(_rng, height, width):
    """Diagonals, connected by corners alone; they cross, and enclose what 4 neighbours part."""
    values = np.zeros((height, width))
    for i in range(min(height, width) - 1):
        values[i, i] = 0.5 + i / (4 * height)
        values[i, width - 2 - i] = 0.8
    return values


def twins(rng, height, width):
    """Squares of one area: which contour is the largest is a matter of order."""
    values, side = np.zeros((height, width)), max(2, height // 8)
    for level in (0.4, 0.4, 0.7, 0.7):
        y, x = rng.integers(height - side), rng.integers(width - side)
        values[y : y + side, x : x + side] = level
    return values


KINDS = {
    "smooth": smooth,
    "noisy": lambda rng, height, width: rng.random((height, width)),
    "few levels": lambda rng, height, width: rng.integers(3, size=(height, width)) / 2,
    "plateaus": plateaus,
    "constant": lambda _, height, width: np.full((height, width), 0.5),
    "zero": lambda _, height, width: np.zeros((height, width)),
    "peak": peak,
    "rings": rings,
    "lines": lines,
    "twins": twins,
}


@pytest.fixture(params=KINDS)
def heatmap(request):
    """A function ``(seed, height, width)`` that gives ``(height,width) float64`` from 0 to 1."""
    make = KINDS[request.param]
    return lambda seed, height, width: make(np.random.default_rng(seed), height, width)
