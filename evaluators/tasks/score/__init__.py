"""Judge anybody's maps: camx as referee of methods whose code it never runs.

MAPS are folders of maps, one a method, named after its folder unless said as NAME=FOLDER: arrays
(.npy) as wsolevaluation writes them, <image's path>.npy, or grey PNGs of that name; or a folder
that `camx localize --save-maps` filled. Every measure that the data set's boxes or masks allow is
taken, with intervals and paired tests as of camx's own maps.

\b
camx score scoremaps --data dataset                        one method's maps
camx score mine=a/scoremaps theirs=b/scoremaps --data CUB  two, compared on the same images
camx score results/localize/maps                           what camx localize --save-maps wrote
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from camx.evaluators import fingerprints, heatmaps, measures, nulls, ranks, records, stopping
from camx.evaluators.fields import choice, text
from camx.evaluators.files import regular
from camx.evaluators.grading import Picture, judged
from camx.evaluators.tasks import DEGENERATE, Metric, localize
from camx.evaluators.tasks.localize import HIT, BoxProtocol, boxes, thresholds
from camx.evaluators.tasks.score import files
from camx.evaluators.types import Cell, Sample
from camx.evaluators.workers import ahead

if TYPE_CHECKING:
    import pandas as pd

    from camx.evaluators.grids import Missing
    from camx.evaluators.loop import Measurement, Tick

    Job = Measurement["Protocol", "Options"]

TITLE = "anybody's maps, judged by every measure"
SOURCE = "this project; score maps as clovaai/wsolevaluation exchanges them"
TASK = "localization"
NETWORK = False
NULLS = nulls.MAPS
METRICS = (
    Metric("gtknown", "the box is right: an IoU of at least 0.5 with a true one"),
    Metric("mean IoU", "of the box with the true one", shown=False),
    DEGENERATE,
    *measures.metrics(),
)
judges, others, identity = localize.judges, localize.others, localize.identity


@dataclass(frozen=True, kw_only=True)
class Protocol(BoxProtocol):
    """How a map becomes a box, and a box right (docs/protocol.md, section 1)."""

    normalisation: str = choice(
        "max", "minmax", default="max",
        help="of arrays, before they become boxes at one threshold: divided by the maximum, or "
        "stretched from the minimum; of PNGs neither",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options(localize.Options):
    """What `camx score` is told besides."""

    maps: tuple[str, ...] = text(many="scoremaps", argument="MAPS", help="Folders of maps.")
    measures: tuple[str, ...] = text(
        many="pxap", default=(measures.ALL,), option="--measure", metavar="MEASURE",
        names="measures", help="Only by this measure; repeats.",
    )  # fmt: skip


@dataclass(frozen=True)
class Record:
    """One image's box by one method: a row of ``records/``; as that of `localize`."""

    image_id: str
    label: int
    method: str
    layer: str
    variant: str
    x0: int
    y0: int
    x1: int
    y1: int
    iou: float
    degenerate: bool


def cells(_maps: Sequence[Cell], options: Options, _protocol: Protocol) -> list[Cell]:
    """One a folder, or those that a folder of `localize` holds."""
    return list(files.sources(options.maps))


def canonical(cell: Cell) -> Cell:
    """The cell as records name it: a folder's, or that of a map of camx's."""
    return cell.canonical() if cell.layers else cell


def versions(job: "Job") -> dict[str, str]:
    """A digest of the first image's map: other maps under the same name are another method."""
    first, places = job.samples[0], files.sources(job.options.maps)
    paths = {cell: places[cell].file(job.dataset, first) for cell in job.cells}
    return {str(c): fingerprints.contents([path]) for c, path in paths.items() if path}


def loop(
    job: "Job", samples: Sequence[Sample], missing: "Missing", writer: records.Writer, tick: "Tick"
) -> None:
    """Judge each image's maps, some images at once."""
    unmeasured, places = job.unmeasured(), files.sources(job.options.maps)
    kinds = [missing, *unmeasured.values()]

    def work(sample: Sample) -> Any:
        picture = _picture(sample)
        wanted = set().union(*(kind.get(sample.image_id, set()) for kind in kinds))
        given = {cell: nulls.grid(cell.method, sample.image_id, 224) for cell in job.nulls}
        given |= {cell: places[cell].read(job.dataset, sample) for cell in job.cells}
        given = {cell: given[cell] for cell in given if cell in wanted}
        rows = [
            _record(picture, cell, shown, job.protocol)
            for cell, shown in given.items()
            if cell in missing.get(sample.image_id, ())
        ]
        kinds_of = {k: frozenset(of.get(sample.image_id, ())) for k, of in unmeasured.items()}
        return rows, judged(job.measures, picture, given, kinds_of, job.protocol)

    tried, count = job.skips.tried(work, lambda sample: sample), ranks.world().cores
    with ThreadPoolExecutor(count) as pool:
        results = ahead(pool, tried, stopping.until_asked(samples), 4 * count)
        for rows, further in job.skips.sound(results, tick):
            writer.add(rows, further)
            tick()


def _picture(sample: Sample) -> "Picture":
    """The image's size and boxes: its pixels, which nothing here looks at, are not decoded."""
    regular(sample.path, "image")
    try:
        with Image.open(sample.path) as image:
            size = image.size
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise ValueError(f"{sample.path}: not a readable image: {error}") from error
    return Picture(sample.within(size), np.broadcast_to(np.uint8(0), (*size[::-1], 3)), ())


def _record(picture: "Picture", cell: Cell, given: np.ndarray, protocol: Protocol) -> Record:
    sample = picture.sample
    grid = given if given.dtype == np.uint8 else _bytes(given, protocol.normalisation)
    heatmap = picture.map(grid, protocol.interpolation).on_image
    box = boxes.box(heatmaps.foreground(heatmap, protocol.threshold), protocol.box)
    iou = boxes.iou(box, sample.boxes, protocol.iou)
    empty = heatmaps.degenerate(given)
    return Record(sample.image_id, sample.label, *cell.key, *box, iou, empty)


def _bytes(given: np.ndarray, form: str) -> np.ndarray:
    """An array as camx's own maps become 8 bits: normalised, times 255, cut off."""
    values = given.clip(0) if form == "max" else given - given.min()
    return (255 * (values / (values.max() + 1e-8))).astype(np.uint8)


def outcomes(run: Path) -> "list[pd.DataFrame]":
    """Per image and cell: whether the box is right, its IoU, and what the measures say."""
    frame = records.read(run)
    if frame.empty:
        return []
    columns = {
        "gtknown": frame["iou"] >= HIT,
        "mean IoU": 100 * frame["iou"],
        "degenerate": frame["degenerate"],
    }
    return [frame[records.KEY].assign(**columns), *measures.outcomes(run)]


def finish(job: "Job", _progress: Any) -> list[str]:
    """The thresholds of measures that have any."""
    return thresholds.told(job.out, job.measures)
