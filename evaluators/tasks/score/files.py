"""Folders of maps: which methods they are of, and which file is an image's."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from camx.camcore import plugins
from camx.evaluators.files import listing, regular
from camx.evaluators.saved_maps import image_name
from camx.evaluators.types import Cell, Dataset, Sample

FORMS = (".npy", ".png")


@dataclass(frozen=True)
class Source:
    """A method's maps: their `folder`, and what their names end in behind the image's."""

    folder: Path
    ending: str = ""

    def file(self, dataset: Dataset[Sample], sample: Sample) -> Path | None:
        """The file of an image's map, or None."""
        names = candidates(dataset, sample)
        paths = (self.folder / f"{name}{self.ending}{form}" for form in FORMS for name in names)
        return next((path for path in paths if path.is_file()), None)

    def read(self, dataset: Dataset[Sample], sample: Sample) -> np.ndarray:
        """An image's map. `FileNotFoundError` or `ValueError` naming the file."""
        path = self.file(dataset, sample)
        if path is None:
            first = candidates(dataset, sample)[0]
            expected = self.folder / f"{first}{self.ending}.npy"
            raise FileNotFoundError(f"{sample.path}: no map of it; expected {expected} (or .png)")
        return read(path)


def candidates(dataset: Dataset[Sample], sample: Sample) -> list[str]:
    """What an image's map may be called, without its suffix, the longest path first.

    Its path below the data set and below any folder of it, with and without the image's suffix, as
    long as that still tells it from other images; and its `image_id`.
    """
    parts = PurePosixPath(image_name(dataset, sample)).parts
    least = len(PurePosixPath(sample.image_id).parts)
    paths = [PurePosixPath(*parts[at:]) for at in range(len(parts) - least + 1)]
    names = [str(name) for path in paths for name in (path, path.with_suffix(""))]
    return list(dict.fromkeys([*names, sample.image_id]))


def sources(maps: Sequence[str]) -> dict[Cell, Source]:
    """Where each cell's maps are, of folders or NAME=FOLDER. `ValueError` for two of one name."""
    held: dict[Cell, Source] = {}
    for word in maps:
        for cell, source in _sources(word).items():
            if cell in held:
                what = f"{source.folder} and {held[cell].folder} are both called {str(cell)!r}"
                raise ValueError(f"{what}; name them apart: NAME={source.folder}")
            held[cell] = source
    return held


def _sources(word: str) -> dict[Cell, Source]:
    name, _, place = word.rpartition("=")
    if name and not Path(word).exists():
        folder = Path(place)
    else:
        name, folder = "", Path(word)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of maps")
    if not name and (several := _of_localize(folder)):
        return several
    if not any(path.suffix.lower() in FORMS for path in folder.rglob("*.*")):
        expected = "expected <image's path>.npy or .png"
        raise FileNotFoundError(f"{folder}: no map in it or below; {expected}")
    return {Cell(name or folder.resolve().name): Source(folder)}


def _of_localize(folder: Path) -> dict[Cell, Source]:
    """The cells of ``<image_id>_<method>_<layer>.png``, as `localize` names maps; or of its npy."""
    methods = "|".join(map(re.escape, plugins.names("camx.camcore.methods")))
    endings = {}
    for path in listing(folder, (".png",), "map"):
        if match := re.fullmatch(rf".+(_(?:{methods})_[^_]+(?:_.+)?)", path.stem):
            endings[match[1]] = Source(folder, match[1])
    held = {_cell(ending.removeprefix("_")): source for ending, source in endings.items()}
    for below in sorted(path for path in folder.iterdir() if path.is_dir()):
        if re.fullmatch(rf"(?:{methods})_[^_]+(?:_.+)?", below.name):
            held[_cell(below.name)] = Source(below)
    return held


def _cell(name: str) -> Cell:
    """The cell of ``<method>_<layer>``, or ``<method>_<layer>_<variant>``."""
    method, layer, variant = [*name.split("_", 2), ""][:3]
    return Cell.of(method, layer, variant).canonical()


def read(path: Path) -> np.ndarray:
    """A map: ``(h,w)`` uint8 of a grey PNG, or floats. `ValueError` naming one that is none.

    One that is not finite says nothing, as wsolevaluation has it: zeros.
    """
    regular(path, "map")
    pixels = _array(path) if path.suffix.lower() == ".npy" else _png(path)
    if pixels.ndim != 2 or min(pixels.shape) < 1:
        raise ValueError(f"{path}: a map of shape {pixels.shape}; expected (height, width)")
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind not in "fiub":
        raise ValueError(f"{path}: a map of {pixels.dtype}; expected numbers")
    values = pixels.astype(float)
    return values if np.isfinite(values).all() else np.zeros(values.shape)


def _array(path: Path) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
    except Exception as error:  # NumPy raises what it likes on a damaged file
        words = " ".join(str(error).split())
        raise ValueError(f"{path}: not a readable array: {words}") from error
    if not isinstance(loaded, np.ndarray):
        raise ValueError(f"{path}: several arrays; expected one map")
    return loaded


def _png(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            pixels, mode = np.asarray(image), image.mode
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise ValueError(f"{path}: not a readable map: {error}") from error
    if mode not in ("L", "I;16", "I", "1"):
        accepted = "grey values of 8 or 16 bits"
        raise ValueError(f"{path}: a picture of mode {mode}; expected {accepted}")
    return pixels.astype(np.uint8) * 255 if mode == "1" else pixels
