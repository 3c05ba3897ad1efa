"""Measure masks against the true ones: mIoU of one confusion matrix over all images.

Pixels of index 255 do not count. The masks are camx's (`camx segment predict`) or anybody's.

\b
camx segment evaluate --masks results/segment-predict/masks                Tables IX and X
camx segment evaluate --masks DIR --name DGCN-LayerCAM --data VOCdevkit    Table XI
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from tabulate import tabulate

from camx.camcore import variants
from camx.evaluators import confusion, datasets, fingerprints, nulls, records, stopping, voc_masks
from camx.evaluators.fields import Checked, flag, path, text
from camx.evaluators.files import listing
from camx.evaluators.tasks import Metric
from camx.evaluators.types import Cell, Dataset, Protocol, Scene

if TYPE_CHECKING:
    import pandas as pd

    from camx.evaluators.grids import Missing
    from camx.evaluators.loop import Measurement, Tick

    Job: TypeAlias = "Measurement[Protocol, Options]"

TITLE = "segmentation networks trained on pseudo labels, measured: Tables IX to XI"
SOURCE = "LayerCAM paper, section III-D"
TASK = "segmentation"
TABLES = ("IX", "X", "XI")
NULLS = (nulls.BACKGROUND,)
NETWORK = False
OUT = "segment-evaluate"
KINDS = {"mIoU": "records", "mIoU-crf": "records-crf"}
PLAIN = ("deeplab-vgg16", "mini-largefov")  # the paper's network and its miniature
METRICS = (
    Metric("mIoU", "predicted masks, the background a class", counts=confusion.mean),
    Metric("mIoU-crf", "the same after the dense CRF", counts=confusion.mean),
)


@dataclass(frozen=True, kw_only=True)
class Options(Checked):
    """What `camx segment evaluate` is told besides."""

    masks: Path = path(help="Folder of masks <image>.png, camx's or anybody's.")
    crf: bool = flag(help="The masks are of a CRF: they fill the table's CRF line.")
    mask_name: str = text(
        default="", option="--name",
        help="What to call them in a table, such as DGCN-LayerCAM.  [default: what made them]",
    )  # fmt: skip
    split: str = text(default="val", help="List of images.")

    @property
    def metric(self) -> str:
        return "mIoU-crf" if self.crf else "mIoU"


@dataclass(frozen=True)
class Record:
    """One image's predicted mask against the true one: a row of ``records/``, or ``records-crf/``.

    `method`, `layer` and `variant` are of the pseudo labels that trained the network (a network
    other than the paper's VGG16 is named in the variant), or the name given to somebody's masks.
    `confusion` is sparse: true, predicted, pixels, ...
    """

    image_id: str
    method: str
    layer: str
    variant: str
    classes: int
    confusion: tuple[int, ...]


def canonical(cell: Cell) -> Cell:
    """The cell as records name it: that of pseudo labels, or a name of somebody's masks."""
    scaling = variants.canonical(cell.layer, cell.scaling) if cell.layers else cell.scaling
    return replace(cell, scaling=scaling)


def cell_of(folder: Path, name: str = "") -> Cell:
    """The cell of a folder of masks: that of the labels behind it, `name`, or the folder's."""
    about = voc_masks.about(folder)
    if name or not {"method", "layer", "variant"} <= set(about):
        return Cell(name or folder.resolve().name)
    network = str(about.get("network", ""))
    cell = Cell.of(about["method"], about["layer"], about["variant"])
    return replace(cell, network="" if network in PLAIN else network)


def read(data: str, options: Options, _seed: int) -> Dataset[Scene]:
    """The images of the split asked for."""
    if not options.masks.is_dir():
        raise FileNotFoundError(f"{options.masks}: no such folder of masks")
    return datasets.load(data, TASK, options.split)


def cells(_maps: Sequence[Cell], options: Options, _protocol: Protocol) -> list[Cell]:
    """The one cell that a folder of masks is of."""
    return [cell_of(options.masks, options.mask_name)]


def versions(job: "Job") -> dict[str, str]:
    """Several networks' masks may share a folder of records; each in one version."""
    (cell,) = job.cells
    masks = listing(job.options.masks, (".png",), "mask")
    name = f"CRF {cell}" if job.options.crf else str(cell)
    return {name: fingerprints.contents(masks)}


def folder(options: Options) -> str:
    """The records' folder: those of a CRF's masks have one of their own."""
    return KINDS[options.metric]


def shown(options: Options) -> list[str]:
    """The metric printed after a run."""
    return [options.metric]


def loop(
    job: "Job", samples: Sequence[Scene], missing: "Missing", writer: records.Writer, tick: "Tick"
) -> None:
    """Compare each scene's mask in a folder with the true one; see `compared`."""
    compare = job.skips.tried(partial(compared, job), lambda scene: scene)
    for rows in job.skips.sound(map(compare, stopping.until_asked(samples)), tick):
        keys = ((r, Cell.of(r.method, r.layer, r.variant)) for r in rows)
        writer.add([r for r, cell in keys if cell in missing[r.image_id]])
        tick()


def compared(job: "Job", scene: Scene) -> list[Record]:
    """A scene's records, its nulls' too. `FileNotFoundError` or `ValueError` naming the image."""
    (cell,), classes = job.cells, len(job.dataset.classes)
    mask = voc_masks.of_image(job.options.masks, scene.image_id)
    if mask is None:
        place = job.options.masks / f"{scene.image_id}.png"
        raise FileNotFoundError(f"{place}: missing; every image needs a mask")
    if scene.mask is None:
        raise ValueError(f"{scene.path}: no true mask to compare with; choose another --split")
    truth, predicted = (voc_masks.read_mask(p, classes) for p in (scene.mask, mask))
    try:
        counts = confusion.confusion(truth, predicted, classes + 1)
    except ValueError as error:
        raise ValueError(f"{scene.image_id}: {error}") from None
    blank = confusion.confusion(truth, np.zeros_like(truth), classes + 1)
    rows = {cell: counts} | dict.fromkeys(job.nulls, blank)
    return [Record(scene.image_id, *c.key, classes, confusion.sparse(rows[c])) for c in rows]


def outcomes(run: Path) -> "list[pd.DataFrame]":
    """Per image: intersections and unions by class ``(2,classes+1)``, without and with the CRF."""
    frames = []
    for metric, kind in KINDS.items():
        frame = records.read(run, kind=kind)
        if len(frame):
            classes = int(frame["classes"].max()) + 1
            overlaps = confusion.sparse_overlaps(frame["confusion"].to_list(), classes)
            frames.append(frame[records.KEY].assign(**{metric: list(overlaps)}))
    return frames


def finish(job: "Job", _progress: Any) -> list[str]:
    """Each class's IoU."""
    (cell,), metric = job.cells, job.options.metric
    frame = next(frame for frame in outcomes(job.out) if metric in frame)
    classes = ("background", *job.dataset.classes)
    ious = confusion.ious(frame.set_index(records.CELL).loc[[cell.key], metric].sum())
    rows = [(name, f"{100 * iou:.2f}") for name, iou in zip(classes, ious)]
    return [tabulate(rows, ("class", "IoU"), disable_numparse=True, colalign=("left", "right"))]
