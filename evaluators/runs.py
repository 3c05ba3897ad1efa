"""The loop: samples -> maps -> records, with decoding and scoring in threads beside the network."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch

from camcore import fusion, maps, plugins, views
from camcore.networks import Network
from camcore.variants import canonical
from evaluators import defects, localize, masks
from evaluators.records import Writer
from evaluators.types import Cell, DefectProtocol, MapProtocol, Protocol, Sample

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Plan:
    """What one invocation computes: every cell of every sample, `batch` images at a time."""

    network: Network
    protocol: MapProtocol
    cells: tuple[Cell, ...]
    cams: Mapping[str, maps.Method]
    batch_size: int
    workers: int
    device: str

    @property
    def view(self) -> views.View:
        return views.view(self.protocol.view, self.network.input_size)

    @property
    def batch(self) -> int:
        """Images a batch: `batch_size` counts views."""
        return max(1, self.batch_size // self.view.crops)


def plan(
    network: Network,
    protocol: MapProtocol,
    cells: Sequence[Cell],
    methods: Sequence[str] = (),
    device: str = "cpu",
    batch_size: int = 20,
    workers: int = 1,
) -> Plan:
    """The plan of `cells`; `methods` are plug-ins as the user named them, which a cell's name alone may not find."""
    given = maps.methods(methods, protocol.style)
    unknown = [c.method for c in cells if c.method not in given and c.method not in plugins.names(maps.METHODS)]
    if unknown:
        raise ValueError(f"unknown method {unknown[0]!r}; known: {', '.join(plugins.names(maps.METHODS))} (or --method FILE.py)")
    cams = given | maps.methods([c.method for c in cells if c.method not in given], protocol.style)
    return Plan(network, protocol, tuple(cells), cams, batch_size, workers, device)


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


def grids(
    plan: Plan, images: torch.Tensor, targets: torch.Tensor, cells: Sequence[Cell], real: int
) -> tuple[dict[Cell, torch.Tensor], torch.Tensor]:
    """Each cell's maps in [0, 1], ``(B,g,g)``, of squashed ``images (B,3,g,g) uint8``, and logits ``(B,crops,K)``.

    Each crop's map is of the target's logit in that crop. Images from `real` on are padding.
    """
    network, view = plan.network, plan.view
    layers = [network.layer(n) for n in dict.fromkeys(n for c in cells for n in c.layer.split("+"))]
    pairs = {(c.method, n) for c in cells for n in c.layer.split("+")}
    inputs = network.prepare(views.cut(images.to(plan.device), view))
    asked = targets.to(plan.device).repeat_interleave(view.crops)
    rows = real * view.crops
    chunks = []
    for at in range(0, len(inputs), plan.batch_size):
        part = slice(at, at + plan.batch_size)
        left = min(max(rows - at, 0), plan.batch_size)
        chunks.append(maps.compute(network.module, inputs[part], asked[part], layers, plan.cams, plan.protocol.gradient, pairs, left))
    logits = torch.cat([chunk[1] for chunk in chunks]).unflatten(0, (-1, view.crops))
    raw = {key: torch.cat([chunk[0][key] for chunk in chunks]) for key in chunks[0][0]}
    found = _styled(plan, cells, raw) if plan.protocol.style else _combined(plan, cells, raw)
    return dict(zip(cells, found)), logits


def image_maps(
    plan: Plan, images: torch.Tensor, targets: torch.Tensor, cells: Sequence[Cell] | None = None, real: int | None = None
) -> tuple[dict[Cell, np.ndarray], np.ndarray]:
    """Each cell's uint8 maps ``(B,g,g)`` of squashed ``images (B,3,g,g) uint8``, and the crops' summed logits ``(B,K)``.

    `cells` are the plan's unless given. Images from `real` on are padding.
    """
    cells = plan.cells if cells is None else cells
    found, logits = grids(plan, images, targets, cells, len(images) if real is None else real)
    together = torch.stack([fusion.to_bytes(m) for m in found.values()])
    return dict(zip(cells, together.cpu().numpy())), logits.sum(1).cpu().numpy()  # one transfer for all


def top5(logits: np.ndarray) -> list[int]:
    """The five likeliest classes of ``logits (K,)``, best first; -1 in the places that fewer classes leave."""
    best = torch.from_numpy(logits).topk(min(5, len(logits))).indices.tolist()
    return best + [-1] * (5 - len(best))


def _combined(plan: Plan, cells: Sequence[Cell], raw: Mapping[tuple[str, str], torch.Tensor]) -> Iterator[torch.Tensor]:
    """Each cell's map in [0, 1], ``(B,g,g)``: the crops merged on the grid, then normalised or fused.

    Raw maps of one size are merged in one call, and each is normalised once for all the cells it is part of.
    """
    merged: dict[tuple[str, str], torch.Tensor] = {}
    for shape in {m.shape for m in raw.values()}:
        keys = [key for key, m in raw.items() if m.shape == shape]
        together = views.merge(torch.cat([raw[key] for key in keys]), plan.view)
        merged |= zip(keys, together.unflatten(0, (len(keys), -1)))
    return combine(plan, cells, merged)


def combine(plan: Plan, cells: Sequence[Cell], merged: Mapping[tuple[str, str], torch.Tensor]) -> Iterator[torch.Tensor]:
    """Each cell's map in [0, 1] from raw maps on the grid, ``(N,g,g)`` by method and layer: normalised, and fused."""
    normal = {key: fusion.normalise(m, plan.protocol.normalisation) for key, m in merged.items()}
    for cell in cells:
        parts = {name: normal[cell.method, name] for name in cell.layer.split("+")}
        yield fusion.fuse(parts, cell.variant) if len(parts) > 1 or cell.variant else parts[cell.layer]


