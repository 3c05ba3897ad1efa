"""The miniature's DAGM part: ten textures, half of the pictures with a faint defect."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from camx.evaluators.miniature import SEED, rendering
from camx.evaluators.miniature.drawing import Rng, smooth_noise

SIDE = 128
TRAIN, TEST = 60, 20  # pictures a class, every second one defective
STREAM = 7  # of random numbers, which no other part of the miniature draws from
DEFECTS = ("scratch", "crack", "spot", "ring", "pits")


def _waves(rng: Rng, period: float, angle: float, bend: float) -> np.ndarray:
    """A sine of `period` pixels across `angle`, bent by smooth noise of `bend` pixels."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    along = x * np.cos(angle) + y * np.sin(angle)
    phase = along + bend * smooth_noise(rng, SIDE, SIDE, 32) + rng.uniform(0, period)
    return 0.5 + 0.5 * np.sin(2 * np.pi * phase / period)


def _cells(rng: Rng, count: int) -> np.ndarray:
    """Distance to the nearest of `count` points over that to the second, ``(SIDE,SIDE)``."""
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


def _point(xy: np.ndarray) -> tuple[int, int]:
    return int(xy[0]), int(xy[1])


def _shape(rng: Rng) -> np.ndarray:
    """How much of each pixel one of `DEFECTS` covers, ``(SIDE,SIDE)`` in [0, 1]."""
    centre = rng.uniform(0.2 * SIDE, 0.8 * SIDE, 2)
    kind, angle = DEFECTS[rng.integers(len(DEFECTS))], rng.uniform(0, np.pi)
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    if kind == "scratch":
        reach = rng.uniform(10, 28) * np.array([np.cos(angle), np.sin(angle)])
        canvas = _line(np.array([centre - reach, centre + reach]), int(rng.integers(2, 5)))
    elif kind == "crack":
        turns = angle + np.cumsum(rng.normal(0, 0.5, 10))
        steps = rng.uniform(3, 6) * np.stack([np.cos(turns), np.sin(turns)], 1)
        walk = np.cumsum(steps, 0)
        canvas = _line(centre + walk - walk.mean(0), int(rng.integers(2, 4)))
    elif kind == "pits":
        for pit in rng.normal(centre, 7, (int(rng.integers(5, 10)), 2)):
            cv2.circle(canvas, _point(pit), int(rng.integers(2, 4)), 255, cv2.FILLED, cv2.LINE_AA)
    else:
        axes, turn = _point(rng.integers(5, 15, 2)), float(np.degrees(angle))
        width = cv2.FILLED if kind == "spot" else 3
        cv2.ellipse(canvas, _point(centre), axes, turn, 0, 360, 255, width, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255


def draw(kind: int, defective: bool, rng: Rng) -> tuple[np.ndarray, np.ndarray | None]:
    """A picture ``(SIDE,SIDE) uint8`` of texture `kind`; its defect's mask, bool, or None."""
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
    """Render the part below `root`, whole or not at all; numbered as DAGM's, tests first."""
    with rendering(root) as work:
        for kind in range(len(TEXTURES)):
            for number in range(1, test + train + 1):
                folder = work / f"Class{kind + 1}" / ("Test" if number <= test else "Train")
                (folder / "Label").mkdir(parents=True, exist_ok=True)
                rng = np.random.default_rng([seed, STREAM, kind, number])
                image, mask = draw(kind, number % 2 == 0, rng)
                Image.fromarray(image).save(folder / f"{number:04d}.PNG")
                if mask is not None:
                    label = Image.fromarray(mask.astype(np.uint8) * 255)
                    label.save(folder / "Label" / f"{number:04d}_label.PNG")
