"""Measure how well maps mark the defects of defective images: Tables VII and VIII.

The network comes from `camx train defects`. Each cell gets its best threshold: that with the
highest mean IoU on the test images themselves, as in the paper, or on the training images
(--threshold-split train).

\b
camx defects                                               Tables VII and VIII on the miniature
camx defects --layer layer3 --sheet sheet.png              three methods at one layer, and pictures
camx defects --data DAGM2007 --weights results/train-defects/last.safetensors
camx defects --data mine.csv --weights W --layer 'layer3[-2]' --layer layer4+layer3
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from camx.evaluators import datasets, heatmaps, nulls, records, splits
from camx.evaluators.fields import BadOption, Checked, choice, path, text, whole
from camx.evaluators.grading import Picture, probabilities
from camx.evaluators.tasks import DEGENERATE, Metric
from camx.evaluators.tasks.defects import masks
from camx.evaluators.types import Cell, Dataset, MapProtocol, Sample

if TYPE_CHECKING:
    import pandas as pd

    from camx.evaluators.loop import Measurement

TITLE = "defect localization: Tables VII and VIII, FPS, contact sheets"
SOURCE = "LayerCAM paper, section III-C"
TASK = "defects"
TABLES = ("VII", "VIII")
NULLS = nulls.MAPS
METHODS = ("gradcam", "gradcampp", "layercam")  # Table VII's
LAYER = "layer3"
TRAINER = "train defects"
UNTIMED = "the timed iterations of FPS (--iterations)"
TIMING = "timing.parquet"
NEARLY_ALL = 90  # percent of the pixels


def _share(counts: np.ndarray) -> float:
    return 100 * float(counts[0] / counts[1])


def _average_precision(counts: np.ndarray) -> float:
    return 100 * masks.average_precision(counts)


def _rate(counts: np.ndarray) -> float:
    return float(counts[0] / counts[1])


METRICS = (
    Metric("mIoU", "mean IoU of an image at the threshold best on these images"),
    Metric("mIoU-train", "the same at the threshold best on the training images"),
    Metric("set IoU", "of all images' pixels together", counts=_share),
    Metric("set IoU-train", "the same at the training images' threshold", counts=_share),
    Metric("AP", "pixel average precision, of all images together", counts=_average_precision),
    Metric("AP-image", "pixel average precision, mean over images", shown=False),
    Metric(
        "threshold", "of the map's maximum, the best on these images",
        better="neither", interval=False,
    ),
    Metric("threshold-train", "the best on the training images", better="neither", interval=False),
    Metric(
        "marked", "mean share of an image that is marked at that threshold",
        better="neither", shown=False, interval=False,
    ),
    Metric("recognised", "defective images that the network calls so", interval=False),
    DEGENERATE,
    Metric("FPS", "one image at a time", "images/s", counts=_rate, interval=False),
    Metric("throughput", "batches", "images/s", counts=_rate, interval=False),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Protocol(MapProtocol):
    """How a map becomes masks (docs/protocol.md, section 3)."""

    interpolation: str = choice(
        *heatmaps.INTERPOLATIONS, help="how the uint8 map is resized to the image: linear or cubic"
    )
    thresholds: int = whole(
        1, 255,
        help="how many thresholds the search tries: 1/(n+1), 2/(n+1), ... of the map's maximum",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options(Checked):
    """What `camx defects` is told besides."""

    split: str = text(
        default="official",
        help="official, TRAIN/TEST drawn (--seed) such as 3550/400, or a folder with train.txt and "
        "test.txt.",
    )
    threshold_split: str = choice(
        "test", "train", default="test",
        help="train: also find the best threshold on the training images, the honest variant.",
    )  # fmt: skip
    iterations: int = whole(
        0, default=100, help="Timed iterations a cell, and at most so many batches; 0: none."
    )
    sheet: Path | None = path(default=None, help="Also draw image, truth and maps: FILE.png.")
    sheet_images: int = whole(1, default=6, help="Images of the sheet.")


@dataclass(frozen=True)
class Record:
    """One defective image's outcome in one cell: a row of ``records/``.

    `inside` and `outside` count the pixels of each of the map's 256 levels, on the true defect and
    off it: every threshold's IoU and the average precision come from them. `masks` are the map's
    masks, COCO run-length encoded (``counts`` of size ``[height, width]``), a list element a
    threshold of the protocol's grid. `score` is the network's probability that the image is
    defective. `degenerate` marks a map that is empty or constant.
    """

    image_id: str
    label: int
    method: str
    layer: str
    variant: str
    split: str
    score: float
    height: int
    width: int
    inside: tuple[int, ...]
    outside: tuple[int, ...]
    masks: tuple[str, ...]
    degenerate: bool


def read(data: str, options: Options, seed: int) -> Dataset[Sample]:
    """The data set under the split asked for."""
    dataset = datasets.load(data, TASK)
    try:
        return splits.apply(dataset, options.split, seed)
    except ValueError as error:
        raise BadOption(str(error)) from None


def parts(dataset: Dataset[Sample], options: Options) -> list[list[Sample]]:
    """The defective test images, and the training ones where the threshold is found on them.

    Raises `ValueError` if there are none, or one that would be measured has no mask.
    """
    lists = []
    for split in ("test", "train") if options.threshold_split == "train" else ("test",):
        marked = split == "train"  # training does without masks
        of_split = [s for s in dataset.samples if s.split == split and s.label == 1]
        defective = [s for s in of_split if s.mask or not marked]
        if not defective:
            what = f"no defective {split} image with a mask, so nothing to measure"
            raise ValueError(f"{dataset.root}: {what}")
        if unmarked := [s for s in defective if not s.mask]:
            what = f"a defective test image without a mask ({len(unmarked)} of them)"
            raise ValueError(f"{unmarked[0].path}: {what}; only training does without")
        lists.append(defective)
    return lists


def grade(
    picture: Picture, grids: dict[Cell, np.ndarray], logits: np.ndarray, protocol: Protocol
) -> list[Record]:
    """One record per cell: masks against the true mask; the probability is that of class 1."""
    defect = masks.truth(picture.sample, picture.size)
    return score(picture.sample, defect, grids, float(probabilities(logits)[1]), protocol)


def score(
    sample: Sample,
    defect: np.ndarray,
    grids: dict[Cell, np.ndarray],
    probability: float,
    protocol: Protocol,
) -> list[Record]:
    """One record per cell from its ``(g,g) uint8`` map; ``defect (H,W) bool`` is the truth."""
    height, width = defect.shape
    thresholds, rows = masks.grid(protocol.thresholds), []
    for cell, grid in grids.items():
        heatmap = heatmaps.on_image(grid, (width, height), protocol.interpolation)
        inside, outside = (tuple(counts.tolist()) for counts in masks.levels(heatmap, defect))
        encoded, empty = masks.encode(heatmap, thresholds), heatmaps.degenerate(grid)
        key = (sample.image_id, sample.label, *cell.key, sample.split, probability)
        rows.append(Record(*key, height, width, inside, outside, encoded, empty))
    return rows


def outcomes(run: Path) -> "list[pd.DataFrame]":
    """Per test image and cell: IoU in percent at the best threshold, counts, AP; and timings.

    The best threshold has the highest mean per-image IoU on the test images themselves, as in the
    paper, or, for the columns ``-train``, on the training images, where those were measured
    (``camx defects --threshold-split train``).
    """
    import pandas as pd

    columns = [*records.KEY, "split", "score", "inside", "outside", "degenerate"]
    frame, frames = records.read(run, columns), []
    if len(frame):
        thresholds = masks.grid(records.load(run).protocol["thresholds"])
        groups = frame.groupby(records.CELL, sort=False)
        cells = [cell for _, group in groups if len(cell := _cell(group, thresholds))]
        frames = [pd.concat(cells, ignore_index=True)] if cells else []
    if (run / TIMING).is_file():
        frames += _timings(pd.read_parquet(run / TIMING))
    return frames


def _cell(group: "pd.DataFrame", thresholds: np.ndarray) -> "pd.DataFrame":
    """One cell's outcomes on its test images."""
    test, train = (group[group["split"] == split] for split in ("test", "train"))
    if test.empty:
        return test
    counts, empty = _counts(test), test["degenerate"].to_numpy()
    frame = test[records.KEY].assign(degenerate=empty, recognised=test["score"].to_numpy() > 0.5)
    hit, union = masks.ious(*counts, thresholds)
    for suffix, part in (("", test), ("-train", train)):
        if len(part):
            at = masks.best(*_counts(part), thresholds)
            if not suffix:
                above = sum(masks.marked(part, thresholds[at : at + 1])[:, 0] for part in counts)
                frame["marked"] = 100 * above / sum(part.sum(1) for part in counts)
            frame[f"mIoU{suffix}"] = 100 * hit[:, at] / union[:, at]
            frame[f"set IoU{suffix}"] = list(np.stack([hit[:, at], union[:, at]], 1))
            frame[f"threshold{suffix}"] = 100 * thresholds[at]
    both = np.stack(counts, 1)
    return frame.assign(**{"AP": list(both), "AP-image": [_average_precision(c) for c in both]})


