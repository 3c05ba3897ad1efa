"""Maps that know nothing, measured like any method's: what a number has to beat.

A null has no layer. It says where the object is without looking at the image.
"""

import zlib
from collections.abc import Hashable, Mapping
from typing import TypeVar

import cv2
import numpy as np

from camx.evaluators.types import Cell

Key = TypeVar("Key", bound=Hashable)
MAPS = ("everything", "centre", "random")
BACKGROUND = "background"  # of masks with classes: nothing is marked
NAMES = (*MAPS, BACKGROUND)
AREA = 0.5  # of the image, in the centre box
SIDE = 14  # of the grid that random numbers are drawn on: VGG16's at S5, ResNet50's at layer3


def grid(name: str, key: str, side: int) -> np.ndarray:
    """The map ``(side,side) uint8`` of a null: 255 everywhere, in the centre box, or random.

    The centre box has the image's proportions and half of its area, and is highest in its middle.
    Random numbers are drawn at a layer's size, seeded by `key` (an image's name, and a class's
    where maps are of classes), and resized and divided by their maximum as a layer's map is.
    `ValueError` for another name.
    """
    if name == "everything":
        return np.full((side, side), 255, np.uint8)
    if name == "centre":
        box, edge = np.zeros((side, side), np.uint8), round(side * (1 - AREA**0.5) / 2)
        box[edge : side - edge, edge : side - edge] = 240
        box[(side - 1) // 2 : side // 2 + 1, (side - 1) // 2 : side // 2 + 1] = 255
        return box
    if name == "random":
        values = np.random.default_rng(zlib.crc32(key.encode())).random((SIDE, SIDE))
        resized = cv2.resize(values, (side, side), interpolation=cv2.INTER_LINEAR)
        return (255 * resized / resized.max()).astype(np.uint8)
    raise ValueError(f"{name!r} is no null map; known: {', '.join(MAPS)}")


def check(names: set[str]) -> None:
    """Raise `ValueError` for a method or masks that are called as a null is."""
    if taken := sorted(names.intersection(NAMES)):
        what = f"{taken[0]!r} is what camx calls a row that methods are compared with"
        raise ValueError(f"{what} ({', '.join(NAMES)}); give it another name")


def competing(cells: Mapping[Key, Cell]) -> list[list[Key]]:
    """Whose cells one may be the best of, by groups that compare like with like.

    Nulls and masks moved at random are out, and what has no layer, such as the images as they are,
    where others have one; cells that hide a share of an image are with those that hide the same.
    """
    methods = {k: c for k, c in cells.items() if c.method not in NAMES and not c.random}
    methods = {k: c for k, c in methods.items() if c.layers} or methods
    areas = dict.fromkeys(cell.area for cell in methods.values())
    return [[key for key, cell in methods.items() if cell.area == area] for area in areas]


def cell(method: str, layer: str, variant: str) -> Cell:
    """A method's cell at a layer; a null's, which has neither layer nor variant."""
    return Cell(method) if method in NAMES else Cell.of(method, layer, variant)
