"""The loops of occlusion and of curves: samples -> maps -> changed images -> records."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.integrate import trapezoid
from torch import Tensor

from camx.camcore import faults, occlusion, passes, views
from camx.camcore.faults import Fault, NotFinite
from camx.evaluators import grids, loop
from camx.evaluators.grids import Missing
from camx.evaluators.loop import Measurement, Picture, Tick
from camx.evaluators.records import Writer
from camx.evaluators.tasks.occlude import Curve, Options, Protocol, Record
from camx.evaluators.types import Cell

Job = Measurement[Protocol, Options]


@dataclass(frozen=True)
class Answer:
    """What the network says of an image's label: its rank (1 is first), probability and logit."""

    rank: int
    score: float
    logit: float


def answers(logits: Tensor, labels: Sequence[int], score: str) -> list[Answer]:
    """The answers of ``logits (N,crops,K)``; `score` is ``sum`` or ``mean`` (see `Protocol`).

    Ranks are of the summed logits whatever the score, as in `camx localize`; of equal logits the
    lower class is first. Raises `NotFinite` for logits that hold NaN or Inf: they have no ranks.
    """
    logits = logits.double().cpu()
    faults.check({faults.LOGITS: logits})
    totals, classes = logits.sum(1), torch.tensor(labels)[:, None]
    label = totals.gather(1, classes)
    lower = torch.arange(totals.shape[1]) < classes
    ranks = 1 + ((totals > label) | ((totals == label) & lower)).sum(1)
    probabilities = totals.softmax(1) if score == "sum" else logits.softmax(2).mean(1)
    scores = probabilities.gather(1, classes)
    return list(map(Answer, ranks.tolist(), scores[:, 0].tolist(), label[:, 0].tolist()))


@dataclass(frozen=True)
class Batch:
    """Pictures, their answers, maps by cell, the images, and what hides them ``(B,3,g,g)``.

    `classes` are what is asked about, ``(B,)``.
    """

    pictures: list[Picture]
    cells: list[Cell]
    classes: list[int]
    answers: list[Answer]
    maps: dict[Cell, Tensor]
    images: Tensor
    hidden: Tensor

    @property
    def pixels(self) -> int:
        return self.images.shape[-1] * self.images.shape[-2]


def batch_of(
    job: Job,
    missing: Missing,
    fill: str,
    pictures: list[Picture],
    padded: list[Picture],
    explained: str = "label",
) -> Batch:
    """One forward and one backward pass give a batch's answers and its missing maps.

    They are of the labels; of the network's first choices, which a pass before tells, where
    `explained` is ``first``.
    """
    plan, network = job.plan, job.plan.network
    cells, real = loop.lacking(job.cells, pictures, missing), len(pictures)
    squashed, classes = loop.stacked(padded), loop.labels(padded)
    images = network.prepare(squashed.to(plan.device))
    if explained == "first":
        totals = logits_of(plan, images).double().cpu().sum(1).numpy()
        classes = torch.from_numpy(totals.argmax(1))  # of equal ones the lower class, as `answers`
    wanted = list(dict.fromkeys(cell.map for cell in cells))
    maps, logits = grids.grids(plan, squashed, classes, wanted, real)
    told = answers(logits[:real], classes[:real].tolist(), job.protocol.score)
    maps = {cell: m[:real] for cell, m in maps.items()}
    hidden = occlusion.substitute(images, fill, network.prepare, network.input_size)
    return Batch(pictures, cells, classes[:real].tolist(), told, maps, images, hidden)


def logits_of(plan: grids.Plan, images: Tensor) -> Tensor:
    """The logits ``(B,crops,K)`` of prepared ``images (B,3,g,g)``."""
    chunks = views.cut(images, plan.view).split(plan.batch_size)
    with torch.no_grad():
        parts = [passes.answer(plan.network.module, part) for part in chunks]
    return torch.cat(parts).unflatten(0, (-1, plan.view.crops))