def _counts(group: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray]:
    return np.stack(group["inside"].to_list()), np.stack(group["outside"].to_list())


def _timings(frame: "pd.DataFrame") -> "list[pd.DataFrame]":
    """FPS of single images and throughput of batches: a row an iteration, images and seconds."""
    frames, single = [], frame["images"] == 1
    for metric, part in (("FPS", frame[single]), ("throughput", frame[~single])):
        if len(part):
            counts = list(part[["images", "seconds"]].to_numpy(float))
            columns = {"image_id": part["iteration"].astype(str), metric: counts}
            frames.append(part[records.CELL].assign(**columns))
    return frames


def begin(job: "Measurement[Protocol, Options]") -> list[str]:
    """Say so when the run beside the weights learned from another split of this data."""
    run = records.beside(job.weights)
    if not run or run.command != TRAINER or str(job.dataset.root) != run.dataset.get("root"):
        return []
    if run.fingerprint == job.dataset.fingerprint:
        return []
    what = f"learned from another split of {job.dataset.root}, perhaps from these test images"
    return [f"warning: {job.weights} {what}"]


def doubts(job: "Measurement[Protocol, Options]") -> list[str]:
    """Say so when the network does not tell defective test images from good ones."""
    from camx.evaluators.tasks.defects import classifier

    return classifier.doubts(job)


def finish(job: "Measurement[Protocol, Options]", progress: Any) -> Sequence[str]:
    """Time the cells that were not timed on this device before; draw the sheet."""
    from camx.evaluators.tasks.defects import sheet, timing

    if job.options.iterations:
        timing.clock(job, progress)
    lines = marking(job)
    if not job.options.sheet:
        return lines
    sheet.draw(job)
    return [*lines, f"sheet: {job.options.sheet}"]


def marking(job: "Measurement[Protocol, Options]") -> list[str]:
    """A line for each cell whose best threshold marks nearly the whole image."""
    (frame, *_) = outcomes(job.out)
    shares = frame.groupby(records.CELL)["marked"].mean()
    return [
        f"{cell}: its best threshold marks {shares[cell.key]:.0f} % of the image: "
        "no better than marking everything"
        for cell in job.cells
        if cell.key in shares and shares[cell.key] >= NEARLY_ALL
    ]
