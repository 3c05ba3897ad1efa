"""The loop: samples -> maps -> records, with decoding and scoring in threads beside the network."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from camcore import fusion, maps, views
from camcore.networks import Network
from evaluators import localize
from evaluators.records import Writer
from evaluators.types import Cell, Localization, Protocol, Sample

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Plan:
    """What one invocation computes: every cell of every sample, `batch` images at a time."""

    network: Network
    protocol: Protocol
    cells: tuple[Cell, ...]
    cams: Mapping[str, maps.Method]
    batch_size: int
    workers: int
    device: str = "cpu"

    @property
    def view(self) -> views.View:
        return views.view(self.protocol.view, self.network.input_size)

    @property
    def batch(self) -> int:
        """Images a batch: `batch_size` counts views."""
        return max(1, self.batch_size // self.view.crops)


def ahead(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], depth: int) -> Iterator[R]:
    """Results in order, at most `depth` of them under way or waiting."""
    queue: deque[Future[R]] = deque()
    source = iter(items)
    try:
        for item in itertools.islice(source, depth):
            queue.append(pool.submit(work, item))
        while queue:
            result = queue.popleft().result()
            for item in itertools.islice(source, 1):
                queue.append(pool.submit(work, item))
            yield result
    finally:
        for future in queue:
            future.cancel()


def image_maps(plan: Plan, images: torch.Tensor, targets: torch.Tensor) -> tuple[dict[Cell, np.ndarray], np.ndarray]:
    """Each cell's uint8 maps ``(B,g,g)`` of squashed ``images (B,3,g,g) uint8``, and the top 5 ``(B,5)``.

    The crops' logits are summed; each crop's map is of the target's logit in that crop.
    """
    network, view = plan.network, plan.view
    layers = [network.layer(n) for n in dict.fromkeys(n for c in plan.cells for n in c.layer.split("+"))]
    inputs = network.preprocessing(views.cut(images.to(plan.device), view))
    asked = targets.to(plan.device).repeat_interleave(view.crops)
    chunks = [
        maps.compute(network.module, x, t, layers, plan.cams, plan.protocol.gradient)  # type: ignore[arg-type]  # checked by Protocol
        for x, t in zip(inputs.split(plan.batch_size), asked.split(plan.batch_size))
    ]
    logits = torch.cat([chunk[1] for chunk in chunks]).unflatten(0, (-1, view.crops)).sum(1)
    top5 = logits.topk(min(5, logits.shape[1])).indices
    merged = {key: views.merge(torch.cat([chunk[0][key] for chunk in chunks]), view) for key in chunks[0][0]}
    grids = []
    for cell in plan.cells:
        parts = {name: merged[cell.method, name] for name in cell.layer.split("+")}
        one = fusion.fuse(parts) if len(parts) > 1 else fusion.normalise(parts[cell.layer], plan.protocol.normalisation)
        grids.append(fusion.to_bytes(one))
    return dict(zip(plan.cells, torch.stack(grids).cpu().numpy())), top5.cpu().numpy()  # one transfer for all


def measure(plan: Plan, samples: Sequence[Sample], missing: Mapping[str, set[Cell]], writer: Writer, tick: Callable[[], Any]) -> None:
    """Compute and write the `missing` cells of each sample; `tick` is called after each image.

    The last batch is padded with its last image, so the network always sees the same shape and an
    image's records do not depend on its neighbours.
    """
    view = plan.view

    def decode(sample: Sample) -> tuple[Sample, tuple[int, int], np.ndarray]:
        image = views.read_image(sample.path)
        return sample, image.size, views.squash(image, view.grid)

    def grade(job: tuple[Sample, tuple[int, int], dict[Cell, np.ndarray], list[int]]) -> list[Localization]:
        sample, size, grids, top5 = job
        return localize.score(sample, size, grids, top5, plan.protocol)

    def jobs(decoded: Iterator) -> Iterator:
        while batch := list(itertools.islice(decoded, plan.batch)):
            padded = batch + [batch[-1]] * (plan.batch - len(batch))
            images = torch.from_numpy(np.stack([squashed for _, _, squashed in padded]))
            grids, top5 = image_maps(plan, images, torch.tensor([s.label for s, _, _ in padded]))
            for i, (sample, size, _) in enumerate(batch):
                wanted = {cell: grid[i] for cell, grid in grids.items() if cell in missing[sample.image_id]}
                yield sample, size, wanted, top5[i].tolist()

    with ThreadPoolExecutor(plan.workers) as readers, ThreadPoolExecutor(plan.workers) as scorers:
        decoded = ahead(readers, decode, samples, 2 * plan.batch)
        for records in ahead(scorers, grade, jobs(decoded), 2 * plan.batch):
            writer.add(records)
            tick()
