"""What computing otherwise does to the numbers: maps and boxes beside those of the default."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from camx.camcore.suggestions import near
from camx.evaluators import datasets, grids, loop, plan
from camx.evaluators.bench import pipeline, subjects, turns
from camx.evaluators.bench.turns import Timing
from camx.evaluators.fields import of
from camx.evaluators.loop import Measurement, Picture
from camx.evaluators.tasks import localize
from camx.evaluators.tasks.localize import boxes
from camx.evaluators.types import Cell, MapProtocol

if TYPE_CHECKING:
    import pandas as pd

DEFAULT, LAST = "default", "channels-last"
ON_CPU = (LAST, "bf16", f"bf16+{LAST}")
ON_CUDA = (LAST, "tf32", f"tf32+{LAST}", "bf16", f"bf16+{LAST}", "fp16", f"fp16+{LAST}")
LEVEL = 1  # grey levels that a pixel may move by and count as the same
Jobs = Mapping[str, Measurement[Any, Any]]  # by how they compute


def fields(computing: str) -> dict[str, Any]:
    """A protocol's fields of a name such as ``bf16+channels-last``. `ValueError` for no such."""
    given: dict[str, Any] = {}
    precisions = of(MapProtocol)["precision"].choices
    for word in computing.split("+"):
        if word == LAST:
            given["channels_last"] = True
        elif word in precisions and "precision" not in given:
            given["precision"] = word
        else:
            accepted = ", ".join((LAST, *precisions))
            what = f"{computing!r}; accepted: {accepted}, or two, as bf16+{LAST}"
            raise ValueError(f"unknown computing {what}{near(word, (LAST, *precisions))}")
    return given


def jobs(
    data: str, model: str, weights: str | None, how: localize.Protocol, limit: int, batch: int,
    workers: int, computing: Sequence[str], seed: int, device: str,
) -> Jobs:  # fmt: skip
    """The measurements of the first `limit` images by default, and computed otherwise.

    Of the methods that `camx bench engine` times, at all layers. `computing` are names (`fields`);
    without any, all that the device has.
    """
    dataset = datasets.load(data, "localization")
    network = pipeline.network(model, weights, dataset, device, seed)
    cells = tuple(Cell(method, (layer,)) for layer in network.layers for method in plan.METHODS)
    usual = ON_CUDA if device.startswith("cuda") else ON_CPU

    def job(changed: Mapping[str, Any]) -> Measurement[Any, Any]:
        protocol = replace(how, precision="float32", channels_last=False)
        protocol = replace(protocol, **changed)
        making = grids.plan(network, protocol, cells, (), device, batch, workers)
        samples = dataset.samples[:limit]
        return Measurement(
            Path(), dataset, samples, cells, protocol, localize.Options(), seed, making
        )

    return {DEFAULT: job({}), **{name: job(fields(name)) for name in computing or usual}}


def rows(each: Jobs) -> Iterator[dict[str, Any]]:
    """What each job's maps and boxes are beside the default's: one for an image and a cell.

    pixels: the share that moved by more than `LEVEL`. box: whether it is another. overlap: the
    boxes' IoU. hit and default: whether the box is right, and was. first: whether the network's
    first choice is another. Shares are of one.
    """
    base = each[DEFAULT]
    for batch in loop.batches(base, base.samples, turns.nothing):
        shown = {name: pipeline.maps(job, batch) for name, job in each.items()}
        graded = {
            name: [localize.grade(p, cells, logits, base.protocol) for p, cells, logits in of_job]
            for name, of_job in shown.items()
        }
        for name in [*each][1:]:
            for at, picture in enumerate(batch):
                maps, before = shown[name][at][1], shown[DEFAULT][at][1]
                records = zip(graded[DEFAULT][at], graded[name][at])
                for cell, (was, now) in zip(base.cells, records):
                    yield {
                        "computing": name, "image_id": picture.sample.image_id,
                        "method": cell.method, "layer": cell.layer,
                        "pixels": moved(before[cell], maps[cell]), **told(was, now),
                    }  # fmt: skip


def moved(before: np.ndarray, after: np.ndarray) -> float:
    """The share of the pixels of ``(g,g) uint8`` that moved by more than `LEVEL` grey levels."""
    return float((np.abs(before.astype(int) - after) > LEVEL).mean())


def told(was: localize.Record, now: localize.Record) -> dict[str, Any]:
    """What became of a box, and of the network's first choice."""
    box, other = ((r.x0, r.y0, r.x1, r.y1) for r in (was, now))
    return {
        "box": box != other, "overlap": boxes.iou(other, [box], "exact"),
        "default": was.iou >= localize.HIT, "hit": now.iou >= localize.HIT,
        "first": was.top5[0] != now.top5[0],
    }  # fmt: skip


def effects(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The means of `rows` by computing and layer, in the order of the rows, in percent."""
    means = ["pixels", "box", "overlap", "default", "hit", "first"]
    grouped = frame.groupby(["computing", "layer"], sort=False)[means]
    return 100 * grouped.mean()


def measured(each: Jobs, rounds: int, pictures: Sequence[Picture]) -> Timing:
    """Seconds of a batch's maps, by how they are computed; the jobs alternate."""
    runs = {name: partial(pipeline.maps, job, pictures) for name, job in each.items()}
    seconds = turns.taken(runs, rounds, subjects.settling(each[DEFAULT].plan.device))
    return Timing(seconds, dict.fromkeys(runs, len(pictures)), dict.fromkeys(runs, DEFAULT))
