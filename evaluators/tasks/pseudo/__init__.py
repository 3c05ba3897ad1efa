"""Turn each image's maps of its classes into a segmentation label (eq. 10), and measure it.

Labels are palette PNGs, OUT/labels/<method>_<layer>/<image>.png, which `camx segment train
--labels` reads. Where an image has a true mask, the maps thresholded at 0.2 (Table XIII) and the
pseudo label are compared with it.

\b
camx pseudo                                                  Table XIII on the miniature
camx pseudo --method layercam --layer S5+S4+S3+S2            the paper's best labels
camx pseudo --data VOCdevkit --weights results/train-voc/last.safetensors --superpixels folder/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from camx.evaluators import confusion, datasets, heatmaps, nulls, records
from camx.evaluators.fields import Checked, choice, flag, number, path, text, whole
from camx.evaluators.tasks import DEGENERATE, Metric
from camx.evaluators.tasks.pseudo import labels, superpixels
from camx.evaluators.types import Cell, Dataset, MapProtocol, Scene

if TYPE_CHECKING:
    import pandas as pd

    from camx.evaluators.grids import Missing
    from camx.evaluators.loop import Measurement, Tick

    Job: TypeAlias = "Measurement[Protocol, Options]"

TITLE = "segmentation labels from maps: Table XIII, seeds for DGCN"
SOURCE = "LayerCAM paper, sections III-D (eq. 10) and III-E"
TASK = "segmentation"
TABLES = ("XIII",)
NULLS = nulls.MAPS
METHODS = ("layercam", "layercam-normal")  # Table XIII's
LAYER = "S5"
TRAINER = "train voc"
METRICS = (
    Metric("mIoU", "maps above the hard threshold, the background a class", counts=confusion.mean),
    Metric("mIoU-20", "maps above the hard threshold, class by class", counts=confusion.mean),
    Metric("mIoU-pseudo", "the pseudo labels (eq. 10)", counts=confusion.mean),
    DEGENERATE,
)
Counts = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Protocol(MapProtocol):
    """How maps become labels (docs/protocol.md, section 4, "Pseudo labels")."""

    interpolation: str = choice(
        *heatmaps.INTERPOLATIONS, help="how the uint8 map is resized to the image: linear or cubic"
    )
    threshold: float = number(
        0, 1, below=True,
        help="eq. 10: share of 1 below which a superpixel's best class is background",
    )  # fmt: skip
    hard_threshold: float = number(
        0, 1, below=True,
        help="of Table XIII: share of the map's maximum above which a pixel is marked",
    )  # fmt: skip
    superpixels: str = text(
        help="slic; none, each pixel for itself; or a folder of maps <image>.png, .npy or .mat"
    )
    segments: int = whole(1, 10**6, help="about how many superpixels SLIC makes")
    compactness: float = number(0, 10**6, above=True, help="SLIC's nearness against colour")
    flip: bool = flag(help="average the mirrored image's maps in; the paper names none")
    scales: tuple[float, ...] = number(
        0.1, 8, many="[0.5, 1.0]", option="--scale",
        help="sizes of the input whose maps are averaged; the paper names none",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.scales:
            raise ValueError("scales is (); accepted: numbers from 0.1 to 8, such as [0.5, 1.0]")


@dataclass(frozen=True, kw_only=True)
class Options(Checked):
    """What `camx pseudo` is told besides."""

    split: str = text(default="train_aug", help="List of images: train_aug, train, val, ...")
    export: str | None = choice(
        "dgcn-cues", default=None,
        help="Also write seeds for DGCN: OUT/<cell>.pickle (one cell; --input-list).",
    )  # fmt: skip
    input_list: Path | None = path(default=None, help="DGCN's input_list.txt, with its numbers.")


@dataclass(frozen=True)
class Record:
    """One image's outcome in one cell: a row of ``records/``.

    `labels` are the class indices in the image, of `classes` in the data set. `confusion` is the
    pseudo label's confusion matrix with the true mask, `argmax` that of Table XIII's form with a
    constant background; row and column 0 are the background, k + 1 class k, and only what is not
    zero is kept: true, predicted, pixels, true, ... (`confusion.sparse`). `intersections` and
    `unions` are pixels of each label's thresholded map with its mask, in the order of `labels`. All
    four are empty without a true mask. `degenerate` marks a map that is empty or constant.
    """

    image_id: str
    method: str
    layer: str
    variant: str
    labels: tuple[int, ...]
    classes: int
    confusion: tuple[int, ...]
    argmax: tuple[int, ...]
    intersections: tuple[int, ...]
    unions: tuple[int, ...]
    degenerate: bool


def read(data: str, options: Options, _seed: int) -> Dataset[Scene]:
    """The images of the split asked for."""
    return datasets.load(data, TASK, options.split)


def cells(maps: Sequence[Cell], options: Options, protocol: Protocol) -> list[Cell]:
    """The cells, if labels can be made of them, and seeds where they are asked for."""
    if protocol.view != "resize" or protocol.style:
        what = "pseudo labels are made of one view, resize, and in no other package's style"
        raise ValueError(f"{what}; use --scale and --flip")
    if options.export and (len(maps) != 1 or not options.input_list):
        raise ValueError("--export dgcn-cues needs one cell (--method, --layer) and --input-list")
    return list(maps)


def identity(job: "Job") -> dict[str, Any]:
    """A folder's superpixels determine the labels."""
    folder = Path(job.protocol.superpixels)
    if not folder.is_dir():
        return {}
    return {"superpixels": {"fingerprint": superpixels.fingerprint(folder)}}