def _styled(plan: Plan, cells: Sequence[Cell], raw: Mapping[tuple[str, str], torch.Tensor]) -> Iterator[torch.Tensor]:
    """Each cell's map in [0, 1], ``(B,g,g)``, as another package makes it of the layers' raw maps."""
    combine = maps.combination(plan.protocol.style)
    for cell in cells:
        yield combine(cell.method, [raw[cell.method, name] for name in cell.layer.split("+")], plan.view.grid)


@dataclass(frozen=True)
class Decoded:
    """A sample's picture: its squashed form for the network, its size, and BGR pixels if GrabCut needs them."""

    sample: Sample
    squashed: np.ndarray
    size: tuple[int, int]
    bgr: np.ndarray | None


def decode(plan: Plan, sample: Sample, coloured: bool = False) -> Decoded:
    image = views.read_image(sample.path)
    bgr = np.asarray(image)[..., ::-1].copy() if coloured else None
    return Decoded(sample, views.squash(image, plan.view.grid), image.size, bgr)


def batches(plan: Plan, samples: Sequence[Sample], coloured: bool = False) -> Iterator[tuple[list[Decoded], torch.Tensor, torch.Tensor]]:
    """``(pictures, images (B,3,g,g) uint8, labels (B,))``, decoded ahead in threads.

    The last batch is padded with its last image, so the network always sees the same shape and an
    image's records do not depend on its neighbours.
    """
    cv2.setNumThreads(1)  # the pool's threads are the parallelism
    with ThreadPoolExecutor(plan.workers) as readers:
        pictures = ahead(readers, partial(decode, plan, coloured=coloured), samples, 2 * plan.batch)
        while batch := list(itertools.islice(pictures, plan.batch)):
            padded = batch + [batch[-1]] * (plan.batch - len(batch))
            yield batch, torch.from_numpy(np.stack([d.squashed for d in padded])), torch.tensor([d.sample.label for d in padded])


Missing = Mapping[str, set[Cell]]  # by image_id


def needed(cells: Sequence[Cell], batch: Sequence[Decoded], *missing: Missing) -> list[Cell]:
    """The `cells` that any image of the batch lacks."""
    lacking = set().union(*(m.get(d.sample.image_id, set()) for d in batch for m in missing))
    return [cell for cell in cells if cell in lacking]


Grade = Callable[[Decoded, dict[Cell, np.ndarray], np.ndarray], Sequence[Any]]  # picture, uint8 maps, logits -> records


def measure(
    plan: Plan,
    grade: Grade,
    samples: Sequence[Sample],
    missing: Missing,
    writer: Writer,
    tick: Callable[[], Any],
    unsaved: tuple[Path, Missing] | None = None,
    coloured: bool = False,
) -> None:
    """Make the maps of the `missing` cells of each sample, and write what `grade` says of them, in threads.

    `tick` is called after each image. `unsaved` is a folder and the maps it lacks.
    """
    folder, pictured = unsaved or (None, {})

    def work(job: tuple[Decoded, dict[Cell, np.ndarray], np.ndarray]) -> Sequence[Any]:
        decoded, found, logits = job
        image_id = decoded.sample.image_id
        if folder:
            save_maps(folder, image_id, {cell: found[cell] for cell in pictured.get(image_id, ())})
        return grade(decoded, {cell: grid for cell, grid in found.items() if cell in missing[image_id]}, logits)

    def jobs() -> Iterator[tuple[Decoded, dict[Cell, np.ndarray], np.ndarray]]:
        for batch, images, labels in batches(plan, samples, coloured):
            found, logits = image_maps(plan, images, labels, needed(plan.cells, batch, missing, pictured), len(batch))
            for i, decoded in enumerate(batch):
                yield decoded, {cell: grid[i] for cell, grid in found.items()}, logits[i]

    with ThreadPoolExecutor(plan.workers) as graders:
        for records in ahead(graders, work, jobs(), 2 * plan.batch):
            writer.add(records)
            tick()


def localizer(protocol: Protocol) -> Grade:
    """Boxes against the true boxes: `evaluators.localize.score`."""
    return lambda decoded, grids, logits: localize.score(decoded.sample, decoded.size, grids, top5(logits), protocol, decoded.bgr)


def inspector(protocol: DefectProtocol) -> Grade:
    """Masks against the true masks: `evaluators.defects.score`; the probability is that of class 1, defective."""

    def grade(decoded: Decoded, grids: dict[Cell, np.ndarray], logits: np.ndarray) -> Sequence[Any]:
        probability = float(torch.from_numpy(logits).double().softmax(0)[1])
        return defects.score(decoded.sample, masks.truth(decoded.sample, decoded.size), grids, probability, protocol)

    return grade


def map_file(folder: Path, image_id: str, cell: Cell) -> Path:
    """``<image_id>_<method>_<layer>.png``; a variant that the layers do not imply is appended."""
    suffix = f"_{cell.variant}" if cell.variant != canonical(cell.layer, "") else ""
    return folder / f"{image_id}_{cell.method}_{cell.layer}{suffix}.png"


def unsaved(folder: Path, samples: Sequence[Sample], cells: Sequence[Cell]) -> Missing:
    """The maps that `folder` does not hold yet."""
    return {s.image_id: {c for c in cells if not map_file(folder, s.image_id, c).is_file()} for s in samples}


def save_maps(folder: Path, image_id: str, grids: Mapping[Cell, np.ndarray]) -> None:
    """Write each uint8 grid map, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for cell, grid in grids.items():
        path = map_file(folder, image_id, cell)
        temporary = path.with_name(f".{path.name}")
        if not cv2.imwrite(str(temporary), grid):
            raise OSError(f"{path}: cannot be written")
        temporary.rename(path)
