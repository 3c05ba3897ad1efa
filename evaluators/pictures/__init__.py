"""Pictures: the one style of all that camx draws, from arrays and words to PNG and PDF.

A map is told by one palette, perceptual, with a lightness that only rises, over the photograph in
grey, so that hue is the map's alone. A true box is dashed and white, a predicted one solid and
blue, both cased in black: style, colour and lightness each tell them apart, to the colour-blind and
in grey too. Sizes are those of print: a paper's column or page, no letter below 7 points.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure

from camx.evaluators.files import write_whole

COLUMN, PAGE = 3.5, 7.16  # inches: the width of a column and of a page of two
DPI = 200
DEFLATE = 4  # of 9: the same pixels as at zlib's 6, written in a third of the time, 2 to 4 % larger
LONGEST = 30_000  # pixels a side; above it a picture is drawn coarser
SMALL, PLAIN, LARGE = 7.0, 8.0, 9.0  # points
PALETTE = "inferno"
BLEND = 0.65  # of the map's colour: so much that its maximum outshines the lightest photograph
TRUE, PREDICTED, CASING = "#FFFFFF", "#00B4FF", "#000000"
FORMATS = ("png", "pdf")
# Letters are fonts (not of type 3, which publishers refuse), and each picture is one of its own.
PDF: Any = {"pdf.fonttype": 42, "image.composite_image": False}


def overlay(image: np.ndarray, heatmap: np.ndarray, alpha: float = BLEND) -> np.ndarray:
    """``(H,W,3) uint8``: a map ``(H,W)``, uint8 or of [0, 1], in colours over an image of its size.

    The image turns grey; the map goes from dark violet at 0 through red to light yellow at its
    maximum, of which `alpha` is taken.
    """
    colours = colormaps[PALETTE](heatmap, bytes=True)[..., :3]
    grey = image @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's L
    return np.round(alpha * colours + (1 - alpha) * grey[..., None]).astype(np.uint8)


def write(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all, as its path's suffix says: PNG or PDF.

    The same figure gives the same bytes. Of a very long one the dots are larger.
    """
    kind = path.suffix[1:].lower()
    if kind not in FORMATS:
        raise ValueError(f"{path}: ends in {path.suffix!r}; accepted: .png, .pdf")
    about: dict[str, Any] = {"pil_kwargs": {"compress_level": DEFLATE}}
    if kind == "pdf":
        about = {"metadata": {"CreationDate": None}}  # the date would change
    dpi = min(DPI, LONGEST / max(figure.get_size_inches()))
    with rc_context(PDF):
        write_whole(path, lambda part: figure.savefig(part, format=kind, dpi=dpi, **about))
