"""Segmentation masks as VOC stores them: a palette PNG of class indices, 0 background, 255 ignored."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 20  # of VOC 2012; label k is index k + 1
IGNORED = 255
VALUES = 256


def palette() -> list[int]:
    """VOC's colours by its rule, ``[r, g, b] * 256``: bit 3j + c of an index is bit 7 - j of its colour's channel c."""
    return [sum(((index >> 3 * j + channel) & 1) << 7 - j for j in range(3)) for index in range(VALUES) for channel in range(3)]


def present(mask: np.ndarray) -> list[int]:
    """The indices that occur in ``mask (H,W) uint8``, ascending."""
    return np.flatnonzero(np.bincount(mask.ravel(), minlength=VALUES)).tolist()


def labels(mask: np.ndarray) -> tuple[int, ...]:
    """The classes of ``mask (H,W) uint8``, ascending: index k + 1 is label k; background and ignored pixels are none."""
    return tuple(index - 1 for index in present(mask) if index not in (0, IGNORED))


def read_mask(path: Path, classes: int = CLASSES) -> np.ndarray:
    """The mask of a file, ``(H,W) uint8`` of indices 0..`classes` and 255.

    A palette is not looked at; grey values are indices; a picture in VOC's colours is translated. Raises `ValueError`
    naming the file and the value if it holds anything else, `FileNotFoundError` if there is none.
    """
    try:
        with Image.open(path) as image:
            pixels, mode = np.asarray(image), image.mode
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such mask") from None
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path}: not a readable mask: {error}") from None
    if mode == "RGB":
        return _from_colours(pixels, path, [*range(classes + 1), IGNORED])
    if mode not in ("P", "L"):
        raise ValueError(f"{path}: a mask of mode {mode}; accepted: a palette (P), grey values that are indices (L), VOC's colours (RGB)")
    if wrong := [index for index in present(pixels) if index > classes and index != IGNORED]:
        raise ValueError(f"{path}: the mask holds the index {wrong[0]}; accepted: 0 to {classes}, and 255 for ignored")
    return pixels


def _from_colours(pixels: np.ndarray, path: Path, accepted: Sequence[int]) -> np.ndarray:
    """``pixels (H,W,3)`` in VOC's colours as indices ``(H,W)``. `ValueError` naming a colour that is none of `accepted`."""
    weights = np.array([1 << 16, 1 << 8, 1])
    codes = np.array(palette()).reshape(VALUES, 3)[list(accepted)] @ weights
    order = np.argsort(codes)
    found = pixels @ weights
    place = order[np.minimum(np.searchsorted(codes[order], found), len(order) - 1)]
    strange = codes[place] != found
    if strange.any():
        colour = tuple(pixels[strange][0].tolist())
        raise ValueError(f"{path}: the mask holds the colour {colour}; accepted: VOC's colours of 0 to {accepted[-2]}, and of 255")
    return np.asarray(accepted, np.uint8)[place]


def write_mask(path: Path, indices: np.ndarray) -> None:
    """Write ``indices (H,W) uint8`` as a palette PNG, whole or not at all. `ValueError` for another shape or type."""
    if indices.ndim != 2 or indices.dtype != np.uint8:
        raise ValueError(f"{path}: a mask is (H, W) of uint8, not {indices.shape} of {indices.dtype}")
    image = Image.fromarray(indices)
    image.putpalette(palette())
    temporary = path.with_name(f".{path.name}.{os.getpid()}")  # no .png, so that no glob finds it
    try:
        image.save(temporary, "PNG")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
