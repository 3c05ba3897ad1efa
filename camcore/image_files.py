"""Image files as RGB of 8 bits: what each kind of pixel becomes, by a stated rule.

Eight bits stay. Sixteen bits are the type's whole range: 65535 (or 32767 of signed ones) to white.
Floats and 32-bit whole numbers have no range of their own: those within 0..1 (floats), 0..255 or
0..65535 are taken to fill the first of these that holds them, and any others are refused by name.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

WHITES = (1, 255, 65535)  # what may be white in pixels whose type does not say
DARK = 32  # of 255: twelve bits in a file of sixteen come out below it
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")  # suffixes of photographs
LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP")  # formats whose pixels are not those that were saved
ORIENTATION = 0x0112  # EXIF's
TIFF_BITS, TIFF_FORMAT, SIGNED = 258, 339, 2  # tags: bits of a pixel, and of what kind; signed ones


class BlankImage(UserWarning):
    """pictures of one colour or nearly black (12 bits in a file of 16?)"""


def read_image(path: Path, upright: bool = False) -> Image.Image:
    """The picture as RGB of 8 bits, as stored: the annotations ignore EXIF's rotation too.

    `upright` turns it as EXIF says, as a photograph without annotations is meant. Raises
    `FileNotFoundError` without such a file, `ValueError` naming one that is no readable image, or
    whose pixels have no known range. Warns (`BlankImage`) of a picture that comes out constant or
    nearly black.
    """
    if not path.is_file():  # a pipe would be waited for
        kind = "a folder or a device, not an" if path.exists() else "no such"
        raise FileNotFoundError(f"{path}: {kind} image")
    try:
        with Image.open(path) as image:
            turned = upright and image.getexif().get(ORIENTATION, 1) != 1
            picture = rgb(ImageOps.exif_transpose(image) if turned else image)
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise ValueError(f"{path}: not a readable image: {error}") from error
    if fault := _blank(picture):
        warnings.warn(f"{path}: {fault}", BlankImage, stacklevel=2)
    return picture


def squash(image: Image.Image, side: int) -> np.ndarray:
    """The image on the grid: ``(3,side,side) uint8`` RGB, PIL's bilinear filter."""
    small = image.resize((side, side), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def rgb(image: Image.Image) -> Image.Image:
    """An image as RGB of 8 bits. `ValueError` for pixels of no known range."""
    return (_scaled(image) if image.mode[0] in "IF" else image).convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits as grey of 8."""
    pixels = np.asarray(image, np.float64)
    low, high, whites = pixels.min(), pixels.max(), _whites(image)
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is None:  # also if any is not a number
        accepted = " or ".join(f"0..{white}" for white in whites)
        raise ValueError(f"its pixels go from {low:g} to {high:g}; accepted: {accepted}")
    return Image.fromarray(np.round(pixels * (255 / white)).astype(np.uint8))


def _whites(image: Image.Image) -> tuple[int, ...]:
    """What may be white, the least first; some of Pillow's readers widen 16 bits to 32."""
    if image.mode == "F":
        return WHITES
    tags = getattr(image, "tag_v2", {})
    if tags.get(TIFF_BITS, (16,))[0] != 16:
        return WHITES[1:]
    return (32767,) if tags.get(TIFF_FORMAT, (1,))[0] == SIGNED else (65535,)


def _blank(image: Image.Image) -> str:
    """What is suspicious of an RGB picture; empty if nothing is."""
    few: Any = image.resize((16, 16), Image.Resampling.NEAREST).getextrema()  # mostly clear it
    return _fault(few) and _fault(image.getextrema())


def _fault(extrema: Any) -> str:
    if all(low == high for low, high in extrema):
        return "one colour"
    brightest = max(high for _, high in extrema)
    return f"brightest value {brightest} of 255" if brightest < DARK else ""
