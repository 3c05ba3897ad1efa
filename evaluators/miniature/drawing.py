"""Drawn, textured, rotated objects on cluttered backgrounds, with exact masks.

Coordinates of a shape are in the unit square [-1, 1]²; images are float32 RGB in [0, 1].
"""

from dataclasses import dataclass

import cv2
import numpy as np

Rng = np.random.Generator
ATTEMPTS = 30  # to find room for an object
SUPERSAMPLE = 4  # shapes are rasterised this much larger, then averaged: smooth, exact edges


def _disc(x: float, y: float, radius: float, start: float = 0, stop: float = 360) -> np.ndarray:
    angle = np.radians(np.linspace(start, stop, 40))
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], 1)


def _star(points: int, inner: float) -> np.ndarray:
    angle = np.arange(2 * points) * np.pi / points
    radius = np.where(np.arange(2 * points) % 2, inner, 1.0)
    return np.stack([radius * np.sin(angle), -radius * np.cos(angle)], 1)


def _polygon(*xy: float) -> np.ndarray:
    return np.array(xy, float).reshape(-1, 2)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 60)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([np.sin(t) ** 3, -y / 16], 1)


PATTERNS = ("stripes", "checks", "dots", "noise", "gradient")
CLUTTER = ("line", "blob", "scrap")
# Of an image's side, by its objects, up to 3.
RADII = {1: (0.22, 0.44), 2: (0.18, 0.28), 3: (0.16, 0.23)}
# One shape: polygons painted in order, +1 adds to the object and -1 cuts a hole into it.
SHAPES: dict[str, list[tuple[int, np.ndarray]]] = {
    "arrow": [
        (1, _polygon(-1, -0.25, 0.1, -0.25, 0.1, -0.75, 1, 0, 0.1, 0.75, 0.1, 0.25, -1, 0.25))
    ],
    "crescent": [(1, _disc(0, 0, 1)), (-1, _disc(0.5, 0, 0.8))],
    "cross": [
        (1, _polygon(-1, -0.3, 1, -0.3, 1, 0.3, -1, 0.3)),
        (1, _polygon(-0.3, -1, 0.3, -1, 0.3, 1, -0.3, 1)),
    ],
    "fish": [
        (1, np.array([1.0, 0.5]) * _disc(0.25, 0, 0.75)),
        (1, _polygon(-0.3, 0, -1, -0.6, -0.8, 0, -1, 0.6)),
        (-1, _disc(0.6, -0.1, 0.1)),
    ],
    "heart": [(1, _heart())],
    "house": [
        (1, _polygon(-0.75, -0.1, 0.75, -0.1, 0.75, 0.9, -0.75, 0.9)),
        (1, _polygon(-1, -0.1, 0, -0.95, 1, -0.1)),
        (-1, _polygon(-0.2, 0.3, 0.2, 0.3, 0.2, 0.9, -0.2, 0.9)),
    ],
    "key": [
        (1, _disc(-0.6, 0, 0.4)),
        (-1, _disc(-0.6, 0, 0.18)),
        (1, _polygon(-0.3, -0.13, 1, -0.13, 1, 0.13, -0.3, 0.13)),
        (1, _polygon(0.75, 0, 1, 0, 1, 0.5, 0.75, 0.5)),
        (1, _polygon(0.35, 0, 0.55, 0, 0.55, 0.4, 0.35, 0.4)),
    ],
    "mushroom": [
        (1, _disc(0, 0, 0.95, 180, 360)),
        (1, _polygon(-0.28, -0.05, 0.28, -0.05, 0.38, 0.95, -0.38, 0.95)),
    ],
    "ring": [(1, _disc(0, 0, 1)), (-1, _disc(0, 0, 0.58))],
    "star": [(1, _star(5, 0.42))],
}


@dataclass(frozen=True)
class Drawing:
    """A drawn scene: ``image (H,W,3) uint8`` RGB and a mask ``(H,W) bool`` per object."""

    image: np.ndarray
    masks: tuple[np.ndarray, ...]
    labels: tuple[int, ...]


