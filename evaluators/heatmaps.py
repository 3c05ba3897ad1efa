"""Maps on the image: resize a uint8 grid map to the original image, and threshold it."""

import cv2
import numpy as np

INTERPOLATIONS = {"cubic": cv2.INTER_CUBIC, "linear": cv2.INTER_LINEAR}


def on_image(grid: np.ndarray, size: tuple[int, int], interpolation: str = "cubic") -> np.ndarray:
    """The ``(g,g) uint8`` map resized to ``size = (width, height)``: ``(height,width) uint8``."""
    return cv2.resize(grid, size, interpolation=INTERPOLATIONS[interpolation])


def foreground(heatmap: np.ndarray, threshold: float = 0.15) -> np.ndarray:
    """``(H,W) uint8``, 1 where the map exceeds ``threshold * 255``: an absolute cut (protocol.md, "Box")."""
    return (heatmap > threshold * 255).astype(np.uint8)


def degenerate(grid: np.ndarray) -> bool:
    """Whether the uint8 map is empty or constant, and so says nothing about where the object is."""
    return bool(grid.min() == grid.max())
