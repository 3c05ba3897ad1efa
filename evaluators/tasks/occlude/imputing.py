"""ROAD: pixels removed by a map's order are filled from their neighbours, and the network asked."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from camx.camcore import occlusion, road
from camx.camcore.faults import NotFinite
from camx.evaluators import loop
from camx.evaluators.grids import Missing
from camx.evaluators.loop import Picture, Tick
from camx.evaluators.records import Writer
from camx.evaluators.tasks.occlude import perturb
from camx.evaluators.tasks.occlude.perturb import Batch, Job, Question
from camx.evaluators.tasks.occlude.scores import Road
from camx.evaluators.types import Cell

OF = "an image filled by ROAD"


def impute(job: Job, samples: Sequence[Any], missing: Missing, writer: Writer, tick: Tick) -> None:
    """Write a record of each missing cell of each sample."""

    def make(pictures: list[Picture], padded: list[Picture]) -> Batch:
        # Nothing is hidden: what hides is the mean, which costs nothing.
        return perturb.batch_of(job, missing, "mean", pictures, padded, job.protocol.explained)

    for pictures, batch in loop.made(job, samples, make, tick):
        for row, picture in enumerate(pictures):
            cells = [c for c in batch.cells if c in missing[picture.sample.image_id]]
            try:
                writer.add([_record(job, batch, row, cell) for cell in cells])
            except NotFinite as error:
                job.skips.take(picture.sample, error, error.faults[0])
            tick()


def removed(places: Tensor, percentiles: Sequence[float]) -> tuple[Tensor, Tensor]:
    """What goes at each percentile, ``(Q,g,g) bool``: the highest pixels, and the lowest.

    `places` is each pixel's from the highest on (`occlusion.order`). At percentile q those stay
    that are below the map's q-th; of the lowest, below that of the map turned over.
    """
    count = places.numel()
    gone = [count - math.ceil(q * (count - 1) / 100) for q in percentiles]
    highest = torch.stack([places < n for n in gone])
    lowest = torch.stack([places >= count - n for n in gone])
    return highest, lowest


def filled(image: Tensor, masks: Tensor, noise: Tensor) -> Tensor:
    """The image ``(3,g,g)`` without each of ``masks (Q,g,g)``, filled, with noise there.

    On a CPU one after the other, whose intermediate results then stay in its cache.
    """
    step = 1 if image.device.type == "cpu" else len(masks)
    parts = [road.fill(image.expand(len(m), -1, -1, -1), m) for m in masks.split(step)]
    return torch.cat(parts) + masks[:, None] * noise


def _record(job: Job, batch: Batch, row: int, cell: Cell) -> Road:
    """Of image `row`; without scores where the map is constant, since it removes nothing first."""
    sample, image = batch.pictures[row].sample, batch.images[row]
    maps = batch.maps[cell.map][row : row + 1]
    (blank,) = perturb.degenerate(maps)
    scores: tuple[float, ...] = ()
    if not blank:
        ties, offset = perturb.draw(sample.image_id, job.seed, batch.pixels, image.device)
        places = occlusion.order(maps, ties[None])
        places = (occlusion.moved(places, [offset]) if cell.random else places)[0]
        masks = torch.cat(removed(places, job.protocol.percentiles))
        noise = road.noise(sample.image_id, job.seed, tuple(image.shape)).to(image)
        images = filled(image, masks, noise)
        label = batch.classes[row]
        asked = [
            Question(row, label, cell, partial(images.__getitem__, i)) for i in range(len(masks))
        ]
        scores = tuple(answer.score for answer in perturb.ask(job, asked, OF))
    half = len(scores) // 2
    key = sample.image_id, sample.label, *cell.key, batch.classes[row]
    return Road(*key, batch.answers[row].score, scores[:half], scores[half:], blank)
