"""How a map becomes a mask and a box: as a task does, at a threshold."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from camx.evaluators import records
from camx.evaluators.tasks import defects, localize
from camx.evaluators.tasks.defects import masks
from camx.evaluators.tasks.localize import boxes
from camx.evaluators.types import Cell, MapProtocol, Sample

PROTOCOLS: dict[str, type[MapProtocol]] = {
    "localize": localize.Protocol,
    "defects": defects.Protocol,
}
WHOLE, SPAN = "255", "span"  # what a threshold is a share of


@dataclass(frozen=True)
class Rule:
    """What is done with a map, and where the threshold comes from, for people.

    `scale` says what the threshold is a share of: ``255``, as the tasks count (level > 255 t); or
    the map's ``span``, from its minimum to its maximum, as the measures of localization do (level
    >= minimum + t span).
    """

    task: str
    protocol: Any
    threshold: float
    scale: str = WHOLE
    origin: str = ""

    def mask(
        self, heatmap: np.ndarray, cell: Cell, sample: Sample, pixels: np.ndarray
    ) -> np.ndarray:
        """``(H,W) uint8``, 1 where the map ``(H,W) uint8`` marks the picture's pixels."""
        if self.scale == SPAN:
            low, high = int(heatmap.min()), int(heatmap.max())
            level = low + self.threshold * (high - low)
            return ((heatmap >= level) & (low < high)).view(np.uint8)
        if self.task == "defects":
            (cut,) = masks.cuts(np.array([self.threshold]))
            return (heatmap >= cut).view(np.uint8)
        # The name that a data set would give it: GrabCut's random numbers depend on it.
        return localize.mask_of(heatmap, cell, sample.path.stem, pixels, self.protocol)

    def box(self, mask: np.ndarray) -> boxes.Box:
        """The box ``(x0, y0, x1, y1)`` of a mask, exclusive end; zeros where it marks nothing."""
        if not mask.any():
            return 0, 0, 0, 0
        return boxes.box(mask, getattr(self.protocol, "box", "rectangle"))

    def plain(self) -> dict[str, Any]:
        """As ``run.json`` keeps it, besides the protocol."""
        return records.plain({"task": self.task, "threshold": self.threshold, "scale": self.scale})
