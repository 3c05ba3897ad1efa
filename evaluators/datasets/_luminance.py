"""Masks that are grey to the eye, however they were saved: with colours, a palette, transparency.

wsolevaluation's test data hold OpenImages' masks of one bit and of RGB with transparency, and what
is to be ignored as RGB; all are read there as grey values (OpenCV's ``IMREAD_GRAYSCALE``).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from camx.camcore.image_files import LOSSY
from camx.evaluators.files import regular
from camx.evaluators.object_masks import GreyMasks, Size, nearest

MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # those of eight bits and fewer


@dataclass(frozen=True)
class Luminance(GreyMasks):
    """`GreyMasks` of any of these files: of colours their luminance, whatever is transparent."""

    @property
    def rule(self) -> str:
        return f"luminance {super().rule}"

    def _marked(self, path: Path, size: Size) -> np.ndarray:
        regular(path, "mask")
        try:
            with Image.open(path) as image:
                mode, lossy = image.mode, image.format in LOSSY
                values = np.asarray(image.convert("L"))
        except Exception as error:  # a decoder may raise anything on a damaged file
            raise ValueError(f"{path}: not a readable mask: {error}") from error
        if lossy:
            raise ValueError(f"{path}: a format that changes values when saved; expected PNG")
        if mode not in MODES:
            raise ValueError(f"{path}: a mask of mode {mode}; accepted: {', '.join(MODES)}")
        marked: np.ndarray = nearest(values, size) > self.above
        return marked
