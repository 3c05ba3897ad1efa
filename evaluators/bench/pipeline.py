"""Where a run's time goes: maps alone, scoring alone, and `camx localize` end to end."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from camx.camcore import networks
from camx.camcore.networks import Network
from camx.evaluators import datasets, grids, loop, nulls, plan, protocols, records, tasks
from camx.evaluators.bench import subjects, turns
from camx.evaluators.bench.turns import Timing
from camx.evaluators.loop import Measurement, Picture
from camx.evaluators.tasks import localize
from camx.evaluators.types import Cell, Dataset
from camx.evaluators.workers import Processes

TASK = "localize"
MAPS, SCORING, WHOLE = "maps alone", "scoring alone, one thread", "localize, end to end"
PROCESSES = "the same, worker processes"
Shown = tuple[Picture, dict[Cell, np.ndarray], np.ndarray]


def network(
    name: str, weights: str | None, dataset: Dataset[Any], device: str, seed: int
) -> Network:
    """The network with its weights, where any are given or installed, or else with drawn ones.

    How long scoring takes depends on the maps, and so on the weights. `ValueError` where it does
    not tell the data set's classes apart.
    """
    spec, count = networks.spec(name), len(dataset.classes)
    if not (weights or spec.shipped or spec.packaged):
        return subjects.network(name, device, seed, count)
    loaded = networks.load(name, weights, "paper", device)
    if loaded.classes != count:
        told = f"{loaded.name} with {loaded.weights} tells {loaded.classes} classes apart"
        raise ValueError(f"{told}, but {dataset.name} has {count}; choose another --model")
    return loaded


def protocol(name: str) -> localize.Protocol:
    """A protocol of `camx localize`. `ValueError` naming those there are."""
    return protocols.load(name, TASK, localize.Protocol)


def job(
    data: str, model: str, weights: str | None, how: localize.Protocol, limit: int, batch: int,
    workers: int, seed: int, device: str, processes: bool = False,
) -> Measurement[Any, Any]:  # fmt: skip
    """The measurement that `camx localize` would make of the first `limit` images.

    `batch` counts views; `how` is its protocol (`protocol`); `processes` begins as many as workers.
    """
    task, dataset = tasks.load(TASK), datasets.load(data, "localization")
    loaded = network(model, weights, dataset, device, seed)
    begun = Processes(workers) if processes else None
    cells, _ = plan.asked(task, loaded, "", plan.Selection())
    making = grids.plan(loaded, how, cells, (), device, batch, workers, begun)
    return Measurement(
        Path(), dataset, dataset.samples[:limit], tuple(cells), how, localize.Options(), seed,
        making, nulls=tuple(map(Cell, task.nulls)),
    )  # fmt: skip


def maps(job: Measurement[Any, Any], pictures: Sequence[Picture]) -> list[Shown]:
    """Each picture with its cells' maps and logits; the last batch is filled up, as in a run."""
    shown: list[Shown] = []
    size, side = job.plan.batch, job.plan.view.grid
    for first in range(0, len(pictures), size):
        batch = pictures[first : first + size]
        padded = [*batch, *[batch[-1]] * (size - len(batch))]
        made, logits = grids.image_maps(
            job.plan, loop.stacked(padded), loop.labels(padded), job.cells, len(batch)
        )
        for i, picture in enumerate(batch):
            blind = {c: nulls.grid(c.method, picture.sample.image_id, side) for c in job.nulls}
            shown.append((picture, {c: grid[i] for c, grid in made.items()} | blind, logits[i]))
    return shown


def score(job: Measurement[Any, Any], shown: Sequence[Shown]) -> None:
    """Grade all cells of each picture, which forgets what an earlier round resized."""
    task = tasks.load(TASK)
    for picture, cells, logits in shown:
        anew = Picture(picture.sample, picture.pixels, picture.squashed)
        task.graded(anew, cells, logits, job.protocol)


def whole(job: Measurement[Any, Any]) -> None:
    """Decode, make maps, score and write records, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        there = replace(job, out=Path(folder))
        missing = there.lacking("records")
        with records.Writer(there.out / "records") as writer:
            graded = tasks.load(TASK).graded
            loop.measure(there, graded, job.samples, missing, writer, turns.nothing)


def measured(job: Measurement[Any, Any], rounds: int) -> Timing:
    """Seconds of the job's images by part; the parts' maps are held in memory.

    End to end with threads, and again with processes where the plan has any.
    """
    pictures = [loop.decode(sample, (job.plan.view.grid,)) for sample in job.samples]
    shown = maps(job, pictures)
    runs: dict[str, turns.Run] = {
        MAPS: lambda: maps(job, pictures),
        SCORING: lambda: score(job, shown),
        WHOLE: lambda: whole(replace(job, maps=replace(job.plan, processes=None))),
    }
    if job.plan.processes:
        runs[PROCESSES] = lambda: whole(job)
    seconds = turns.taken(runs, rounds, subjects.settling(job.plan.device))
    return Timing(seconds, dict.fromkeys(runs, len(pictures)), dict.fromkeys(runs, WHOLE))
