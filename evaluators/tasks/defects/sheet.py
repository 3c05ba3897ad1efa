"""A contact sheet of defects: image, truth and maps (LayerCAM paper, Figures 7 and 8)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from camx.evaluators import grids, heatmaps
from camx.evaluators.loop import Measurement, decode, stacked
from camx.evaluators.tasks.defects import Options, Protocol, masks

PANEL = 1.7  # inches a picture


def draw(job: Measurement[Protocol, Options]) -> None:
    """Draw some of the test images, their truth and every cell's map; none that is skipped."""
    plan, options = job.plan, job.options
    assert options.sheet, "there is a file to draw into"
    sound = [s for s in job.samples if s.image_id not in job.skips.rows]
    tests = [s for s in sound if s.split == "test"]
    count = min(options.sheet_images, len(tests))
    places = np.random.default_rng(job.seed).choice(len(tests), count, replace=False)
    rows = []
    for sample in (tests[at] for at in sorted(places)):
        picture = decode(sample, (plan.view.grid,))
        maps, _ = grids.image_maps(plan, stacked([picture]), torch.tensor([1]))
        columns = {
            str(cell): heatmaps.on_image(grid[0], picture.size, job.protocol.interpolation)
            for cell, grid in maps.items()
        }
        truth = masks.truth(sample, picture.size)
        rows.append((sample.image_id, picture.pixels, truth, columns))
    options.sheet.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(rows, options.sheet)


def contact_sheet(
    rows: Sequence[tuple[str, np.ndarray, np.ndarray, Mapping[str, np.ndarray]]], path: Path
) -> None:
    """Pictures down; across, the image, its truth and a map a column: a PNG.

    rows: a name, the image ``(H,W,3) uint8``, the truth ``(H,W) bool`` and named maps ``(H,W)
    uint8``, the same names in every row.
    """
    columns = list(rows[0][3])
    size = (PANEL * (len(columns) + 2) + 0.3, PANEL * len(rows) + 0.3)
    figure = Figure(figsize=size, layout="constrained", dpi=110)
    panels = figure.subplots(len(rows), len(columns) + 2, squeeze=False)
    for line, (name, image, truth, maps) in zip(panels, rows):
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.set_frame_on(False)
        line[0].imshow(image)
        line[0].set_ylabel(name, fontsize=7)
        line[1].imshow(truth, cmap="gray", vmin=0, vmax=1)
        for axes, column in zip(line[2:], columns):
            axes.imshow(image)
            axes.imshow(maps[column], cmap="jet", alpha=0.5, vmin=0, vmax=255)
    for axes, title in zip(panels[0], ["image", "truth", *columns]):
        axes.set_title(title, fontsize=8)
    figure.savefig(path)
