"""Superpixels of an image: SLIC, or label maps from a folder, such as another program's.

Which ones the paper used is not established, so a table names what it was made with:
docs/protocol.md, section 4, "Pseudo labels".
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from camx.camcore.image_files import LOSSY
from camx.evaluators import fingerprints
from camx.evaluators.files import listing, read_mat, regular

if TYPE_CHECKING:
    from camx.evaluators.tasks.pseudo import Protocol

FORMATS = (".png", ".npy", ".mat")


def of_image(protocol: "Protocol", image_id: str, image: np.ndarray) -> np.ndarray | None:
    """The superpixels ``(H,W) int32`` of an RGB image that the protocol asks for, or None."""
    if protocol.superpixels == "none":
        return None
    if protocol.superpixels == "slic":
        return slic(image, protocol.segments, protocol.compactness)
    return from_folder(Path(protocol.superpixels), image_id, image.shape[:2])


def fingerprint(folder: Path) -> str:
    """SHA-256 over the names and contents of a folder's label maps."""
    return fingerprints.contents(listing(folder, FORMATS, "label map"))


def slic(image: np.ndarray, segments: int = 300, compactness: float = 10.0) -> np.ndarray:
    """SLIC (Achanta et al. 2012) of ``image (H,W,3) uint8`` RGB: ``(H,W) int32``.

    scikit-image's, and its other defaults: in CIELAB, 10 iterations, no smoothing, every region
    connected. 300 regions of a VOC image are about 25 pixels wide.
    """
    from skimage import segmentation  # takes a second to import

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        what = f"{image.shape} of {image.dtype}"
        raise ValueError(f"SLIC needs an image (H,W,3) of uint8, not {what}")
    return compact(segmentation.slic(image, segments, compactness, start_label=0))


def from_folder(folder: Path, image_id: str, shape: tuple[int, int]) -> np.ndarray:
    """The label map of an image of `shape` (height, width): ``(H,W) int32``, compacted to 0, 1, ...

    ``<image_id>.png`` (grey, palette or RGB, a colour being one label), ``.npy`` or ``.mat``.
    Raises `FileNotFoundError` if there is none, `ValueError` naming a file that is no label map.
    """
    if not folder.is_dir():
        accepted = "superpixels accepts slic, none or a folder of label maps"
        raise FileNotFoundError(f"{folder}: no such folder; {accepted}")
    names = [image_id + ending for ending in FORMATS]
    paths = [regular(folder / n, "label map") for n in names if os.path.lexists(folder / n)]
    if not paths:
        expected = f"expected {' or '.join(names)}"
        raise FileNotFoundError(f"{folder}: no superpixels of {image_id}; {expected}")
    path, *others = paths
    if others:
        raise ValueError(f"{path}: {others[0].name} stands beside it for the same image; keep one")
    labels = READERS[path.suffix](path)
    if labels.shape != shape:
        size, expected = (" x ".join(map(str, sides[::-1])) for sides in (labels.shape, shape))
        raise ValueError(f"{path}: the label map is {size}, but the image is {expected}")
    whole = labels.dtype.kind == "f" and np.array_equal(labels, np.floor(labels))
    if labels.dtype.kind not in "iub" and not whole:
        what = f"labels must be whole numbers, but it holds others, of {labels.dtype}"
        raise ValueError(f"{path}: {what}")
    return compact(labels)


def compact(labels: np.ndarray) -> np.ndarray:
    """``(H,W) int32``: the labels in their order, numbered 0, 1, ... without gaps."""
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)


def _png(path: Path) -> np.ndarray:
    """``(H,W)``: a grey picture's values, a palette's indices, or red + 256 green + 65536 blue."""
    try:
        with Image.open(path) as image:
            pixels: np.ndarray = np.asarray(image)
            alpha, lossy = image.mode in ("LA", "RGBA", "PA"), image.format in LOSSY
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise ValueError(f"{path}: not a readable picture: {error}") from error
    if lossy:
        raise ValueError(f"{path}: a format that changes numbers when it is saved; expected PNG")
    if pixels.ndim == 2:
        return pixels
    channels = pixels[..., :-1] if alpha else pixels
    return channels.astype(np.int64) @ (256 ** np.arange(channels.shape[2]))


def _npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:  # a file that is no array may fail anywhere in the reader
        raise ValueError(f"{path}: not a readable NumPy array: {error}") from None


def _mat(path: Path) -> np.ndarray:
    """The file's one matrix, whatever its name; scalars and texts beside it do not matter."""
    content = read_mat(path, "a readable MATLAB file")
    arrays = {k: v for k, v in content.items() if isinstance(v, np.ndarray) and v.ndim == 2}
    matrices = {k: v for k, v in arrays.items() if v.dtype.kind in "iubf" and min(v.shape) > 1}
    if len(matrices) != 1:
        held = ", ".join(sorted(matrices)) or "none"
        raise ValueError(f"{path}: expected one matrix, the label map, but it holds {held}")
    return next(iter(matrices.values()))


READERS = dict(zip(FORMATS, (_png, _npy, _mat)))
