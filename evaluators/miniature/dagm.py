"""The miniature's DAGM part: ten textures, half of the pictures with a faint defect, in DAGM 2007's own layout."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from evaluators.miniature import SEED, rendering
from evaluators.miniature.drawing import smooth_noise

SIDE = 128
TRAIN, TEST = 60, 20  # pictures a class, every second one defective
Rng = np.random.Generator


def _waves(rng: Rng, period: float, angle: float, bend: float) -> np.ndarray:
    """A sine of `period` pixels across `angle`, bent by smooth noise of `bend` pixels."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    phase = x * np.cos(angle) + y * np.sin(angle) + bend * smooth_noise(rng, SIDE, SIDE, 32) + rng.uniform(0, period)
    return 0.5 + 0.5 * np.sin(2 * np.pi * phase / period)


def _cells(rng: Rng, count: int) -> np.ndarray:
    """Distance to the nearest of `count` random points over that to the second nearest, ``(SIDE,SIDE)``."""
    y, x = np.mgrid[:SIDE, :SIDE]
    points = rng.uniform(0, SIDE, (count, 2))
    distance = np.sort(np.hypot(y[..., None] - points[:, 0], x[..., None] - points[:, 1]), -1)
    return distance[..., 0] / (distance[..., 1] + 1e-6)


def _streaks(rng: Rng, across: int, along: int) -> np.ndarray:
    return cv2.blur(rng.random((SIDE, SIDE), np.float32), (along, across))


# Ten textures, one a class; each picture is another sample of its class's.
TEXTURES: tuple[Callable[[Rng], np.ndarray], ...] = (
    lambda rng: smooth_noise(rng, SIDE, SIDE, 4),
    lambda rng: 0.5 * smooth_noise(rng, SIDE, SIDE, 24) + 0.5 * smooth_noise(rng, SIDE, SIDE, 3),
    lambda rng: _waves(rng, 9, 0.3, 6),
    lambda rng: _waves(rng, 14, 1.2, 30),
    lambda rng: _waves(rng, 8, 0.0, 2) * _waves(rng, 8, np.pi / 2, 2),
    lambda rng: np.clip(3 * _streaks(rng, 1, 31) - 1, 0, 1),
    lambda rng: np.clip(3 * _streaks(rng, 25, 2) - 1, 0, 1),
    lambda rng: _cells(rng, 90),
    lambda rng: 1 - _cells(rng, 40) ** 4,
    lambda rng: (smooth_noise(rng, SIDE, SIDE, 6) > 0.5) * 0.6 + 0.3 * rng.random((SIDE, SIDE)),
)


def _line(points: np.ndarray, width: int) -> np.ndarray:
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    cv2.polylines(canvas, [np.round(points).astype(np.int32)], False, 255, width, cv2.LINE_AA)
    return canvas


def _shape(rng: Rng) -> np.ndarray:
    """How much of each pixel a defect covers: a scratch, a crack, a spot, a ring or a cluster of pits, ``(SIDE,SIDE)`` in [0, 1]."""
    centre = rng.uniform(0.2 * SIDE, 0.8 * SIDE, 2)
    kind, angle = rng.integers(5), rng.uniform(0, np.pi)
    direction, canvas = np.array([np.cos(angle), np.sin(angle)]), np.zeros((SIDE, SIDE), np.uint8)
    if kind == 0:
        reach = rng.uniform(10, 28) * direction
        canvas = _line(np.array([centre - reach, centre + reach]), int(rng.integers(2, 5)))
    elif kind == 1:
        turns = angle + np.cumsum(rng.normal(0, 0.5, 10))
        steps = rng.uniform(3, 6) * np.stack([np.cos(turns), np.sin(turns)], 1)
        walk = np.cumsum(steps, 0)
        canvas = _line(centre + walk - walk.mean(0), int(rng.integers(2, 4)))
    elif kind in (2, 3):
        axes = tuple(int(v) for v in rng.integers(5, 15, 2))
        thickness = -1 if kind == 2 else 3
        cv2.ellipse(canvas, tuple(int(v) for v in centre), axes, float(np.degrees(angle)), 0, 360, 255, thickness, cv2.LINE_AA)
    else:
        for spot in rng.normal(centre, 7, (int(rng.integers(5, 10)), 2)):
            cv2.circle(canvas, tuple(int(v) for v in spot), int(rng.integers(2, 4)), 255, -1, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255


def draw(kind: int, defective: bool, rng: Rng) -> tuple[np.ndarray, np.ndarray | None]:
    """A picture ``(SIDE,SIDE) uint8`` of texture `kind`, and its defect's mask ``(SIDE,SIDE) bool`` or None."""
    light = 0.2 * smooth_noise(rng, SIDE, SIDE, 64)
    canvas = 0.25 + 0.35 * TEXTURES[kind](rng) + light + rng.normal(0, 0.02, (SIDE, SIDE))
    mask = None
    if defective:
        cover = _shape(rng)
        while (cover > 0.5).sum() < 30:  # it may lie outside the picture
            cover = _shape(rng)
        canvas += cover * rng.choice([-1, 1]) * rng.uniform(0.12, 0.28)
        mask = cover > 0.5
    return (np.clip(canvas, 0, 1) * 255).round().astype(np.uint8), mask


def write(root: Path, train: int = TRAIN, test: int = TEST, seed: int = SEED) -> None:
    """Render the part below `root`, which appears whole or not at all; numbered as DAGM's, the test images first."""
    with rendering(root) as work:
        for kind in range(len(TEXTURES)):
            for number in range(1, test + train + 1):
                folder = work / f"Class{kind + 1}" / ("Test" if number <= test else "Train")
                (folder / "Label").mkdir(parents=True, exist_ok=True)
                image, mask = draw(kind, number % 2 == 0, np.random.default_rng([seed, 7, kind, number]))
                Image.fromarray(image).save(folder / f"{number:04d}.PNG")
                if mask is not None:
                    Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "Label" / f"{number:04d}_label.PNG")
