"""Pictures: maps laid over the image they belong to."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from camx.evaluators.types import Box, Cell

PANEL = 1.7  # inches a picture is wide
LEFT, TOP, GAP = 0.35, 0.65, 0.08  # inches for the methods' names, for the title, between pictures
DPI = 110


def overlay(image: np.ndarray, heatmap: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """``(H,W,3) uint8``: a map ``(H,W)``, uint8 or of [0, 1], in colours over an image of its size.

    Blue where the map is lowest, red where it is highest.
    """
    colours = colormaps["jet"](heatmap, bytes=True)[..., :3]
    return np.round(alpha * colours + (1 - alpha) * image).astype(np.uint8)


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
    legend = "green: the box of the map" + (", red: the true box" if truths else "")
    figure, grid = _panels(len(methods), len(layers) + 1, tall)
    figure.suptitle(
        f"{title}\n{legend}", fontsize=10, y=1 - 0.05 / figure.get_figheight(), va="top"
    )
    extent = (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
    picture = _shrunk(image)
    for row, method in enumerate(methods):
        grid[row, 0].imshow(picture, extent=extent)
        grid[row, 0].set_ylabel(method, fontsize=9)
        for truth in truths:
            _frame(grid[row, 0], truth, "red")
        for column, layer in enumerate(layers, 1):
            cell = next((c for c in heatmaps if (c.method, c.layer) == (method, layer)), None)
            if row == 0:
                grid[row, column].set_title(layer, fontsize=9)
            if cell:
                shown = overlay(picture, _shrunk(heatmaps[cell]))
                grid[row, column].imshow(shown, extent=extent)
                _frame(grid[row, column], boxes[cell], "lime")
    figure.savefig(path)


def _panels(rows: int, columns: int, tall: float) -> tuple[Figure, np.ndarray]:
    """A figure and its axes, ``(rows, columns)``, for pictures `tall` inches high.

    Where all sizes are given, nothing need be drawn twice to find them.
    """
    width = LEFT + columns * (PANEL + GAP)
    height = TOP + rows * (tall + GAP)
    figure = Figure(figsize=(width, height), dpi=DPI)
    grid = figure.subplots(
        rows, columns, squeeze=False,
        gridspec_kw={
            "left": LEFT / width, "right": 1 - GAP / width, "bottom": GAP / height,
            "top": 1 - TOP / height, "wspace": GAP / PANEL, "hspace": GAP / tall,
        },
    )  # fmt: skip
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[], frame_on=False)
    return figure, grid


def _shrunk(image: np.ndarray) -> np.ndarray:
    """A picture or map of at most twice a panel's pixels a side: a camera's are many more."""
    scale = 2 * PANEL * DPI / max(image.shape[:2])
    if scale >= 1:
        return image
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