def score(
    scene: Scene,
    maps: Mapping[Cell, np.ndarray],
    pseudo: Mapping[Cell, np.ndarray],
    truth: np.ndarray | None,
    classes: int,
    protocol: Protocol,
) -> list[Record]:
    """One record per cell from its maps ``(K,H,W) uint8``, in the order of the scene's labels.

    `pseudo` are the cells' pseudo labels ``(H,W) uint8`` (`labels.assign`). ``truth (H,W) uint8``
    is the true mask, or None; without it a record says only that the image was done. Raises
    `ValueError` naming the image.
    """
    where, threshold = scene.mask or scene.path, protocol.hard_threshold
    for label in scene.labels:
        if not 0 <= label < classes:
            accepted = f"accepted: 0 to {classes - 1}"
            raise ValueError(f"{where}: class {label} is none of the data set's; {accepted}")
    rows = []
    for cell, stack in maps.items():
        counts: tuple[Counts, Counts, Counts, Counts] = (), (), (), ()
        if truth is not None:
            given = stack, scene.labels, truth, classes, threshold
            try:
                matrix = confusion.confusion(truth, pseudo[cell], classes + 1)
                constant, hard = labels.argmax_confusion(*given), labels.hard_counts(*given)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from None
            both, either = map(tuple, hard[:, list(scene.labels)].tolist())
            counts = confusion.sparse(matrix), confusion.sparse(constant), both, either
        empty = any(heatmaps.degenerate(m) for m in stack)
        rows.append(Record(scene.image_id, *cell.key, tuple(scene.labels), classes, *counts, empty))
    return rows


def outcomes(run: Path) -> "list[pd.DataFrame]":
    """Per image and cell: intersections and unions by class for each mIoU; missing without a mask.

    mIoU is Table XIII's form with the background as a class (`labels.argmax_confusion`), mIoU-20
    its class-wise form (`labels.hard_counts`), mIoU-pseudo that of the pseudo labels.
    """
    import pandas as pd

    counted = ["classes", "labels", "confusion", "argmax", "intersections", "unions"]
    frame = records.read(run, [*records.KEY, *counted, "degenerate"])
    if frame.empty:
        return []
    measured, classes = frame[frame["confusion"].map(len) > 0], int(frame["classes"].max())
    overlaps = {
        "mIoU": confusion.sparse_overlaps(measured["argmax"].to_list(), classes + 1),
        "mIoU-20": _class_overlaps(measured, classes),
        "mIoU-pseudo": confusion.sparse_overlaps(measured["confusion"].to_list(), classes + 1),
    }
    columns = {m: pd.Series(list(v), measured.index, object) for m, v in overlaps.items()}
    return [frame[[*records.KEY, "degenerate"]].assign(**columns)]


def _class_overlaps(frame: "pd.DataFrame", classes: int) -> np.ndarray:
    """Each record's intersections and unions by class, ``(N,2,classes) float64``."""
    overlaps = np.zeros((len(frame), 2, classes))
    columns = zip(frame["labels"], frame["intersections"], frame["unions"])
    for row, (of_image, *counts) in zip(overlaps, columns):
        row[:, np.asarray(of_image, int)] = counts
    return overlaps


def loop(
    job: "Job", samples: Sequence[Any], missing: "Missing", writer: records.Writer, tick: "Tick"
) -> None:
    """Maps of each image's classes, labels on disk, records: `labelling`."""
    from camx.evaluators.tasks.pseudo import labelling

    labelling.measure(job, samples, missing, writer, tick)


def unsaved(job: "Job") -> "Missing":
    """The labels that the run's folder does not hold."""
    from camx.evaluators.tasks.pseudo import labelling

    return labelling.unsaved(job)


def begin(job: "Job") -> list[str]:
    """Say beside the labels what makes them."""
    from camx.evaluators.tasks.pseudo import labelling

    for cell in job.cells:
        labelling.describe(job, cell)
    return []


def finish(job: "Job", _progress: Any) -> list[str]:
    """Write the seeds for DGCN, if they are asked for."""
    from camx.evaluators.tasks.pseudo import labelling

    lines = [f"labels: {job.out / 'labels'}"]
    return lines + ([labelling.export(job)] if job.options.export else [])
