"""Maps as files: PNGs as camx names them, and arrays as wsolevaluation writes and reads them."""

import io
from pathlib import Path

import cv2
import numpy as np

from camx.evaluators.files import write_bytes
from camx.evaluators.judged import Map
from camx.evaluators.types import Cell, Dataset, Sample


def cell_name(cell: Cell) -> str:
    """``<method>_<layer>``, for files; a variant that the layers do not imply is appended."""
    implied = Cell.of(cell.method, cell.layer).canonical().variant
    suffix = f"_{cell.variant}" if cell.variant != implied else ""
    return f"{cell.method}_{cell.layer}{suffix}"


def image_name(dataset: Dataset[Sample], sample: Sample) -> str:
    """An image's name to other programs: its path below the data set's folder of images.

    Of one that is measured once for each of its classes, the `image_id`, which tells these apart.
    """
    folder = dataset.images or dataset.root
    if sample.present > 1 or not sample.path.is_relative_to(folder):
        return sample.image_id
    return sample.path.relative_to(folder).as_posix()


def place(folder: Path, dataset: Dataset[Sample], sample: Sample, cell: Cell, form: str) -> Path:
    """``<image_id>_<method>_<layer>.png``, or ``<method>_<layer>/<image's path>.npy``."""
    if form == "npy":
        return folder / cell_name(cell) / f"{image_name(dataset, sample)}.npy"
    return folder / f"{sample.image_id}_{cell_name(cell)}.png"


def save(path: Path, shown: Map) -> None:
    """Write a map, whole or not at all: its grid as a PNG of 8 bits, or by the suffix as an array.

    The array is ``(224,224) float64`` from 0 to 1 (`Map.square`), what wsolevaluation expects.
    """
    if path.suffix == ".npy":
        stream = io.BytesIO()
        np.save(stream, shown.square)
        write_bytes(path, stream.getvalue())
        return
    _, png = cv2.imencode(".png", shown.given)
    write_bytes(path, png.tobytes())
