"""The boxes of one map under many protocols: what they have in common is made once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from camx.evaluators import heatmaps
from camx.evaluators.tasks.localize import Protocol, Record, boxes
from camx.evaluators.types import Box, Cell

if TYPE_CHECKING:
    from camx.evaluators.loop import Picture


@dataclass(frozen=True)
class Forms:
    """A cell's ``grid (g,g) uint8`` on its picture, in the forms that protocols ask for."""

    picture: "Picture"
    cell: Cell
    grid: np.ndarray
    _resized: dict[str, np.ndarray] = field(default_factory=dict)
    _boxes: dict[tuple[object, ...], Box] = field(default_factory=dict)
    _grabbed: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def on_image(self, interpolation: str) -> np.ndarray:
        """``(H,W) uint8``: resized once for all thresholds."""
        if interpolation not in self._resized:
            resized = heatmaps.on_image(self.grid, self.picture.size, interpolation)
            self._resized[interpolation] = resized
        return self._resized[interpolation]

    def box(self, protocol: Protocol) -> Box:
        """The box that `localize.box_of` gives; once for all that make the same one."""
        key = protocol.interpolation, protocol.threshold, protocol.box
        if key not in self._boxes:
            heatmap = self.on_image(protocol.interpolation)
            mask = heatmaps.foreground(heatmap, protocol.threshold)
            mask = self._refined(mask, protocol)
            self._boxes[key] = boxes.box(mask, protocol.box)
        return self._boxes[key]

    def _refined(self, mask: np.ndarray, protocol: Protocol) -> np.ndarray:
        """The mask as GrabCut refines it, once for equal masks, if it does."""
        if not protocol.grabs(self.cell):
            return mask
        for seeds, region in self._grabbed:
            if np.array_equal(seeds, mask):
                return region
        image = self.picture.pixels[..., ::-1].copy()
        name = self.picture.sample.image_id
        region = heatmaps.grabcut(image, mask, name, protocol.grabcut_size)
        self._grabbed.append((mask, region))
        return region


def graded(
    picture: "Picture",
    cell: Cell,
    grid: np.ndarray,
    top: tuple[int, ...],
    protocols: Mapping[str, Protocol],
) -> dict[str, Record]:
    """The record of a map under each of the protocols, by their names; see `localize.grade`.

    They may differ in all but what makes maps, and GrabCut.
    """
    sample, forms = picture.sample, Forms(picture, cell, grid)
    empty = heatmaps.degenerate(grid)
    records = {}
    for name, protocol in protocols.items():
        box = forms.box(protocol)
        iou = boxes.iou(box, sample.boxes, protocol.iou)
        row = (sample.image_id, sample.label, top, *cell.key, *box, iou, empty)
        records[name] = Record(*row)
    return records
