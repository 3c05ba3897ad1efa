"""Maps on the image: resize a uint8 grid map to the original image, and threshold it."""

import zlib
from typing import Any

import cv2
import numpy as np

INTERPOLATIONS = {"cubic": cv2.INTER_CUBIC, "linear": cv2.INTER_LINEAR}


def on_image(grid: np.ndarray, size: tuple[int, int], interpolation: str = "cubic") -> np.ndarray:
    """The ``(g,g) uint8`` map resized to ``size = (width, height)``: ``(height,width) uint8``."""
    return cv2.resize(grid, size, interpolation=INTERPOLATIONS[interpolation])


def foreground(heatmap: np.ndarray, threshold: float = 0.15) -> np.ndarray:
    """``(H,W) uint8``, 1 above ``threshold * 255`` (docs/protocol.md, section 1, "Box")."""
    level = threshold * 255
    # Whole numbers compare with a whole one alike, eight times as fast.
    above = heatmap > (int(level) if heatmap.dtype == np.uint8 else level)
    return above.view(np.uint8)


def grabcut(
    image: np.ndarray, mask: np.ndarray, image_id: str, size: int | None = None
) -> np.ndarray:
    """One iteration of GrabCut on ``image (H,W,3) uint8`` BGR, grown from ``mask (H,W)``.

    The mask is certain object, the rest probable background (docs/protocol.md, section 1,
    "GrabCut"). OpenCV draws random numbers, seeded here by the image's name so that a rerun
    repeats. A mask that is all object or all background has no second region to learn from, and
    stays as it is. Of an image longer than `size` pixels a smaller one is cut, and what comes out
    enlarged; what was certain object stays.
    """
    height, width = mask.shape
    if size is None or max(height, width) <= size:
        return _cut(image, mask, image_id)
    sides = [max(1, round(side * size / max(height, width))) for side in (width, height)]
    small = cv2.resize(image, sides, interpolation=cv2.INTER_AREA)
    seeds = cv2.resize(255 * mask, sides, interpolation=cv2.INTER_AREA) > 127
    region = _cut(small, seeds.astype(np.uint8), image_id)
    enlarged = cv2.resize(255 * region, (width, height), interpolation=cv2.INTER_LINEAR) > 127
    return enlarged.view(np.uint8) | mask


def _cut(image: np.ndarray, mask: np.ndarray, image_id: str) -> np.ndarray:
    if mask.all() or not mask.any():
        return mask
    cv2.setRNGSeed(zlib.crc32(image_id.encode()) & 0x7FFFFFFF)
    labels: Any = np.where(mask, cv2.GC_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    back, front = np.zeros((1, 65)), np.zeros((1, 65))  # the models, which it fills
    rectangle: Any = None  # with a mask it takes none, though its types say otherwise
    labels, _, _ = cv2.grabCut(image, labels, rectangle, back, front, 1, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)


def degenerate(grid: np.ndarray) -> bool:
    """Whether the uint8 map is empty or constant, and so says nothing about where the object is."""
    return bool(grid.min() == grid.max())
