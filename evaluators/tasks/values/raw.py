"""Raw maps' values: mean and maximum over an image's views."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from camx.evaluators import grids
from camx.evaluators.loop import Measurement, Picture, Tick, labels, lacking, made, stacked
from camx.evaluators.records import Writer
from camx.evaluators.tasks.values import Record
from camx.evaluators.types import Cell

Values = tuple[float, float, float]


def values(maps: Tensor, crops: int) -> list[Values]:
    """Mean and peak in thousandths, and their quotient in percent, of each image's ``crops`` maps.

    ``maps (B*crops,h,w)``, an image's views one after the other. The quotient of an empty map is 0.
    """
    of_image = maps.double().unflatten(0, (-1, crops)).flatten(1)
    means, peaks = of_image.mean(1).tolist(), of_image.amax(1).tolist()
    return [(1000 * m, 1000 * p, 100 * m / p if p > 0 else 0.0) for m, p in zip(means, peaks)]


def measure(
    job: Measurement[Any, Any],
    samples: Sequence[Any],
    missing: grids.Missing,
    writer: Writer,
    tick: Tick,
) -> None:
    """Write a record of each missing cell of each sample."""

    def make(batch: list[Picture], padded: list[Picture]) -> dict[Cell, list[Values]]:
        cells = lacking(job.cells, batch, missing)
        how = job.plan, stacked(padded), labels(padded), cells, len(batch)
        raw, _ = grids.raw_maps(*how)
        crops = job.plan.view.crops
        return {cell: values(raw[cell.method, cell.layer], crops) for cell in cells}

    for batch, by_cell in made(job, samples, make, tick):
        for at, picture in enumerate(batch):
            name = picture.sample.image_id
            wanted = [cell for cell in by_cell if cell in missing[name]]
            writer.add([Record(name, *cell.key, *by_cell[cell][at]) for cell in wanted])
            tick()
