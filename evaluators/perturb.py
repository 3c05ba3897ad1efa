"""The loops of occlusion and of deletion and insertion curves: samples -> maps -> changed images -> records."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.integrate import trapezoid
from torch import Tensor

from camcore import occlusion, views
from evaluators import runs
from evaluators.occlude import parts
from evaluators.records import Writer
from evaluators.types import Cell, Curve, Occlusion, OcclusionProtocol, Sample


@dataclass(frozen=True)
class Answer:
    """What the network says of an image's label: its rank (1 is first), its probability, and its summed logit."""

    rank: int
    score: float
    logit: float


def answers(logits: Tensor, labels: Sequence[int], score: str) -> list[Answer]:
    """The answers of ``logits (N,crops,K)``; `score` is ``sum`` or ``mean`` (see `OcclusionProtocol`).

    Ranks are of the summed logits whatever the score, as in `camx localize`; of equal logits the lower class is first.
    """
    logits = logits.double().cpu()
    totals, classes = logits.sum(1), torch.tensor(labels)[:, None]
    own = totals.gather(1, classes)
    ranks = 1 + ((totals > own) | ((totals == own) & (torch.arange(totals.shape[1]) < classes))).sum(1)
    probabilities = totals.softmax(1) if score == "sum" else logits.softmax(2).mean(1)
    found = zip(ranks.tolist(), probabilities.gather(1, classes)[:, 0].tolist(), own[:, 0].tolist())
    return [Answer(*answer) for answer in found]


@dataclass(frozen=True)
class Scene:
    """A batch ready to be changed: pictures, their answers, maps by cell, the images and what hides them ``(B,3,g,g)``."""

    batch: list[runs.Decoded]
    cells: list[Cell]
    answers: list[Answer]
    maps: dict[Cell, Tensor]
    images: Tensor
    hidden: Tensor


def scenes(plan: runs.Plan, samples: Sequence[Sample], cells: Sequence[Cell], missing: runs.Missing, fill: str) -> Iterator[Scene]:
    """One forward and one backward pass a batch give its answers and the maps of its missing cells."""
    network, protocol = plan.network, _protocol(plan)
    for batch, squashed, labels in runs.batches(plan, samples):
        wanted = runs.needed(cells, batch, missing)
        maps, logits = runs.grids(plan, squashed, labels, list(dict.fromkeys(parts(c)[0] for c in wanted)), len(batch))
        images = network.prepare(squashed.to(plan.device))
        yield Scene(
            batch,
            wanted,
            answers(logits[: len(batch)], [d.sample.label for d in batch], protocol.score),
            {cell: m.nan_to_num(0, 0, 0)[: len(batch)] for cell, m in maps.items()},
            images,
            occlusion.substitute(images, fill, network.prepare, network.input_size),
        )


def _protocol(plan: runs.Plan) -> OcclusionProtocol:
    assert isinstance(plan.protocol, OcclusionProtocol)
    return plan.protocol


def ask(plan: runs.Plan, images: Sequence[Callable[[], Tensor]], labels: Sequence[int]) -> list[Answer]:
    """The answers of grid images ``(3,g,g)``, made when their turn comes; padded, so every pass has one shape."""
    found = []
    for at in range(0, len(images), plan.batch):
        made = [make() for make in images[at : at + plan.batch]]
        inputs = views.cut(torch.stack(made + [made[-1]] * (plan.batch - len(made))), plan.view)
        with torch.no_grad():
            logits = torch.cat([plan.network.module(part) for part in inputs.split(plan.batch_size)])
        logits = logits.unflatten(0, (-1, plan.view.crops))[: len(made)]
        found += answers(logits, labels[at : at + plan.batch], _protocol(plan).score)
    return found


def draw(image_id: str, seed: int, pixels: int, device: torch.device) -> tuple[Tensor, tuple[int, int]]:
    """An image's own random numbers: a permutation ``(pixels,)`` that breaks ties, and where a mask is moved."""
    rng = np.random.default_rng([zlib.crc32(image_id.encode()), seed])
    side = round(pixels**0.5)
    ties = torch.from_numpy(rng.permutation(pixels)).to(device)
    return ties, (int(rng.integers(side)), int(rng.integers(side)))


def holes(scene: Scene, seed: int, threshold: float) -> dict[Cell, Tensor]:
    """Which pixels each missing cell hides, ``(B,g,g) bool``; none where the map is empty."""
    pixels = scene.images.shape[-1] * scene.images.shape[-2]
    for _, area, _ in map(parts, scene.cells):
        if area is not None and not 0 < round(area * pixels) < pixels:
            raise ValueError(f"area {area:g} of {pixels} pixels hides {round(area * pixels)}; expected some and not all")
    drawn = [draw(d.sample.image_id, seed, pixels, scene.images.device) for d in scene.batch]
    ties, offsets = torch.stack([t for t, _ in drawn]), [o for _, o in drawn]
    found = {}
    for cell in scene.cells:
        own, area, random = parts(cell)
        maps = scene.maps[own]
        mask = occlusion.above(maps, threshold)
        if area is not None:
            mask = (occlusion.order(maps, ties) < round(area * pixels)) & (maps.amax((1, 2), keepdim=True) > 0)
        found[cell] = occlusion.moved(mask, offsets) if random else mask
    return found


