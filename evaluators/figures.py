"""Pictures: maps laid over the image they belong to."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from evaluators.types import Box, Cell

PANEL = 1.7  # inches a picture


def _frame(axes, box: Box, colour: str) -> None:
    x0, y0, x1, y1 = box
    axes.add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.2))


def overlay_grid(
    image: np.ndarray,
    heatmaps: Mapping[Cell, np.ndarray],
    boxes: Mapping[Cell, Box],
    truths: Sequence[Box],
    title: str,
    path: Path,
) -> None:
    """Draw methods (rows) x layers (columns) over ``image (H,W,3) uint8`` and write a PNG.

    heatmaps: ``(H,W) uint8`` each. Predicted boxes are green, true boxes red. A cell that is missing from
    `heatmaps` stays empty.
    """
    methods = list(dict.fromkeys(cell.method for cell in heatmaps))
    layers = list(dict.fromkeys(cell.layer for cell in heatmaps))
    tall = PANEL * min(max(image.shape[0] / image.shape[1], 0.25), 4)  # a strip of a picture is no strip of a figure
    figure = Figure(figsize=(PANEL * (len(layers) + 1) + 0.3, tall * len(methods) + 0.7), layout="constrained", dpi=110)
    legend = "green: the box of the map" + (", red: the true box" if truths else "")
    figure.suptitle(f"{title}\n{legend}", fontsize=10)
    grid = figure.subplots(len(methods), len(layers) + 1, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.set_frame_on(False)
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


def contact_sheet(rows: Sequence[tuple[str, np.ndarray, np.ndarray, Mapping[str, np.ndarray]]], path: Path) -> None:
    """Pictures down; across, the image, its truth and a map a column (LayerCAM paper, Figures 7 and 8): a PNG.

    rows: a name, the image ``(H,W,3) uint8``, the truth ``(H,W) bool`` and named maps ``(H,W) uint8``, the same
    names in every row.
    """
    columns = list(rows[0][3])
    figure = Figure(figsize=(PANEL * (len(columns) + 2) + 0.3, PANEL * len(rows) + 0.3), layout="constrained", dpi=110)
    grid = figure.subplots(len(rows), len(columns) + 2, squeeze=False)
    for line, (name, image, truth, heatmaps) in zip(grid, rows):
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.set_frame_on(False)
        line[0].imshow(image)
        line[0].set_ylabel(name, fontsize=7)
        line[1].imshow(truth, cmap="gray", vmin=0, vmax=1)
        for axes, column in zip(line[2:], columns):
            axes.imshow(image)
            axes.imshow(heatmaps[column], cmap="jet", alpha=0.5, vmin=0, vmax=255)
    for axes, title in zip(grid[0], ["image", "truth", *columns]):
        axes.set_title(title, fontsize=8)
    figure.savefig(path)
