"""A contact sheet of defects: image, truth and maps (LayerCAM paper, Figures 7 and 8)."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from camx.evaluators import grids, heatmaps, pictures
from camx.evaluators.loop import Measurement, decode, stacked
from camx.evaluators.pictures import panel, plate
from camx.evaluators.pictures.panel import Panel
from camx.evaluators.pictures.plate import Plate
from camx.evaluators.tasks.defects import Options, Protocol, masks

Row = tuple[str, np.ndarray, np.ndarray, Mapping[str, np.ndarray]]


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
            f"{plan.cams[cell.method].title or cell.method}\n{cell.layer} {cell.variant}".strip():
                heatmaps.on_image(grid[0], picture.size, job.protocol.interpolation)
            for cell, grid in maps.items()
        }  # fmt: skip
        truth = masks.truth(sample, picture.size)
        name = sample.image_id.replace(f"{sample.group}/", f"{sample.group}\n", 1)
        rows.append((name, picture.pixels, truth, columns))
    options.sheet.parent.mkdir(parents=True, exist_ok=True)
    network, protocol = plan.network, job.protocol
    about = (
        f"network {network.name} ({network.weights}, {network.preprocessing.name} preprocessing)",
        f"protocol {protocol.name}: {protocol.view} view, gradient {protocol.gradient}",
        f"data {job.dataset.name}, run {job.out}",
    )
    pictures.write(plate.draw(contact_sheet(rows, about)), options.sheet)


def contact_sheet(rows: Sequence[Row], about: Sequence[str]) -> Plate:
    """Images down; across, the image, its truth and a map a column.

    rows: a name, the image ``(H,W,3) uint8``, the truth ``(H,W) bool`` and named maps ``(H,W)
    uint8``, the same names in every row. about: what made them.
    """
    panels: dict[tuple[int, int], Panel] = {}
    for row, (_, image, truth, maps) in enumerate(rows):
        shown = [Panel(image), panel.of_mask(truth, image)]
        shown += [Panel(image, heatmap, outline=truth) for heatmap in maps.values()]
        panels |= {(row, column): part for column, part in enumerate(shown)}
    columns = ("image", "ground truth", *rows[0][3])
    names = tuple(name for name, *_ in rows)
    return Plate("Defects, and the maps of them", tuple(about), names, columns, panels)