def _degenerate(maps: Tensor) -> list[bool]:
    return (maps.amax((1, 2)) == maps.amin((1, 2))).tolist()


def occlude(
    plan: runs.Plan,
    cells: Sequence[Cell],
    seed: int,
    samples: Sequence[Sample],
    missing: runs.Missing,
    writer: Writer,
    tick: Callable[[], Any],
) -> None:
    """Hide what each cell's map points at and ask again; a record per image and cell.

    An image that the network does not recognise, and one whose mask is empty, passes unchanged and unasked.
    """
    protocol = _protocol(plan)
    for scene in scenes(plan, samples, cells, missing, protocol.fill):
        masks = holes(scene, seed, protocol.threshold)
        hidden = {cell: mask.flatten(1).double().mean(1).tolist() for cell, mask in masks.items()}
        blank = {cell: _degenerate(scene.maps[parts(cell)[0]]) for cell in masks}
        todo = [(i, c) for i, d in enumerate(scene.batch) for c in scene.cells if c in missing[d.sample.image_id]]
        asked = [(i, c) for i, c in todo if scene.answers[i].rank == 1 and hidden[c][i]]
        made = [_hidden(scene, masks[cell], i) for i, cell in asked]
        after = dict(zip(asked, ask(plan, made, [scene.batch[i].sample.label for i, _ in asked])))
        for i, decoded in enumerate(scene.batch):
            found, before = [], scene.answers[i]
            for cell in (c for at, c in todo if at == i):
                now = after.get((i, cell), before)
                share = hidden[cell][i] if (i, cell) in after else 0.0
                found.append(
                    Occlusion(
                        decoded.sample.image_id, decoded.sample.label, *cell, before.rank, now.rank,
                        before.score, now.score, before.logit, now.logit, share, blank[cell][i],
                    )
                )  # fmt: skip
            writer.add(found)
            tick()


def _hidden(scene: Scene, mask: Tensor, i: int) -> Callable[[], Tensor]:
    return lambda: torch.where(mask[i], scene.hidden[i], scene.images[i])


def curves(
    metric: str,
    plan: runs.Plan,
    cells: Sequence[Cell],
    seed: int,
    samples: Sequence[Sample],
    missing: runs.Missing,
    writer: Writer,
    tick: Callable[[], Any],
) -> None:
    """Deletion or insertion curves (Petsiuk et al. 2018, RISE): pixels go, or come, from the map's highest to its lowest.

    As in RISE's code a step is a grid row's worth of pixels unless the protocol says otherwise, deletion ends at
    the `fill`, insertion begins at the `start`, and the area is the trapezoids'. The score is the label's, on images
    where it is also the network's first choice.
    """
    protocol = _protocol(plan)
    for scene in scenes(plan, samples, cells, missing, protocol.fill if metric == "deletion" else protocol.start):
        pixels = scene.images.shape[-1] * scene.images.shape[-2]
        size = -(-pixels // (protocol.steps or scene.images.shape[-1]))
        counts = [min(step * size, pixels) for step in range(-(-pixels // size) + 1)]
        blank = {cell: _degenerate(m) for cell, m in scene.maps.items()}
        for i, decoded in enumerate(scene.batch):
            sample, before, found = decoded.sample, scene.answers[i], []
            ties, offset = draw(sample.image_id, seed, pixels, scene.images.device)
            for cell in (c for c in scene.cells if c in missing[sample.image_id]):
                own, _, random = parts(cell)
                scores: tuple[float, ...] = ()
                if before.rank == 1 and not blank[own][i]:
                    places = occlusion.order(scene.maps[own][i : i + 1], ties[None])
                    places = occlusion.moved(places, [offset])[0] if random else places[0]
                    first, second = (scene.hidden[i], scene.images[i]) if metric == "deletion" else (scene.images[i], scene.hidden[i])
                    made = [_stepped(places, count, first, second) for count in counts]
                    scores = tuple(a.score for a in ask(plan, made, [sample.label] * len(made)))
                area = float(trapezoid(scores, dx=1 / (len(scores) - 1))) if scores else float("nan")
                found.append(Curve(sample.image_id, sample.label, *cell, before.rank, area, scores, blank[own][i]))
            writer.add(found)
            tick()


def _stepped(places: Tensor, count: int, first: Tensor, second: Tensor) -> Callable[[], Tensor]:
    """The image whose `count` best pixels are `first`'s and whose others are `second`'s."""
    return lambda: torch.where(places < count, first, second)
