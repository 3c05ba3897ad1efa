"""Defect masks: the truth, a map's levels on it, the best threshold, run lengths."""

import math
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as coco

from camx.evaluators.object_masks import OBJECT, GreyMasks, ObjectMask, opened
from camx.evaluators.tasks.defects.drawn import drawn
from camx.evaluators.types import Ellipse, Sample

LEVELS = 256  # of a uint8 map


def truth(sample: Sample, size: tuple[int, int]) -> np.ndarray:
    """Where the image of `size` (width, height) is defective, ``(H,W) bool``; see `drawn`.

    A mask of another size is resized if its proportions are the image's. Raises `ValueError` naming
    the file if they are not, if it marks nothing, or if a defective image has none.
    """
    if sample.mask is None:
        what = "a defective image without a mask cannot be measured"
        raise ValueError(f"{sample.path}: {what}; give it one or leave it to training")
    if isinstance(sample.mask, Ellipse):
        ellipse = inside(sample.mask, size)
        if not ellipse.any():
            what = f"its defect, {sample.mask}, lies outside the picture, {size[0]} x {size[1]}"
            raise ValueError(f"{sample.path}: {what}")
        return ellipse
    if isinstance(sample.mask, ObjectMask):
        defect = _of_object(sample.mask, sample.path, size)
    else:
        defect = _of_file(sample.mask, sample.path, size)
    if not defect.any():
        file = sample.mask.files[0] if isinstance(sample.mask, ObjectMask) else sample.mask
        what = "the mask of a defective image marks nothing"
        raise ValueError(f"{file}: {what}; a good image has no mask")
    return defect


def _of_file(mask: Path, image: Path, size: tuple[int, int]) -> np.ndarray:
    try:
        with Image.open(mask) as file:
            defect: np.ndarray = drawn(file).astype(np.uint8)
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise ValueError(f"{mask}: not a readable mask: {error}") from None
    if defect.shape[::-1] != size:
        _alike(mask, defect.shape[::-1], image, size)
        defect = cv2.resize(defect, size, interpolation=cv2.INTER_NEAREST)
    return defect.astype(bool)


def _of_object(mask: ObjectMask, image: Path, size: tuple[int, int]) -> np.ndarray:
    for path in mask.files if isinstance(mask, GreyMasks) else ():
        _alike(path, opened(path).shape[1::-1], image, size)
    return np.asarray(mask.read(size) == OBJECT)


def _alike(mask: Path, of: tuple[int, ...], image: Path, size: tuple[int, int]) -> None:
    """Raise `ValueError` for a mask `of` a size, width and height, of no image of `size`."""
    width, height = of
    scale = size[0] / width
    if abs(height * scale - size[1]) > max(1, scale):
        sizes = f"{width} x {height}, but {image.name} is {size[0]} x {size[1]}"
        raise ValueError(f"{mask}: the mask is {sizes}")


def inside(ellipse: Ellipse, size: tuple[int, int]) -> np.ndarray:
    """The pixels of an ellipse on an image of `size` (width, height): ``(H,W) bool``."""
    y, x = np.mgrid[: size[1], : size[0]]
    dx, dy = x - ellipse.x, y - ellipse.y
    cos, sin = math.cos(ellipse.angle), math.sin(ellipse.angle)
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    return (along / ellipse.major) ** 2 + (across / ellipse.minor) ** 2 <= 1


def levels(heatmap: np.ndarray, defect: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many pixels of each level are on the defect and off it: two ``(256,) int64``."""
    on, off = (np.bincount(heatmap[part], minlength=LEVELS) for part in (defect, ~defect))
    return on, off


def grid(count: int) -> np.ndarray:
    """The thresholds tried: ``1/(count+1), ...`` of the map's maximum, ``(count,)``."""
    return np.arange(1, count + 1) / (count + 1)


def cuts(thresholds: np.ndarray) -> np.ndarray:
    """The lowest level of a uint8 map above each threshold: marked is ``level > 255 t``."""
    return np.floor(np.round(255 * thresholds, 9)).astype(int) + 1


def marked(counts: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many of the pixels counted by level ``(...,256)`` exceed each threshold: ``(...,T)``."""
    above = np.flip(np.cumsum(np.flip(counts, -1), -1), -1)
    above = np.concatenate([above, np.zeros_like(above[..., :1])], -1)  # nothing is above level 255
    return above[..., cuts(thresholds)]


def ious(
    inside: np.ndarray, outside: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``(intersections, unions)`` of each mask and defect, ``(N,T)``, of counts ``(N,256)``."""
    hit, wrong = marked(inside, thresholds), marked(outside, thresholds)
    return hit, inside.sum(-1, keepdims=True) + wrong


def best(inside: np.ndarray, outside: np.ndarray, thresholds: np.ndarray) -> int:
    """The place of the threshold with the highest mean per-image IoU, the first of equals.

    A threshold that marks every pixel of every image is no threshold and is left out
    (docs/protocol.md, section 3, "Threshold").
    """
    hit, union = ious(inside, outside, thresholds)
    everything = (hit + marked(outside, thresholds)).sum(0) == inside.sum() + outside.sum()
    return int(np.where(everything, -1, (hit / union).mean(0)).argmax())


def average_precision(counts: np.ndarray) -> float:
    """Pixel average precision of ``counts (2,256)``, on and off the defects: sum (R_n - R_n-1) P_n.

    As scikit-learn's ``average_precision_score`` has it, pixels of one level taken together.
    """
    hit, wrong = np.cumsum(np.flip(np.asarray(counts, float), -1), -1)
    if not hit[-1]:
        return float("nan")
    precision = hit / np.maximum(hit + wrong, 1)
    return float(np.sum(np.diff(hit, prepend=0) / hit[-1] * precision))


def encode(heatmap: np.ndarray, thresholds: np.ndarray) -> tuple[str, ...]:
    """The masks of ``heatmap (H,W) uint8`` at each threshold as COCO run lengths ``[H, W]``."""
    columns = np.asfortranarray(heatmap)
    # One mask at a time: all of a large picture's would not fit into memory.
    codes = (coco.encode((columns >= cut).view(np.uint8)) for cut in cuts(thresholds))
    return tuple(code["counts"].decode("ascii") for code in codes)


def decode(counts: str, height: int, width: int) -> np.ndarray:
    """One mask of a record, ``(H,W) bool``."""
    return coco.decode({"size": [height, width], "counts": counts.encode("ascii")}).astype(bool)
