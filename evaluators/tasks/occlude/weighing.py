"""Images weighed by their maps: what is left of the class (drop), and of the map (ADCC)."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from camx.camcore import occlusion
from camx.camcore.faults import NotFinite
from camx.evaluators import grids, loop
from camx.evaluators.grids import Missing
from camx.evaluators.loop import Picture, Tick
from camx.evaluators.records import Writer
from camx.evaluators.tasks.occlude import perturb
from camx.evaluators.tasks.occlude.perturb import Answer, Batch, Job, Question
from camx.evaluators.tasks.occlude.scores import Adcc, Drop
from camx.evaluators.types import Cell

Rows = list[list[Any]]  # the records of each picture of a batch
OF = "the image weighed by its map"


def weigh(
    job: Job, metric: str, samples: Sequence[Any], missing: Missing, writer: Writer, tick: Tick
) -> None:
    """Write a record of each missing cell of each sample: ``drop`` or ``adcc``."""
    make = partial({"drop": drops, "adcc": coherencies}[metric], job, missing)
    for _, rows in loop.made(job, samples, make, tick):
        for of_image in rows:
            writer.add(of_image)
            tick()


def weights(batch: Batch, cell: Cell, seed: int) -> Tensor:
    """The cell's maps from 0 to 1, ``(B,g,g)``; 0 where one is constant. Moved if it is random."""
    maps = occlusion.stretched(batch.maps[cell.map])
    if not cell.random:
        return maps
    ids = [picture.sample.image_id for picture in batch.pictures]
    device = maps.device
    return occlusion.moved(maps, [perturb.draw(i, seed, batch.pixels, device)[1] for i in ids])


def weighed(batch: Batch, weight: Tensor, row: int) -> Callable[[], Tensor]:
    """An image of the batch times its map, the fill times what is left; as of a `Question`."""
    share = weight[row]
    return lambda: share * batch.images[row] + (1 - share) * batch.hidden[row]


def _turns(batch: Batch, missing: Missing) -> Iterator[tuple[Cell, list[int]]]:
    """Each cell, and the rows of the images that lack it."""
    ids = [picture.sample.image_id for picture in batch.pictures]
    for cell in batch.cells:
        yield cell, [row for row, name in enumerate(ids) if cell in missing[name]]


def _batch(job: Job, missing: Missing, pictures: list[Picture], padded: list[Picture]) -> Batch:
    how = job.protocol.fill, pictures, padded, job.protocol.explained
    return perturb.batch_of(job, missing, *how)


def drops(job: Job, missing: Missing, pictures: list[Picture], padded: list[Picture]) -> Rows:
    """What average drop, increase and gain need of each picture of a batch, and missing cell."""
    batch = _batch(job, missing, pictures, padded)
    weight = {cell: weights(batch, cell, job.seed) for cell in batch.cells}
    asked = [
        Question(row, batch.classes[row], cell, weighed(batch, weight[cell], row))
        for cell, rows in _turns(batch, missing)
        for row in rows
    ]
    told = perturb.ask(job, asked, OF)
    blank = {cell: perturb.degenerate(batch.maps[cell.map]) for cell in batch.cells}
    rows: Rows = [[] for _ in pictures]
    for question, after in zip(asked, told):
        row, cell = question.row, question.cell
        scores = _scores(batch, row, after)
        values = (*_key(batch, row, cell), *scores, blank[cell][row])
        rows[row].append(Drop(*values))
    return rows


def _key(batch: Batch, row: int, cell: Cell) -> tuple[Any, ...]:
    sample = batch.pictures[row].sample
    return sample.image_id, sample.label, *cell.key, batch.classes[row]


def _scores(batch: Batch, row: int, after: Answer) -> tuple[float, float]:
    return batch.answers[row].score, after.score


def coherencies(job: Job, missing: Missing, pictures: list[Picture], padded: list[Picture]) -> Rows:
    """What ADCC needs of each picture of a batch, and missing cell.

    The images weighed by one cell's maps are a batch of that cell alone: one forward and one
    backward pass to its own layers tell both what is left of the class and the new maps.
    """
    batch = _batch(job, missing, pictures, padded)
    rows: Rows = [[] for _ in pictures]
    for cell, members in _turns(batch, missing):
        weight = weights(batch, cell, job.seed)
        again, told = _again(job, batch, cell, members, weight)
        agreement = occlusion.coherency(weight[members], again).tolist()
        blank, means = perturb.degenerate(batch.maps[cell.map]), weight.double().mean((1, 2))
        for at, row in enumerate(members):
            parts = agreement[at], float(means[row]), blank[row]
            values = (*_key(batch, row, cell), *_scores(batch, row, told[at]), *parts)
            rows[row].append(Adcc(*values))
    return rows


def _again(
    job: Job, batch: Batch, cell: Cell, members: Sequence[int], weight: Tensor
) -> tuple[Tensor, list[Answer]]:
    """The cell's maps of the images `members` weighed, ``(len(members),g,g)``, and the answers."""
    plan = job.plan
    places = [*members, *[members[-1]] * (plan.batch - len(members))]
    images = torch.stack([weighed(batch, weight, row)() for row in places])
    classes = torch.tensor([batch.classes[row] for row in places])
    try:
        maps, logits = grids.of_prepared(plan, images, classes, [cell.map], len(members))
        told = perturb.answers(
            logits[: len(members)], classes[: len(members)].tolist(), job.protocol.score
        )
    except NotFinite as error:
        asked = [Question(row, 0, cell, lambda: images[0]) for row in members]
        raise error.mapped(partial(perturb.asked, asked, plan.network.name, OF)) from None
    return maps[cell.map][: len(members)], told