@dataclass(frozen=True)
class Question:
    """An image of a batch, changed as a cell's map says: ``make()`` gives it, ``(3,g,g)``."""

    row: int
    label: int
    cell: Cell
    make: Callable[[], Tensor]


def asked(questions: Sequence[Question], network: str, of: str, fault: Fault) -> Fault:
    """The fault of an answer's row as that of its question's image."""
    question = questions[fault.row]
    where = {"method": question.cell.method, "layer": question.cell.layer}
    return replace(fault, row=question.row, network=network, of=of, **where)


def ask(job: Job, questions: Sequence[Question], of: str) -> list[Answer]:
    """The answers to images changed in turn, padded so that all passes are alike.

    Raises `NotFinite` naming the rows of the batch whose image, changed into what `of` says, has
    logits that hold NaN or Inf.
    """
    plan, told = job.plan, []
    for at in range(0, len(questions), plan.batch):
        part = questions[at : at + plan.batch]
        images = [question.make() for question in part]
        images += [images[-1]] * (plan.batch - len(images))
        logits = logits_of(plan, torch.stack(images))[: len(part)]
        try:
            told += answers(logits, [question.label for question in part], job.protocol.score)
        except NotFinite as error:
            raise error.mapped(partial(asked, part, plan.network.name, of)) from None
    return told


def draw(
    image_id: str, seed: int, pixels: int, device: torch.device
) -> tuple[Tensor, tuple[int, int]]:
    """An image's random numbers: a permutation that breaks ties, and where a mask moves."""
    rng = np.random.default_rng([zlib.crc32(image_id.encode()), seed])
    side = round(pixels**0.5)
    ties = torch.from_numpy(rng.permutation(pixels)).to(device)
    return ties, (int(rng.integers(side)), int(rng.integers(side)))


def holes(batch: Batch, seed: int, threshold: float) -> dict[Cell, Tensor]:
    """Which pixels each missing cell hides, ``(B,g,g) bool``; none where the map is empty."""
    for area in {cell.area for cell in batch.cells if cell.area is not None}:
        count = round(area * batch.pixels)
        if not 0 < count < batch.pixels:
            what = f"area {area:g} of {batch.pixels} pixels hides {count}"
            raise ValueError(f"{what}; expected some and not all")
    device = batch.images.device
    drawn = [draw(p.sample.image_id, seed, batch.pixels, device) for p in batch.pictures]
    ties, offsets = torch.stack([t for t, _ in drawn]), [offset for _, offset in drawn]
    masks = {}
    for cell in batch.cells:
        maps = batch.maps[cell.map]
        if cell.area is None:
            mask = occlusion.above(maps, threshold)
        else:
            highest = occlusion.order(maps, ties) < round(cell.area * batch.pixels)
            mask = highest & (maps.amax((1, 2), keepdim=True) > 0)
        masks[cell] = occlusion.moved(mask, offsets) if cell.random else mask
    return masks


def degenerate(maps: Tensor) -> list[bool]:
    return (maps.amax((1, 2)) == maps.amin((1, 2))).tolist()


def occlude(job: Job, samples: Sequence[Any], missing: Missing, writer: Writer, tick: Tick) -> None:
    """Hide what each cell's map points at and ask again; a record per image and cell.

    An image that the network does not recognise, and one whose mask is empty, passes unchanged and
    unasked.
    """
    for _, records in loop.made(job, samples, partial(occluded, job, missing), tick):
        for of_image in records:
            writer.add(of_image)
            tick()


