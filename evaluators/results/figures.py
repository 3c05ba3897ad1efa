"""Pictures: maps laid over the image they belong to."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from camx.evaluators.types import Box, Cell

PANEL = 1.7  # inches a picture


def _frame(axes: Axes, box: Box, colour: str) -> None:
    x0, y0, x1, y1 = box
    frame = Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=colour, lw=1.2)
    axes.add_patch(frame)


def overlay_grid(
    image: np.ndarray,
    heatmaps: Mapping[Cell, np.ndarray],
    boxes: Mapping[Cell, Box],
    truths: Sequence[Box],
    title: str,
    path: Path,
) -> None:
    """Draw methods (rows) x layers (columns) over ``image (H,W,3) uint8`` and write a PNG.

    heatmaps: ``(H,W) uint8`` each. Predicted boxes are green, true boxes red. A cell that is
    missing from `heatmaps` stays empty.
    """
    methods = list(dict.fromkeys(cell.method for cell in heatmaps))
    layers = list(dict.fromkeys(cell.layer for cell in heatmaps))
    # a strip of a picture is no strip of a figure
    tall = PANEL * min(max(image.shape[0] / image.shape[1], 0.25), 4)
    size = (PANEL * (len(layers) + 1) + 0.3, tall * len(methods) + 0.7)
    figure = Figure(figsize=size, layout="constrained", dpi=110)
    legend = "green: the box of the map" + (", red: the true box" if truths else "")
    figure.suptitle(f"{title}\n{legend}", fontsize=10)
    grid = figure.subplots(len(methods), len(layers) + 1, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[], frame_on=False)
    for row, method in enumerate(methods):
        grid[row, 0].imshow(image)
        grid[row, 0].set_ylabel(method, fontsize=9)
        for truth in truths:
            _frame(grid[row, 0], truth, "red")
        for column, layer in enumerate(layers, 1):
            cell = next((c for c in heatmaps if (c.method, c.layer) == (method, layer)), None)
            if row == 0:
                grid[row, column].set_title(layer, fontsize=9)
            if cell:
                grid[row, column].imshow(image)
                grid[row, column].imshow(heatmaps[cell], cmap="jet", alpha=0.5, vmin=0, vmax=255)
                _frame(grid[row, column], boxes[cell], "lime")
    figure.savefig(path)
