"""Object masks of localization data sets: which pixels are the object, whatever file says so.

A mask has parts where the data set tells instances apart; their union is the object. Pixels that
are marked as ignored, and are not the object, take no part in any measure.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from camx.camcore.image_files import LOSSY
from camx.evaluators.files import regular
from camx.evaluators.values import Box

BACKGROUND, OBJECT, IGNORED = 0, 1, 255
Size = tuple[int, int]  # width and height


class ObjectMask(ABC):
    """What marks the object of an image; `files` are those that it is read from.

    `rule` says how they are read, and is what tells one mask from another beside their contents.
    Each method raises `ValueError` or `FileNotFoundError` naming the file.
    """

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]: ...

    @property
    @abstractmethod
    def rule(self) -> str: ...

    @abstractmethod
    def parts(self, size: Size) -> Sequence[np.ndarray]:
        """``(h,w) bool`` of each instance, or of all in one, at a size, by the nearest pixel."""

    def ignored(self, size: Size) -> np.ndarray | None:
        """``(h,w) bool``: the pixels that take no part unless they are the object's."""
        return None

    def read(self, size: Size) -> np.ndarray:
        """``(h,w) uint8``: 1 the object, 0 background, 255 ignored."""
        mask = np.zeros(size[::-1], np.uint8)
        if (ignored := self.ignored(size)) is not None:
            mask[ignored] = IGNORED
        for part in self.parts(size):
            mask[part] = OBJECT
        return mask

    def boxes(self, size: Size) -> tuple[Box, ...]:
        """The bounding box of each part that marks anything."""
        import cv2  # where it is needed: types, and so every command, imports this file

        corners = (cv2.boundingRect(part.astype(np.uint8)) for part in self.parts(size))
        return tuple((x, y, x + w, y + h) for x, y, w, h in corners if w and h)


def nearest(pixels: np.ndarray, size: Size) -> np.ndarray:
    """``(H,W)`` of any type at a size, each pixel the nearest one (OpenCV's ``INTER_NEAREST``)."""
    import cv2

    if pixels.shape[::-1] == size:
        return pixels
    resized: np.ndarray = cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST)
    return resized


def opened(path: Path, lossless: bool = True) -> Any:
    """A mask's pixels ``(H,W)`` or ``(H,W,3)``, as stored. `ValueError` naming one that is none.

    What is `lossless` may not be of a format that changes values when it is saved.
    """
    regular(path, "mask")
    try:
        with Image.open(path) as image:
            pixels, lossy, mode = np.asarray(image), image.format in LOSSY, image.mode
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise ValueError(f"{path}: not a readable mask: {error}") from error
    if lossy and lossless:
        raise ValueError(f"{path}: a format that changes values when it is saved; expected PNG")
    if mode not in ("1", "L", "P", "RGB", "I;16", "I"):
        raise ValueError(f"{path}: a mask of mode {mode}; accepted: grey, a palette, RGB")
    return pixels


@dataclass(frozen=True)
class GreyMasks(ObjectMask):
    """Grey images, one an instance: the object is where a value is above `above` (of 8 bits).

    `ignore` is another such image, of what is ignored.
    """

    paths: tuple[Path, ...]
    above: int = 0
    ignore: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        return (*self.paths, *filter(None, (self.ignore,)))

    @property
    def rule(self) -> str:
        return f"above {self.above}{', the last is ignored' if self.ignore else ''}"

    def parts(self, size: Size) -> list[np.ndarray]:
        return [self._marked(path, size) for path in self.paths]

    def ignored(self, size: Size) -> np.ndarray | None:
        return self._marked(self.ignore, size) if self.ignore else None

    def _marked(self, path: Path, size: Size) -> np.ndarray:
        pixels = opened(path)
        if pixels.ndim == 3:
            raise ValueError(f"{path}: a mask in colours; expected grey values")
        marked: np.ndarray = nearest(pixels.astype(np.int32), size) > self.above
        return marked