def smooth_noise(rng: Rng, height: int, width: int, cell: int) -> np.ndarray:
    """Smooth noise in [0, 1] whose features are about `cell` pixels wide, ``(H,W)``."""
    coarse = rng.random((height // cell + 3, width // cell + 3), dtype=np.float32)
    grown = cv2.resize(coarse, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
    return np.clip(grown[cell : cell + height, cell : cell + width], 0, 1)


def texture(rng: Rng, height: int, width: int) -> np.ndarray:
    """One of `PATTERNS` in two colours, ``(H,W,3)``, at any angle; only a shape tells its class."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(5, 12)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave_u, wave_v = np.sin(2 * np.pi * u / period), np.sin(2 * np.pi * v / period)
    pattern = PATTERNS[rng.integers(len(PATTERNS))]
    if pattern == "stripes":
        mix = wave_u > 0
    elif pattern == "checks":
        mix = wave_u * wave_v > 0
    elif pattern == "dots":
        mix = wave_u + wave_v > 0.9
    elif pattern == "noise":
        mix = smooth_noise(rng, height, width, int(period))
    else:
        mix = (u - u.min()) / (np.ptp(u) + 1e-6) if u.size else u
    first = rng.random(3)
    second = np.clip(first + rng.choice([-1, 1], 3) * rng.uniform(0.15, 0.45, 3), 0, 1)
    return (first + mix[..., None] * (second - first)).astype(np.float32)


def background(rng: Rng, height: int, width: int) -> np.ndarray:
    """Coloured noise at three scales, overlaid with textured `CLUTTER`, ``(H,W,3)``."""
    canvas = np.zeros((height, width, 3), np.float32)
    for cell, weight in ((48, 0.5), (16, 0.3), (5, 0.2)):
        canvas += weight * np.stack([smooth_noise(rng, height, width, cell) for _ in range(3)], -1)
    for _ in range(rng.integers(4, 10)):
        mask = np.zeros((height, width), np.uint8)
        x, y = int(rng.integers(width)), int(rng.integers(height))
        kind = CLUTTER[rng.integers(len(CLUTTER))]
        if kind == "line":
            end = (int(rng.integers(width)), int(rng.integers(height)))
            cv2.line(mask, (x, y), end, 255, int(rng.integers(1, 6)), cv2.LINE_AA)
        elif kind == "blob":
            axes = (int(rng.integers(3, 18)), int(rng.integers(3, 18)))
            turn = float(rng.uniform(0, 180))
            cv2.ellipse(mask, (x, y), axes, turn, 0, 360, 255, cv2.FILLED, cv2.LINE_AA)
        else:
            corners = rng.integers(-18, 18, (3, 2)) + np.array([x, y])
            cv2.fillPoly(mask, [corners.astype(np.int32)], 255, cv2.LINE_AA)
        left, top, wide, high = cv2.boundingRect(mask)
        patch = slice(top, top + high), slice(left, left + wide)
        alpha = (mask[patch].astype(np.float32) / 255 * rng.uniform(0.4, 0.9))[..., None]
        canvas[patch] = canvas[patch] * (1 - alpha) + texture(rng, high, wide) * alpha
    return canvas


def coverage(
    rng: Rng, shape: str, centre: tuple[float, float], radius: float, height: int, width: int
) -> np.ndarray:
    """How much of each pixel the turned, slightly sheared shape covers: ``(H,W) float32``, 0..1."""
    angle = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    across, shear, along = rng.uniform(0.75, 1), rng.uniform(-0.15, 0.15), rng.uniform(0.75, 1)
    matrix = radius * rotation @ np.array([[across, shear], [0, along]])
    canvas = np.zeros((height * SUPERSAMPLE, width * SUPERSAMPLE), np.uint8)
    for sign, polygon in SHAPES[shape]:
        corners = (polygon @ matrix.T + centre) * SUPERSAMPLE
        cv2.fillPoly(canvas, [np.round(corners).astype(np.int32)], 255 if sign > 0 else 0)
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def scene(rng: Rng, labels: list[int], height: int, width: int) -> Drawing:
    """Draw one object per label, none touching another; an object that finds no room is left out.

    The first object always finds room. Labels index the sorted names of `SHAPES`.
    """
    canvas = background(rng, height, width)
    masks, visible = [], []  # masks and labels of the objects that found room
    occupied = np.zeros((height, width), bool)
    for label in labels:
        for _ in range(ATTEMPTS):
            radius = rng.uniform(*RADII[min(len(labels), 3)]) * min(height, width)
            x, y = (rng.uniform(0.8 * radius, side - 0.8 * radius) for side in (width, height))
            alpha = coverage(rng, sorted(SHAPES)[label], (x, y), radius, height, width)
            mask = alpha > 0.5
            surroundings = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))).astype(bool)
            if not (surroundings & occupied).any():
                break
        else:
            continue
        shade = 0.75 + 0.5 * smooth_noise(rng, height, width, 40)[..., None]
        fill = np.clip(texture(rng, height, width) * shade, 0, 1)
        canvas = canvas * (1 - alpha[..., None]) + fill * alpha[..., None]
        occupied |= mask
        masks.append(mask)
        visible.append(label)
    canvas = canvas + rng.normal(0, 0.03, canvas.shape).astype(np.float32)
    image = (np.clip(canvas, 0, 1) * 255).round().astype(np.uint8)
    return Drawing(image, tuple(masks), tuple(visible))


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The tight box ``(x0, y0, x1, y1)`` of a mask, exclusive end, in pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
