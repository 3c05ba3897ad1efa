"""Overlays at a picture's own size: the map in colours, the mask's outline and the box."""

import cv2
import numpy as np
from matplotlib import colormaps, colors

from camx.evaluators.pictures import BLEND, CASING, PALETTE, PREDICTED
from camx.evaluators.types import Box

FINE = 200  # pixels of a picture's shorter side for one of a line's width


def blended(pixels: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """``(H,W,3) uint8`` RGB: as `pictures.overlay`, within a level, in whole numbers.

    A picture of many megapixels takes no more than its own size beside it.
    """
    table = colormaps[PALETTE](np.arange(256), bytes=True)[:, None, :3]
    coloured = cv2.LUT(cv2.merge([heatmap] * 3), np.ascontiguousarray(table))
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(coloured, BLEND, grey, 1 - BLEND, 0, dst=grey))


def overlay(pixels: np.ndarray, heatmap: np.ndarray, mask: np.ndarray, box: Box) -> np.ndarray:
    """``(H,W,3) uint8`` RGB: the map, the mask's outline, and its box, cased in black."""
    image = blended(pixels, heatmap)
    if not mask.any():
        return image
    width = max(1, round(min(mask.shape) / FINE))
    contours = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[0]
    x0, y0, x1, y1 = box
    for colour, extra in ((CASING, 2), (PREDICTED, 0)):
        rgb = [round(255 * part) for part in colors.to_rgb(colour)]
        cv2.drawContours(image, contours, -1, rgb, width + extra, cv2.LINE_8)
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), rgb, width + extra, cv2.LINE_8)
    return image
