"""What the measures cost: localization with all of them against localization without any.

    python scripts/bench_measures.py                         mini-vgg, protocols single and paper
    python scripts/bench_measures.py --model vgg16 --images 10 --protocol single

Weights of torchvision's networks are random: they cost what any cost. Runs alternate in one
process; printed are medians of the seconds an image, their ratio, and the bytes of records a cell.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
import torchvision
from safetensors.torch import save_file

from camx.camcore import networks
from camx.evaluators import datasets, grids, loop, measures, plan, protocols, records, tasks
from camx.evaluators.loop import Measurement
from camx.evaluators.tasks import localize
from camx.evaluators.types import Cell


def prepared(model: str, protocol_name: str, images: int, folder: Path) -> Measurement:
    """The measurement of every cell of the network's tables, or of each method and layer."""
    task, dataset = tasks.load("localize"), datasets.load("mini")
    protocol = protocols.load(protocol_name, "localize", localize.Protocol)
    network = networks.load(model, weights(model, folder))
    cells, _ = plan.asked(task, network, "", plan.Selection())
    cores = os.cpu_count() or 1
    making = grids.plan(network, protocol, cells, batch_size=20, workers=cores)
    samples = dataset.samples[:images]
    return Measurement(
        folder, dataset, samples, tuple(cells), protocol, localize.Options(), 0, making,
        nulls=tuple(map(Cell, task.nulls)),
    )  # fmt: skip


def weights(model: str, folder: Path) -> str | None:
    """A file of random weights of a network of torchvision's; None for one that has its own."""
    if model.startswith(("mini", "efficientnet-lite0")):
        return None
    path = folder / f"{model}.safetensors"
    torch.manual_seed(0)
    save_file(getattr(torchvision.models, model)().state_dict(), path)
    return str(path)


def seconds(job: Measurement) -> tuple[float, int]:
    """Of one run of the job into an empty folder, and the bytes of its records."""
    with tempfile.TemporaryDirectory() as folder:
        there = replace(job, out=Path(folder))
        missing = there.lacking("records")
        begun = time.perf_counter()
        with records.Writer(there.out / "records") as writer:
            loop.measure(
                there, tasks.load("localize").graded, job.samples, missing, writer, nothing
            )
        taken = time.perf_counter() - begun
        size = sum(path.stat().st_size for path in there.out.rglob("*.parquet"))
    return taken, size


def nothing(*_arguments: object) -> None:
    """No progress."""


def compared(job: Measurement, rounds: int) -> dict[str, float]:
    """Medians of alternating runs without and with every measure."""
    full = replace(job, measures=measures.asked(("all",), masked=False))
    seconds(replace(full, samples=full.samples[:4]))  # compiles, and warms up
    taken: dict[bool, list[float]] = {False: [], True: []}
    sizes = {}
    for _ in range(rounds):
        for every, each in ((False, job), (True, full)):
            time_of, sizes[every] = seconds(each)
            taken[every].append(time_of)
    without, within = (statistics.median(taken[every]) for every in (False, True))
    cells = len(job.samples) * (len(job.cells) + len(job.nulls))
    return {
        "s an image": without / len(job.samples), "with all": within / len(job.samples),
        "speed": without / within, "bytes a cell": sizes[False] / cells,
        "with all ": sizes[True] / cells,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini-vgg")
    parser.add_argument("--protocol", action="append", help="repeats; default single and paper")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(os.cpu_count() or 1)
    rows = {}
    for name in asked.protocol or ("single", "paper"):
        with tempfile.TemporaryDirectory() as folder:
            job = prepared(asked.model, name, asked.images, Path(folder))
            rows[f"{asked.model} {name}"] = compared(job, asked.rounds)
    print(pd.DataFrame(rows).T.round(3).to_string())


if __name__ == "__main__":
    main()
