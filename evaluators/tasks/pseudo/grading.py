"""What a worker does with a scene's maps: labels on disk, and their records."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from camx.evaluators import voc_masks
from camx.evaluators.grading import Picture
from camx.evaluators.saved_maps import cell_name
from camx.evaluators.tasks.pseudo import Protocol, Record, labels, score, superpixels
from camx.evaluators.types import Cell


def label_folder(out: Path, cell: Cell) -> Path:
    """Where a cell's pseudo labels are written: ``labels/<method>_<layer>``; see `cell_name`."""
    return out / "labels" / cell_name(cell)


@dataclass(frozen=True)
class Grading:
    """One scene's pseudo labels below `out`, and its records; those of `nulls` are not written.

    `classes` is how many the data set has.
    """

    out: Path
    protocol: Protocol
    classes: int
    nulls: tuple[Cell, ...]

    def __call__(self, shown: tuple[Picture, dict[Cell, np.ndarray]]) -> list[Record]:
        picture, grids = shown
        scene, protocol = picture.sample, self.protocol
        truth = voc_masks.read_mask(scene.mask, self.classes) if scene.mask else None
        regions = superpixels.of_image(protocol, scene.image_id, picture.pixels)
        on_image, pseudo = {}, {}
        for cell, grid in grids.items():
            on_image[cell] = labels.on_image(grid, picture.size, protocol.interpolation)
            pseudo[cell] = labels.assign(on_image[cell], scene.labels, regions, protocol.threshold)
            if cell in self.nulls:
                continue
            path = label_folder(self.out, cell) / f"{scene.image_id}.png"
            voc_masks.write_mask(path, pseudo[cell])
        return score(scene, on_image, pseudo, truth, self.classes, protocol)
