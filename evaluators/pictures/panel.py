"""A panel: one picture with its map and marks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes

from camx.evaluators.pictures import SMALL, TRUE, marks, overlay, words
from camx.evaluators.pictures.marks import Area
from camx.evaluators.types import Box

Drawn = dict[tuple[int, float, float], np.ndarray]  # by the picture, and how large it is
EMPTY, CONSTANT = "empty map", "constant map"


@dataclass(frozen=True)
class Panel:
    """What a panel shows.

    image    ``(H,W,3) uint8`` RGB
    heatmap  ``(H,W) uint8``, laid over it
    truths   true boxes; `box` is the map's, and `iou`, in [0, 1], stands at it
    outline  ``(H,W) bool``: a true mask whose edge is drawn
    note     words at its foot, such as why it is as it is
    """

    image: np.ndarray
    heatmap: np.ndarray | None = None
    truths: Sequence[Box] = ()
    box: Box | None = None
    iou: float | None = None
    outline: np.ndarray | None = None
    note: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return self.image.shape[1], self.image.shape[0]

    @cached_property
    def told(self) -> str:
        """The note, or that the map is empty or constant and so marks nothing."""
        if self.note or self.heatmap is None or self.heatmap.min() < self.heatmap.max():
            return self.note
        return CONSTANT if self.heatmap.max() else EMPTY

    @property
    def predicted(self) -> Box | None:
        """The box to be drawn: an empty map has none."""
        return None if self.told == EMPTY else self.box


def of_mask(mask: np.ndarray | None, image: np.ndarray) -> Panel:
    """A true mask ``(H,W) bool`` of an image in white on black, or that it is not known."""
    if mask is None:
        return Panel(np.full_like(image, 128), note="not known")
    white = np.where(mask, 255, 0).astype(np.uint8)
    return Panel(np.repeat(white[..., None], 3, axis=2))


def draw(axes: Axes, area: Area, panel: Panel, drawn: Drawn | None = None) -> None:
    """The panel as large as its proportions and the area allow, in the area's middle.

    `drawn` keeps pictures as they were drawn, for further panels over the same one.
    """
    area, drawn = area.holding(*panel.image.shape[:2]), {} if drawn is None else drawn
    key = id(panel.image), area.width, area.height
    if key not in drawn:
        drawn[key] = marks.shrunk(panel.image, area)
    pixels = drawn[key]
    if panel.heatmap is not None:
        pixels = overlay(pixels, marks.shrunk(panel.heatmap, area))
    marks.picture(axes, area, pixels)
    if panel.outline is not None:
        marks.outline(axes, area, panel.outline)
    if panel.predicted:
        marks.predicted_box(axes, area, panel.size, panel.predicted)
    for truth in panel.truths:
        marks.true_box(axes, area, panel.size, truth)
    if panel.told:
        place = area.x + area.width / 2, area.y + area.height - 2 * marks.PAD
        marks.badge(axes, *place, panel.told, TRUE, ha="center", va="bottom")
    if panel.iou is not None:
        corner = panel.predicted or (0, 0)
        _score(axes, area, (corner[0] / panel.size[0], corner[1] / panel.size[1]), panel.iou)


def _score(axes: Axes, area: Area, corner: tuple[float, float], iou: float) -> None:
    """The IoU above the upper left corner of a box, which is in shares of the picture's sides.

    Inside it where there is no room above.
    """
    text, pad = f"IoU {iou:.2f}", 3 * marks.PAD
    wide, high = words.width(text, SMALL) + pad, words.height(1, SMALL) + pad
    x = min(area.x + corner[0] * area.width, area.x + max(area.width - wide, 0))
    above = corner[1] * area.height - high
    y = area.y + (above if above >= 0 else min(corner[1] * area.height, max(area.height - high, 0)))
    marks.badge(axes, x + 1.5 * marks.PAD, y + 1.5 * marks.PAD, text)
