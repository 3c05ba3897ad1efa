"""Where methods disagree or fail: a sample of a run's images, each method's map and box."""

import io
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from camx.camcore import plugins
from camx.camcore.image_files import read_image
from camx.evaluators import explanations, records
from camx.evaluators.grids import Plan
from camx.evaluators.pictures import overlay
from camx.evaluators.report import graphs
from camx.evaluators.report.graphs import titled
from camx.evaluators.results.runs import Measured
from camx.evaluators.tasks import localize
from camx.evaluators.types import Box, Cell, Dataset, Sample

METHODS = 5  # shown of a run
SIDE = 168  # pixels of a picture's longer side
QUALITY = 78  # of JPEG
AGREED, SPLIT, MISSED = "all find it", "they disagree", "none finds it"


@dataclass(frozen=True)
class Shot:
    """One map over an image: its cell, its box and its IoU; the image alone without a cell."""

    title: str
    source: str  # a data URI
    box: Box | None = None
    iou: float | None = None
    method: str = ""
    empty: bool = False

    @property
    def hit(self) -> bool:
        return self.iou is not None and self.iou >= localize.HIT


@dataclass(frozen=True)
class Item:
    """An image of the gallery: what it shows, whether methods find it, and its shots."""

    image_id: str
    name: str  # of the class
    answer: str  # the network's first choice
    right: bool
    outcome: str
    size: tuple[int, int]
    truths: tuple[Box, ...]
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class Gallery:
    """A sample of a run's images; `counts` says how many of all have each outcome."""

    title: str
    note: str
    cells: Mapping[str, str]  # the method's name, and what its cell is called
    items: tuple[Item, ...]
    counts: dict[str, int]

    @property
    def names(self) -> list[str]:
        """The classes shown."""
        return sorted({item.name for item in self.items})


def outcomes(frame: pd.DataFrame, cells: Sequence[Cell]) -> pd.Series:
    """By image that has all `cells`, whether all, some or none of their boxes are right."""
    keys = pd.MultiIndex.from_frame(frame[records.CELL])
    held = frame[keys.isin([cell.key for cell in cells])]
    hits = held.assign(hit=held["iou"] >= localize.HIT).groupby("image_id")["hit"]
    counts = hits.agg(["sum", "count"])
    counts = counts[counts["count"] == len(cells)]
    share = counts["sum"] / counts["count"]
    return share.map(lambda s: AGREED if s == 1 else MISSED if s == 0 else SPLIT)


def sampled(outcomes: pd.Series, count: int, seed: int = 0) -> list[str]:
    """At most `count` images: half where methods disagree, a quarter none finds, and others."""
    rng = np.random.default_rng(seed)
    shuffled = {
        outcome: [str(i) for i in rng.permutation(outcomes.index[outcomes == outcome])]
        for outcome in (SPLIT, MISSED, AGREED)
    }
    wanted = {SPLIT: count // 2, MISSED: count // 4, AGREED: count - count // 2 - count // 4}
    taken = [image for outcome, n in wanted.items() for image in shuffled[outcome][:n]]
    rest = [i for outcome, n in wanted.items() for i in shuffled[outcome][n:]]
    return taken + rest[: count - len(taken)]


def cells(measured: Measured) -> list[Cell]:
    """What the gallery shows: each method at its best layer.

    None of a user's file: that a ``run.json`` names code is no reason to run it.
    """
    shipped = plugins.names("camx.camcore.methods")
    best = graphs.best_cells(measured, "gtknown", len(measured.cells))
    return [cell for cell in best if cell.method in shipped][:METHODS]


def gallery(
    measured: Measured,
    dataset: Dataset[Any],
    plan: Plan,
    count: int,
    seed: int = 0,
    tick: Callable[[], Any] = lambda: None,
) -> Gallery | None:
    """Draw `count` of the run's images, with the cells of the `plan`. None without any."""
    if not plan.cells or not count:
        return None
    cells = plan.cells
    frame, titles = records.read(measured.folder), titled(cells)
    by_image = outcomes(frame, cells)
    wanted = sampled(by_image, count, seed)
    samples = {sample.image_id: sample for sample in dataset.samples}
    names = explanations.names_of(plan.network)
    rows = dict(iter(frame[frame["image_id"].isin(wanted)].groupby("image_id")))
    items = []
    for image in wanted:
        items.append(_item(plan, samples[image], rows[image], titles, names, str(by_image[image])))
        tick()
    counts = {o: int((by_image == o).sum()) for o in (SPLIT, MISSED, AGREED)}
    of = "all" if len(items) == len(by_image) else f"a sample of {len(items)} of"
    note = f"{measured.run.about()}; {of} {len(by_image)} images, each method at its best layer"
    called = {cell.method: title for cell, title in titles.items()}
    return Gallery("Where methods disagree or fail", note, called, tuple(items), counts)


def _item(
    plan: Plan,
    sample: Sample,
    rows: pd.DataFrame,
    titles: Mapping[Cell, str],
    names: Sequence[str],
    outcome: str,
) -> Item:
    """One image drawn; boxes and IoUs are those recorded."""
    picture = read_image(sample.path)  # as it is measured, not turned as its EXIF says
    seen = explanations.explained(plan, picture, sample.label, names)
    answer = int(rows["top5"].iloc[0][0])
    by_key = {tuple(row[k] for k in records.CELL): row for row in rows.to_dict("records")}
    shots = [Shot("image", _data(seen.pixels))]
    for cell, title in titles.items():
        row = by_key[cell.key]
        drawn = overlay(seen.pixels, seen.maps[cell.method, cell.layer])
        x0, y0, x1, y1 = (int(row[end]) for end in ("x0", "y0", "x1", "y1"))
        told = float(row["iou"]), cell.method, bool(row["degenerate"])
        shots.append(Shot(title, _data(drawn), (x0, y0, x1, y1), *told))
    return Item(
        sample.image_id, seen.name(sample.label), seen.name(answer), answer == sample.label,
        outcome, seen.size, sample.within(seen.size).boxes, tuple(shots),
    )  # fmt: skip


def _data(pixels: np.ndarray) -> str:
    """A picture made small, as a data URI."""
    scale = min(1.0, SIDE / max(pixels.shape[:2]))
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    file = io.BytesIO()
    Image.fromarray(small).save(file, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + b64encode(file.getvalue()).decode("ascii")
