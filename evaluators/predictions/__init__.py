"""Predictions: masks, boxes and scores of pictures whose truth nobody told.

A picture is done when its files are there and its row is recorded, so that a run killed at any
moment goes on with the pictures that are left, and ends with the same files.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from camx.evaluators import grading, grids, heatmaps, loop, parts, records
from camx.evaluators.files import listing, write_bytes, write_text
from camx.evaluators.loop import Measurement, Picture
from camx.evaluators.predictions import drawing
from camx.evaluators.predictions.inputs import UNKNOWN
from camx.evaluators.predictions.rules import Rule
from camx.evaluators.types import Cell, Sample

if TYPE_CHECKING:
    import pandas as pd

JPEG = [  # of an overlay, whose thin lines are told by their colour
    cv2.IMWRITE_JPEG_QUALITY, 90,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]  # fmt: skip
SCORES = "scores.csv"
COLUMNS = [
    "image", "class", "class_name", "probability", "area", "threshold", "x0", "y0", "x1", "y1",
    "width", "height",
]  # fmt: skip


@dataclass(frozen=True)
class Record:
    """What was predicted of a picture: a row of ``records/``.

    `label` is the class whose map it is, `probability` the network's. `area` is the share of the
    picture that is marked. The box has an exclusive end; zeros where nothing is marked. `path`,
    `bytes` and `modified` (nanoseconds) tell which file it was.
    """

    image_id: str
    label: int
    method: str
    layer: str
    variant: str
    probability: float
    area: float
    x0: int
    y0: int
    x1: int
    y1: int
    width: int
    height: int
    path: str
    bytes: int
    modified: int


@dataclass(frozen=True)
class Prediction:
    """What is predicted: the maps of the `job`'s one cell, made masks by the `rule`.

    A picture's label is the class whose map is made, `UNKNOWN` for the network's first choice.
    """

    job: Measurement[Any, None]
    rule: Rule
    overlays: bool = True
    maps: bool = False

    @property
    def cell(self) -> Cell:
        return self.job.cells[0]

    def files(self, image_id: str) -> dict[str, Path]:
        """The files of a picture that are asked for; no other picture's have these names."""
        asked = {"masks": ".png", "overlays": ".jpg" * self.overlays, "maps": ".png" * self.maps}
        return {
            kind: self.job.out / kind / f"{image_id}{suffix}"
            for kind, suffix in asked.items() if suffix
        }  # fmt: skip


def left(prediction: Prediction) -> list[Sample]:
    """The pictures that are not done, or have changed since.

    Raises `ValueError` where a row of that name is of another file: two would share one mask.
    """
    out, samples = prediction.job.out, []
    columns = ["image_id", "path", "bytes", "modified"]
    held = {row[0]: row[1:] for row in rows(out, columns).itertuples(index=False)}
    for sample in prediction.job.samples:
        path, *state = held.get(sample.image_id, ("", 0, 0))
        if state != _state(sample.path):
            if path not in ("", str(sample.path)):
                what = f"holds {sample.image_id} of {path}, not of {sample.path}"
                raise ValueError(f"{out} {what}; choose another folder: --out")
            samples.append(sample)
        elif not all(file.is_file() for file in prediction.files(sample.image_id).values()):
            samples.append(sample)
    return samples


def _state(path: Path) -> list[int]:
    """What tells a file from a changed one: size and time; of none nothing."""
    if not path.is_file():
        return []
    about = path.stat()
    return [about.st_size, about.st_mtime_ns]


def rows(out: Path, columns: list[str] | None = None) -> "pd.DataFrame":
    """The rows of a folder's pictures by their names, of each the last."""
    import pandas as pd

    paths = listing(out / "records", (".parquet",), "part")
    if not paths:
        return pd.DataFrame(columns=columns)
    frame = parts.joined(paths, columns, records.mark_of(out)).to_pandas()
    return frame.drop_duplicates("image_id", keep="last").sort_values("image_id", ignore_index=True)


def predict(
    prediction: Prediction,
    samples: Sequence[Sample],
    writer: records.Writer,
    tick: Callable[[], Any],
) -> None:
    """Write the files of each picture, and its row when they are there.

    Pictures pass through: of those that are decoded ahead, a batch and what the threads draw,
    none is kept.
    """
    job, plan = prediction.job, prediction.job.plan

    def make(batch: list[Picture], padded: list[Picture]) -> tuple[np.ndarray, Any, Any]:
        images, classes = loop.stacked(padded), loop.labels(padded)
        if UNKNOWN in classes:
            classes = grids.first_choices(plan, images)
        made, logits = grids.image_maps(plan, images, classes, job.cells, len(batch))
        return made[prediction.cell], logits, classes.tolist()

    def shown() -> Iterator[tuple[Picture, np.ndarray, np.ndarray]]:
        for batch, (made, logits, classes) in loop.made(job, samples, make, tick):
            for picture, grid, scores, label in zip(batch, made, logits, classes):
                sample = replace(picture.sample, label=label)
                yield replace(picture, sample=sample), grid, scores

    work = partial(_written, prediction)
    tried = job.skips.tried(work, lambda item: item[0].sample)
    with ThreadPoolExecutor(plan.workers) as writers:
        done = loop.ahead(writers, tried, shown(), 2 * plan.workers)
        for row in job.skips.sound(done, tick):
            writer.add([row])
            tick()


def _written(prediction: Prediction, item: tuple[Picture, np.ndarray, np.ndarray]) -> Record:
    """Write a picture's files; its row."""
    picture, grid, logits = item
    sample, cell, rule = picture.sample, prediction.cell, prediction.rule
    heatmap = heatmaps.on_image(grid, picture.size, rule.protocol.interpolation)
    mask = rule.mask(heatmap, cell, sample, picture.pixels)
    box = rule.box(mask)
    for kind, path in prediction.files(sample.image_id).items():
        if kind == "overlays":
            drawn = drawing.overlay(picture.pixels, heatmap, mask, box)
            _write(path, cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
        else:
            _write(path, 255 * mask if kind == "masks" else grid)
    probability = float(grading.probabilities(logits)[sample.label])
    key = (sample.image_id, sample.label, *cell.key, probability, float(mask.mean()))
    return Record(*key, *box, *picture.size, str(sample.path), *_state(sample.path))


def _write(path: Path, pixels: np.ndarray) -> None:
    """Write ``(H,W)`` or BGR ``(H,W,3) uint8`` in the format that the suffix says."""
    _, content = cv2.imencode(path.suffix, pixels, JPEG if path.suffix == ".jpg" else [])
    write_bytes(path, content.tobytes())


def summed(prediction: Prediction, names: Sequence[str]) -> "pd.DataFrame":
    """Write ``scores.csv``, a line a picture, and give it; `names` are those of the classes.

    Where nothing is marked there is no box.
    """
    frame = rows(prediction.job.out)
    named = [names[label] if label < len(names) else "" for label in frame["label"]]
    table = frame.rename(columns={"image_id": "image", "label": "class"})
    table = table.assign(class_name=named, threshold=prediction.rule.threshold)[COLUMNS]
    corners = table[["x0", "y0", "x1", "y1"]].astype("Int64")
    table = table.assign(**corners.mask(table["area"] == 0))
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_text(prediction.job.out / SCORES, text)
    return table
