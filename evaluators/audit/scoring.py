"""The boxes of one map under many protocols: what they have in common is made once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from camx.evaluators import heatmaps
from camx.evaluators.tasks.localize import Protocol, Record, boxes
from camx.evaluators.tasks.localize.boxes import Outline
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
    _outlines: dict[tuple[str, float], Outline] = field(default_factory=dict)
    _grabbed: list[tuple[np.ndarray, Outline]] = field(default_factory=list)

    def on_image(self, interpolation: str) -> np.ndarray:
        """``(H,W) uint8``: resized once for all thresholds."""
        if interpolation not in self._resized:
            resized = heatmaps.on_image(self.grid, self.picture.size, interpolation)
            self._resized[interpolation] = resized
        return self._resized[interpolation]

    def box(self, protocol: Protocol) -> Box:
        """The box that `localize.box_of` gives."""
        return boxes.outlined(self._outline(protocol), protocol.box)

    def _outline(self, protocol: Protocol) -> Outline:
        """What is above the threshold, once for all rules of boxes.

        Above a higher threshold nothing lies outside the extent of a lower one.
        """
        how, threshold = protocol.interpolation, protocol.threshold
        if (how, threshold) not in self._outlines:
            heatmap, at = self.on_image(how), (0, 0)
            lower = [t for kind, t in self._outlines if kind == how and t < threshold]
            if lower and not protocol.grabs(self.cell):
                x0, y0, x1, y1 = self._outlines[how, max(lower)].extent
                heatmap, at = heatmap[y0:y1, x0:x1], (x0, y0)
            mask = heatmaps.foreground(heatmap, threshold)
            refined = protocol.grabs(self.cell)
            outline = self._refined(mask, protocol) if refined else Outline(mask, at)
            self._outlines[how, threshold] = outline
        return self._outlines[how, threshold]

    def _refined(self, mask: np.ndarray, protocol: Protocol) -> Outline:
        """The mask as GrabCut refines it, once for equal masks."""
        for seeds, outline in self._grabbed:
            if np.array_equal(seeds, mask):
                return outline
        image = self.picture.pixels[..., ::-1].copy()
        name = self.picture.sample.image_id
        region = heatmaps.grabcut(image, mask, name, protocol.grabcut_size)
        outline = Outline(region)
        self._grabbed.append((mask, outline))
        return outline


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
