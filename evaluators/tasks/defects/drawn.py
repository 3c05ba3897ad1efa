"""What a mask's picture marks: of grey values, colours, palettes and alpha, which pixels count.

Indices and 0/1 count from 1. A mask that is bright somewhere is one of 0 and its maximum, whose
values between come from antialiasing or from JPEG and count from half of the maximum; except those
of a lossless file of few values that fill regions of their own, for they are indices too.
"""

import cv2
import numpy as np
from PIL import Image

from camx.camcore.image_files import LOSSY

BRIGHT = 128  # below it values are indices: an antialiased mask reaches its white
INDICES = 16  # a lossless mask of more values than these has them from resampling or from JPEG


def drawn(image: Image.Image) -> np.ndarray:
    """``(H,W) bool``: where an opened mask is marked."""
    pixels: np.ndarray = np.asarray(image)
    lossy = image.format in LOSSY
    if image.mode in ("P", "PA"):
        colours = np.asarray(image.convert("RGB"))
        if image.mode == "P" and colours.any(axis=2).all():  # no black: index 0 is background
            return np.asarray(pixels > 0)
        grey = (colours == colours[..., :1]).all()
        return _marked(colours[..., 0], lossy) if grey else np.asarray(colours.any(axis=2))
    if pixels.ndim == 2:
        return _marked(pixels, lossy)
    alpha = image.mode in ("LA", "RGBA", "La", "RGBa")
    colour: np.ndarray = (pixels[..., :-1] if alpha else pixels).max(axis=2)
    return _marked(pixels[..., -1] if alpha and colour.all() else colour, lossy)


def _marked(values: np.ndarray, lossy: bool) -> np.ndarray:
    """Where ``values (H,W)``, from 0, are marked."""
    high = values.max(initial=0)
    whole = values.dtype.kind in "ub" or bool((values == np.round(values)).all())
    if (high <= 1 and whole) or (whole and high < BRIGHT and not lossy):
        return np.asarray(values > 0)
    marked = values >= high / 2
    if not lossy:
        for index in _regions(values):
            marked |= values == index
    return np.asarray(marked)


def _regions(values: np.ndarray) -> list[float]:
    """The values of a mask of few of them that fill a square of 3 x 3 pixels somewhere."""
    levels = np.unique(values[values > 0])
    if len(levels) > INDICES:
        return []
    square = np.ones((3, 3), np.uint8)
    alike = (np.pad((values == level).astype(np.uint8), 1) for level in levels)
    return [v for v, where in zip(levels, alike) if cv2.erode(where, square)[1:-1, 1:-1].any()]
