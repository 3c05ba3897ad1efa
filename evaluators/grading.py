"""What workers do with an image: decode it, and score its maps; no network, and so no torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from camx.camcore.image_files import read_image, squash
from camx.evaluators import saved_maps
from camx.evaluators.judged import Map, Truth
from camx.evaluators.measures import Measure
from camx.evaluators.types import Cell, Sample


@dataclass(frozen=True)
class Picture:
    """A sample decoded: its pixels ``(H,W,3) uint8`` RGB, and squashed ones, one for each side."""

    sample: Any
    pixels: np.ndarray
    squashed: tuple[np.ndarray, ...]
    _maps: dict[tuple[int, str], Map] = field(default_factory=dict, repr=False, compare=False)

    def map(self, grid: np.ndarray, interpolation: str = "cubic") -> Map:
        """A grid map of the picture, resized once for all that asks; it has to live as long."""
        key = id(grid), interpolation
        if key not in self._maps:
            self._maps[key] = Map(grid, self.size, interpolation)
        return self._maps[key]

    def forget(self, grid: np.ndarray, interpolation: str) -> None:
        """Let go of a map's forms."""
        self._maps.pop((id(grid), interpolation), None)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image."""
        return self.pixels.shape[1], self.pixels.shape[0]


Grade = Callable[[Picture, dict[Cell, np.ndarray], np.ndarray, Any], Sequence[Any]]


def decode(sample: Any, sides: Sequence[int]) -> Picture:
    """A sample's picture, squashed to squares of `sides` pixels; its boxes cut at the edges."""
    image = read_image(sample.path)
    sample = sample.within(image.size) if isinstance(sample, Sample) else sample
    return Picture(sample, np.asarray(image), tuple(squash(image, side) for side in sides))


@dataclass(frozen=True)
class Shown:
    """An image's uint8 grid maps by cell, its logits, and what is to be done with the maps.

    Records of `cells`, those of each measure by its kind of records, and the files to be saved.
    """

    picture: Picture
    grids: dict[Cell, np.ndarray]
    logits: np.ndarray
    cells: frozenset[Cell]
    measured: Mapping[str, frozenset[Cell]]
    files: Mapping[Cell, Path]


@dataclass(frozen=True)
class Grading:
    """What is made of a `Shown`: its records, by `grade`, and those of `measures`, by kind."""

    grade: Grade
    protocol: Any
    measures: tuple[Measure, ...] = ()

    def __call__(self, shown: Shown) -> tuple[Sequence[Any], dict[str, list[Any]]]:
        picture, grids = shown.picture, shown.grids
        for cell, path in shown.files.items():
            saved_maps.save(path, picture.map(grids[cell]))
        wanted = {cell: grid for cell, grid in grids.items() if cell in shown.cells}
        rows = self.grade(picture, wanted, shown.logits, self.protocol) if wanted else []
        return rows, judged(self.measures, picture, grids, shown.measured, self.protocol)


def judged(
    measures: Sequence[Measure],
    picture: Picture,
    grids: Mapping[Cell, np.ndarray],
    wanted: Mapping[str, frozenset[Cell]],
    protocol: Any,
) -> dict[str, list[Any]]:
    """What measures say of an image's maps, by their kind of records, of the cells `wanted` of it.

    A cell after the other: the forms of a map that measures share are large.
    """
    truth, how = Truth(picture.sample, picture.size), getattr(protocol, "interpolation", "cubic")
    rows: dict[str, list[Any]] = {measure.kind: [] for measure in measures}
    for cell, grid in grids.items() if rows else ():
        shown = picture.map(grid, how)
        for measure in measures:
            if cell in wanted[measure.kind]:
                rows[measure.kind].append(measure.row(truth, cell, shown))
        picture.forget(grid, how)
    return rows


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The softmax of ``logits (K,)``, in double. `ValueError` for logits that are no numbers."""
    if not np.isfinite(logits).all():
        raise ValueError(f"logits {logits.tolist()[:5]} are no numbers; they have no probabilities")
    shares: np.ndarray = np.exp(logits.astype(float) - float(logits.max()))
    return shares / shares.sum()