def occluded(
    job: Job, missing: Missing, pictures: list[Picture], padded: list[Picture]
) -> list[list[Record]]:
    """The records of each picture of a batch."""
    batch = batch_of(job, missing, job.protocol.fill, pictures, padded)
    masks = holes(batch, job.seed, job.protocol.threshold)
    shares = {cell: mask.flatten(1).double().mean(1).tolist() for cell, mask in masks.items()}
    blank = {cell: degenerate(batch.maps[cell.map]) for cell in masks}
    samples = [picture.sample for picture in pictures]
    lacking = [[cell for cell in batch.cells if cell in missing[s.image_id]] for s in samples]
    recognised = [i for i, answer in enumerate(batch.answers) if answer.rank == 1]
    asked = [
        Question(i, samples[i].label, cell, _hidden(batch, masks[cell], i))
        for i in recognised
        for cell in lacking[i]
        if shares[cell][i]
    ]
    told = ask(job, asked, "the occluded image")
    after = {(question.row, question.cell): answer for question, answer in zip(asked, told)}
    records: list[list[Record]] = [[] for _ in samples]
    for i, sample in enumerate(samples):
        before = batch.answers[i]
        for cell in lacking[i]:
            now = after.get((i, cell), before)
            share = shares[cell][i] if (i, cell) in after else 0.0
            key = (sample.image_id, sample.label, *cell.key, before.rank, now.rank)
            row = (*key, before.score, now.score, before.logit, now.logit, share)
            records[i].append(Record(*row, blank[cell][i]))
    return records


def _hidden(batch: Batch, mask: Tensor, i: int) -> Callable[[], Tensor]:
    return lambda: torch.where(mask[i], batch.hidden[i], batch.images[i])


def curves(
    job: Job, metric: str, samples: Sequence[Any], missing: Missing, writer: Writer, tick: Tick
) -> None:
    """Deletion or insertion curves (RISE): pixels go, or come, from the highest to the lowest.

    As in RISE's code a step is a grid row's worth of pixels unless the protocol says otherwise,
    deletion ends at the `fill`, insertion begins at the `start`, and the area is the trapezoids'.
    The score is the label's, on images where it is also the network's first choice.
    """
    fill = job.protocol.fill if metric == "deletion" else job.protocol.start
    for pictures, batch in loop.made(job, samples, partial(batch_of, job, missing, fill), tick):
        for i, picture in enumerate(pictures):
            try:
                writer.add(_curves(job, metric, missing, batch, i))
            except NotFinite as error:
                job.skips.take(picture.sample, error, error.faults[0])
            tick()


def _curves(job: Job, metric: str, missing: Missing, batch: Batch, i: int) -> list[Curve]:
    """The curves of image i of a batch, one a cell."""
    size = -(-batch.pixels // (job.protocol.steps or batch.images.shape[-1]))
    counts = [min(step * size, batch.pixels) for step in range(-(-batch.pixels // size) + 1)]
    sample, before, records = batch.pictures[i].sample, batch.answers[i], []
    for cell in (c for c in batch.cells if c in missing[sample.image_id]):
        scores: tuple[float, ...] = ()
        (blank,) = degenerate(batch.maps[cell.map][i : i + 1])
        if before.rank == 1 and not blank:
            images = _stepped(batch, i, cell, counts, metric, job.seed)
            asked = [Question(i, sample.label, cell, image) for image in images]
            told = ask(job, asked, f"an image of its {metric} curve")
            scores = tuple(answer.score for answer in told)
        area = trapezoid(scores, dx=1 / (len(scores) - 1)) if scores else float("nan")
        key = (sample.image_id, sample.label, *cell.key, before.rank)
        records.append(Curve(*key, float(area), scores, blank))
    return records


def _stepped(
    batch: Batch, i: int, cell: Cell, counts: Sequence[int], metric: str, seed: int
) -> list[Callable[[], Tensor]]:
    """Image i with its `counts` best pixels gone (deletion), or alone there (insertion)."""
    image_id, device = batch.pictures[i].sample.image_id, batch.images.device
    ties, offset = draw(image_id, seed, batch.pixels, device)
    places = occlusion.order(batch.maps[cell.map][i : i + 1], ties[None])
    places = occlusion.moved(places, [offset])[0] if cell.random else places[0]
    image, hidden = batch.images[i], batch.hidden[i]
    best, rest = (hidden, image) if metric == "deletion" else (image, hidden)

    def stepped(count: int) -> Tensor:
        return torch.where(places < count, best, rest)

    return [partial(stepped, count) for count in counts]
