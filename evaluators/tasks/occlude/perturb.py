"""The loops of occlusion and of curves: samples -> maps -> changed images -> records."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.integrate import trapezoid
from torch import Tensor

from camx.camcore import occlusion, views
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
    lower class is first.
    """
    logits = logits.double().cpu()
    totals, classes = logits.sum(1), torch.tensor(labels)[:, None]
    label = totals.gather(1, classes)
    lower = torch.arange(totals.shape[1]) < classes
    ranks = 1 + ((totals > label) | ((totals == label) & lower)).sum(1)
    probabilities = totals.softmax(1) if score == "sum" else logits.softmax(2).mean(1)
    scores = probabilities.gather(1, classes)
    return list(map(Answer, ranks.tolist(), scores[:, 0].tolist(), label[:, 0].tolist()))


@dataclass(frozen=True)
class Batch:
    """Pictures, their answers, maps by cell, the images, and what hides them ``(B,3,g,g)``."""

    pictures: list[Picture]
    cells: list[Cell]
    answers: list[Answer]
    maps: dict[Cell, Tensor]
    images: Tensor
    hidden: Tensor

    @property
    def pixels(self) -> int:
        return self.images.shape[-1] * self.images.shape[-2]


def batches(job: Job, samples: Sequence[Any], missing: Missing, fill: str) -> Iterator[Batch]:
    """One forward and one backward pass give a batch's answers and its missing maps."""
    plan, network = job.plan, job.plan.network
    for pictures, padded in loop.batches(plan, samples):
        cells, real = loop.lacking(job.cells, pictures, missing), len(pictures)
        squashed, labels = loop.stacked(padded), loop.labels(padded)
        wanted = list(dict.fromkeys(cell.map for cell in cells))
        maps, logits = grids.grids(plan, squashed, labels, wanted, real)
        told = answers(logits[:real], labels[:real].tolist(), job.protocol.score)
        maps = {cell: m.nan_to_num(0, 0, 0)[:real] for cell, m in maps.items()}
        images = network.prepare(squashed.to(plan.device))
        hidden = occlusion.substitute(images, fill, network.prepare, network.input_size)
        yield Batch(pictures, cells, told, maps, images, hidden)


def ask(job: Job, images: Sequence[Callable[[], Tensor]], labels: Sequence[int]) -> list[Answer]:
    """The answers of grid images ``(3,g,g)``, made in turn, padded so that all passes are alike."""
    plan, told = job.plan, []
    for at in range(0, len(images), plan.batch):
        made = [make() for make in images[at : at + plan.batch]]
        inputs = views.cut(torch.stack(made + [made[-1]] * (plan.batch - len(made))), plan.view)
        with torch.no_grad():
            parts = [plan.network.module(part) for part in inputs.split(plan.batch_size)]
        logits = torch.cat(parts).unflatten(0, (-1, plan.view.crops))[: len(made)]
        told += answers(logits, labels[at : at + plan.batch], job.protocol.score)
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


def _degenerate(maps: Tensor) -> list[bool]:
    return (maps.amax((1, 2)) == maps.amin((1, 2))).tolist()


def occlude(job: Job, samples: Sequence[Any], missing: Missing, writer: Writer, tick: Tick) -> None:
    """Hide what each cell's map points at and ask again; a record per image and cell.

    An image that the network does not recognise, and one whose mask is empty, passes unchanged and
    unasked.
    """
    protocol = job.protocol
    for batch in batches(job, samples, missing, protocol.fill):
        masks = holes(batch, job.seed, protocol.threshold)
        shares = {cell: mask.flatten(1).double().mean(1).tolist() for cell, mask in masks.items()}
        blank = {cell: _degenerate(batch.maps[cell.map]) for cell in masks}
        names = [picture.sample.image_id for picture in batch.pictures]
        lacking = [[cell for cell in batch.cells if cell in missing[name]] for name in names]
        recognised = [i for i, answer in enumerate(batch.answers) if answer.rank == 1]
        asked = [(i, cell) for i in recognised for cell in lacking[i] if shares[cell][i]]
        images = [_hidden(batch, masks[cell], i) for i, cell in asked]
        labels = [batch.pictures[i].sample.label for i, _ in asked]
        after = dict(zip(asked, ask(job, images, labels)))
        for i, picture in enumerate(batch.pictures):
            sample, before, records = picture.sample, batch.answers[i], []
            for cell in lacking[i]:
                now = after.get((i, cell), before)
                share = shares[cell][i] if (i, cell) in after else 0.0
                key = (sample.image_id, sample.label, *cell.key, before.rank, now.rank)
                row = (*key, before.score, now.score, before.logit, now.logit, share)
                records.append(Record(*row, blank[cell][i]))
            writer.add(records)
            tick()


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
    protocol = job.protocol
    fill = protocol.fill if metric == "deletion" else protocol.start
    for batch in batches(job, samples, missing, fill):
        size = -(-batch.pixels // (protocol.steps or batch.images.shape[-1]))
        steps = range(-(-batch.pixels // size) + 1)
        counts = [min(step * size, batch.pixels) for step in steps]
        blank = {cell: _degenerate(m) for cell, m in batch.maps.items()}
        for i, picture in enumerate(batch.pictures):
            sample, before, records = picture.sample, batch.answers[i], []
            for cell in (c for c in batch.cells if c in missing[sample.image_id]):
                scores: tuple[float, ...] = ()
                if before.rank == 1 and not blank[cell.map][i]:
                    images = _stepped(batch, i, cell, counts, metric, job.seed)
                    told = ask(job, images, [sample.label] * len(images))
                    scores = tuple(answer.score for answer in told)
                area = trapezoid(scores, dx=1 / (len(scores) - 1)) if scores else float("nan")
                key = (sample.image_id, sample.label, *cell.key, before.rank)
                records.append(Curve(*key, float(area), scores, blank[cell.map][i]))
            writer.add(records)
            tick()


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
