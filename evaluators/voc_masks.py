"""Segmentation masks as VOC stores them: a palette PNG of class indices, 0 background, 255 ignored.

A folder of labels or masks that camx made says in its ``labels.json`` what made them.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from camx.camcore.image_files import LOSSY
from camx.evaluators.confusion import IGNORED
from camx.evaluators.files import parse_json, read_text, regular, write_json, write_whole

ABOUT = "labels.json"
CELL = ("method", "layer", "variant", "network")  # what it may say, each a text
CLASSES = 20  # of VOC 2012; label k is index k + 1
VALUES = 256


def palette() -> list[int]:
    """VOC's colours, ``[r, g, b] * 256``: bit 3j + c of an index is bit 7 - j of channel c."""
    return [
        sum(((index >> 3 * j + channel) & 1) << 7 - j for j in range(3))
        for index in range(VALUES)
        for channel in range(3)
    ]


def present(mask: np.ndarray) -> list[int]:
    """The indices that occur in ``mask (H,W) uint8``, ascending."""
    return np.flatnonzero(np.bincount(mask.ravel(), minlength=VALUES)).tolist()


def labels(mask: np.ndarray) -> tuple[int, ...]:
    """The classes of ``mask (H,W) uint8``, ascending: index k + 1 is label k; 0 and 255 none."""
    return tuple(index - 1 for index in present(mask) if index not in (0, IGNORED))


def of_image(folder: Path, image_id: str) -> Path | None:
    """The file of an image's mask in a folder, its suffix in any case; None if there is none."""
    paths = (folder / f"{image_id}{suffix}" for suffix in (".png", ".PNG"))
    return next((regular(path, "mask") for path in paths if os.path.lexists(path)), None)


def read_mask(path: Path, classes: int = CLASSES) -> np.ndarray:
    """The mask of a file, ``(H,W) uint8`` of indices 0..`classes` and 255.

    A palette is not looked at; grey values are indices; a picture in VOC's colours is translated.
    Raises `ValueError` naming the file and the value if it holds anything else, `FileNotFoundError`
    if there is none.
    """
    regular(path, "mask")
    try:
        with Image.open(path) as image:
            pixels, mode, lossy = np.asarray(image), image.mode, image.format in LOSSY
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise ValueError(f"{path}: not a readable mask: {error}") from error
    if lossy:
        raise ValueError(f"{path}: a format that changes indices when it is saved; expected PNG")
    if mode == "RGB":
        return _from_colours(pixels, path, [*range(classes + 1), IGNORED])
    if mode not in ("P", "L"):
        accepted = "a palette (P), grey values that are indices (L), VOC's colours (RGB)"
        raise ValueError(f"{path}: a mask of mode {mode}; accepted: {accepted}")
    if wrong := [index for index in present(pixels) if index > classes and index != IGNORED]:
        accepted = f"0 to {classes}, and 255 for ignored"
        raise ValueError(f"{path}: the mask holds the index {wrong[0]}; accepted: {accepted}")
    return pixels


def _from_colours(pixels: np.ndarray, path: Path, accepted: Sequence[int]) -> np.ndarray:
    """VOC's colours ``(H,W,3)`` as indices ``(H,W)``. `ValueError` naming a strange one."""
    weights = np.array([1 << 16, 1 << 8, 1])
    codes = np.array(palette()).reshape(VALUES, 3)[list(accepted)] @ weights
    order = np.argsort(codes)
    code = pixels @ weights
    place = order[np.minimum(np.searchsorted(codes[order], code), len(order) - 1)]
    strange = codes[place] != code
    if strange.any():
        colour = tuple(pixels[strange][0].tolist())
        accept = f"VOC's colours of 0 to {accepted[-2]}, and of 255"
        raise ValueError(f"{path}: the mask holds the colour {colour}; accepted: {accept}")
    return np.asarray(accepted, np.uint8)[place]


def write_mask(path: Path, indices: np.ndarray) -> None:
    """Write ``indices (H,W) uint8`` as a palette PNG, whole or not at all."""
    if indices.ndim != 2 or indices.dtype != np.uint8:
        what = f"not {indices.shape} of {indices.dtype}"
        raise ValueError(f"{path}: a mask is (H, W) of uint8, {what}")
    image = Image.fromarray(indices)
    image.putpalette(palette())
    write_whole(path, lambda temporary: image.save(temporary, "PNG"))


def describe(folder: Path, about: Mapping[str, Any]) -> None:
    """Say beside labels or masks what made them."""
    write_json(folder / ABOUT, about)


def about(folder: Path) -> dict[str, Any]:
    """What a folder's ``labels.json`` says of its labels or masks; empty without one."""
    path = folder / ABOUT
    content = parse_json(read_text(path), str(path)) if os.path.lexists(path) else {}
    told = [content.get(key, "") for key in CELL] if isinstance(content, dict) else [None]
    if not all(isinstance(word, str) for word in told):
        raise ValueError(f"{path}: expected a mapping, with texts for {', '.join(CELL)}")
    return content
