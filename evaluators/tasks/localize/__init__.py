"""Measure how often the maps' boxes find the object: loc1, loc5 and GT-known localization.

With nothing asked for, every cell of the tables that costs no extra pass.

\b
camx localize                                              Tables I-IV and XII on the miniature
camx localize --protocol single                            one view instead of ten: quick
camx localize --data ILSVRC --weights vgg16.pth            the paper's experiment
camx localize --method layercam --layer S5 --layer S5+S4   two cells only
camx localize --table I --table V                          with Score-CAM and c-MWP
camx localize --measure all                                MaxBoxAcc, PxAP, pointing game, ...
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from camx.evaluators import datasets, heatmaps, measures, nulls, records, types
from camx.evaluators.fields import BadOption, Checked, choice, number, text, whole
from camx.evaluators.grading import Picture
from camx.evaluators.object_masks import ObjectMask
from camx.evaluators.tasks import DEGENERATE, Metric
from camx.evaluators.tasks.localize import boxes, thresholds
from camx.evaluators.types import Cell, Dataset, MapProtocol, Sample

if TYPE_CHECKING:
    import pandas as pd

    from camx.evaluators.loop import Measurement

TITLE = "weakly supervised localization: Tables I-V and XII"
SOURCE = "LayerCAM paper, section III-A; PengtaoJiang/layercam_loc"
TASK = "localization"
TABLES = ("I", "II", "III", "IV", "V", "XII")
NULLS = nulls.MAPS
HIT = 0.5  # an IoU of at least this is a hit
METRICS = (
    Metric("loc1", "the box is right, and the network's first choice too"),
    Metric("loc5", "the box is right, and the class among the network's five first"),
    Metric("gtknown", "the box is right: an IoU of at least 0.5 with a true one"),
    Metric("mean IoU", "of the box with the true one", shown=False),
    DEGENERATE,
    *measures.metrics(),
)


@dataclass(frozen=True, kw_only=True)
class BoxProtocol(types.Protocol):
    """How a map becomes a box, and a box right (docs/protocol.md, section 1)."""

    interpolation: str = choice(
        *heatmaps.INTERPOLATIONS,
        help="how the uint8 map is resized to the image: cubic (the authors') or linear",
        source='docs/protocol.md, section 1, "Merging ten crops"',
    )
    threshold: float = number(
        0, 1, below=True,
        help="share of 255 above which a pixel of the resized uint8 map is object",
        source='docs/protocol.md, section 1, "Box"',
    )  # fmt: skip
    box: str = choice(
        *boxes.RULES,
        help="rectangle: the largest bounding one (the authors'); contour: the largest contour",
        source='docs/protocol.md, section 1, "Box"',
    )
    iou: str = choice(
        "inclusive", "exact",
        help="inclusive: widths and heights count +1 (the authors'); exact",
        source='docs/protocol.md, section 1, "IoU"',
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Protocol(BoxProtocol, MapProtocol):
    """The same of maps that a network makes, which GrabCut may refine."""

    grabcut: tuple[str, ...] = text(
        many="[S2, S1] or []",
        names="layers",
        help="layers whose thresholded map GrabCut grows into a connected region",
        source='docs/protocol.md, section 1, "GrabCut"',
    )
    grabcut_methods: tuple[str, ...] = text(
        many="[layercam] or []",
        names="methods",
        help="the methods that GrabCut refines",
        source='docs/protocol.md, section 1, "GrabCut"',
    )
    grabcut_size: int | None = whole(
        16, default=None,
        help="GrabCut refines images longer than so many pixels when they are made so small: "
        "faster, and other boxes",
        source='docs/protocol.md, section 1, "GrabCut"',
    )  # fmt: skip

    def grabs(self, cell: Cell) -> bool:
        """Whether GrabCut refines this cell; never a fused one."""
        return cell.layer in self.grabcut and cell.method in self.grabcut_methods


@dataclass(frozen=True, kw_only=True)
class Options(Checked):
    """What `camx localize` is told besides."""

    split: str = text(
        default="",
        help="The data set's split, where it has any, as val or test.  [default: the reader's]",
    )
    measures: tuple[str, ...] = text(
        many="pxap", default=(), option="--measure", metavar="MEASURE", names="measures",
        help="Judge the maps by this measure, too: a name of `camx list measures`, FILE.py, or all "
        "that the data set's boxes or masks allow; repeats.",
    )  # fmt: skip
    threshold_split: str = text(
        default="",
        help="Choose the measures' thresholds on this split, and print what that loses against the "
        "best ones.",
    )


@dataclass(frozen=True)
class Record:
    """One image's outcome in one cell: a row of ``records/``. `top5` are class indices, best first.

    The box is in pixels of the original image, with an exclusive end, as the authors'
    ``[x, y, x+w, y+h]``. `degenerate` marks a map that is empty or constant.
    """

    image_id: str
    label: int
    top5: tuple[int, ...]
    method: str
    layer: str
    variant: str
    x0: int
    y0: int
    x1: int
    y1: int
    iou: float
    degenerate: bool


def mask_of(
    heatmap: np.ndarray, cell: Cell, image_id: str, pixels: np.ndarray, protocol: Protocol
) -> np.ndarray:
    """``(H,W) uint8``: 1 where a map ``(H,W) uint8`` marks ``pixels (H,W,3) uint8`` RGB."""
    mask = heatmaps.foreground(heatmap, protocol.threshold)
    if protocol.grabs(cell):
        image = pixels[..., ::-1].copy()
        mask = heatmaps.grabcut(image, mask, image_id, protocol.grabcut_size)
    return mask


def box_of(
    heatmap: np.ndarray, cell: Cell, sample: Sample, pixels: np.ndarray, protocol: Protocol
) -> boxes.Box:
    """The box of a map ``(H,W) uint8`` on the image ``pixels (H,W,3) uint8`` RGB."""
    return boxes.box(mask_of(heatmap, cell, sample.image_id, pixels, protocol), protocol.box)


def grade(
    picture: Picture, grids: dict[Cell, np.ndarray], logits: np.ndarray, protocol: Protocol
) -> list[Record]:
    """One record per cell from its ``(g,g) uint8`` map and the image's logits ``(K,)``."""
    sample, top = picture.sample, tuple(top5(logits))
    records = []
    for cell, grid in grids.items():
        heatmap = picture.map(grid, protocol.interpolation).on_image
        box = box_of(heatmap, cell, sample, picture.pixels, protocol)
        iou = boxes.iou(box, sample.boxes, protocol.iou)
        empty = heatmaps.degenerate(grid)
        records.append(Record(sample.image_id, sample.label, top, *cell.key, *box, iou, empty))
    return records


def top5(logits: np.ndarray) -> list[int]:
    """The five likeliest classes of ``logits (K,)``, best first; -1 where there are fewer."""
    best = np.argsort(-logits, kind="stable")[:5].tolist()
    return best + [-1] * (5 - len(best))


def hits(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Columns loc1, loc5 and gtknown, bool (docs/protocol.md, section 1, "IoU")."""
    import pandas as pd

    labels = frame["label"].to_numpy()
    top = np.concatenate(frame["top5"].to_numpy()).reshape(len(frame), -1)
    hit = frame["iou"].to_numpy() >= HIT
    first, among = top[:, 0] == labels, (top == labels[:, None]).any(1)
    columns = {"loc1": hit & first, "loc5": hit & among, "gtknown": hit}
    return pd.DataFrame(columns, index=frame.index)


def outcomes(run: Path) -> "list[pd.DataFrame]":
    """Per image and cell: the three hits, the IoU in percent, and whether the map is degenerate."""
    frame = records.read(run)
    if frame.empty:
        return []
    rest = {"mean IoU": 100 * frame["iou"], "degenerate": frame["degenerate"]}
    boxed = frame[records.KEY].join(hits(frame)).assign(**rest)
    return [boxed, *measures.outcomes(run)]


def judges(options: Options, dataset: "Dataset[Sample]") -> tuple[measures.Measure, ...]:
    """The measures asked for. `BadOption` for one that the data set cannot be measured by."""
    masked = any(isinstance(sample.mask, ObjectMask) for sample in dataset.samples)
    try:
        asked = measures.asked(options.measures, masked)
    except ValueError as error:
        raise BadOption(str(error)) from error
    if options.threshold_split and not any(measure.chooses for measure in asked):
        what = "none of the measures has any"
        raise BadOption(f"--threshold-split is for measures with a threshold, and {what}")
    return asked


def others(data: str, options: Options, dataset: "Dataset[Sample]") -> "Dataset[Sample] | None":
    """The images that thresholds are chosen on, if a split is named for it.

    `BadOption` for one that shares an image with those that are judged.
    """
    if not options.threshold_split:
        return None
    other: Dataset[Sample] = datasets.load(data, TASK, options.threshold_split)
    judged_by = {sample.path.resolve() for sample in dataset.samples}
    if shared := [s.path for s in other.samples if s.path.resolve() in judged_by]:
        what = f"{len(shared)} images are judged, too, {shared[0]} among them"
        raise BadOption(f"threshold split {options.threshold_split!r}: {what}; choose another")
    return other


def identity(job: "Measurement[Any, Options]") -> dict[str, Any]:
    """The images that thresholds are chosen on; a run may get some later, but never others."""
    if not job.chosen_on:
        return {}
    said = {"split": job.options.threshold_split, "fingerprint": job.chosen_on}
    return {records.THRESHOLD: said}


def doubts(job: "Measurement[Protocol, Any]") -> list[str]:
    """Say so when the network's first choice is no better than a guess."""
    from camx.evaluators import stats

    top1, _, n = classification(job.out)
    chance = 100 / len(job.dataset.classes)
    low, high = stats.share_interval(top1, n)
    if low > chance or top1 > 2 * chance or chance > 50:
        return []
    what = f"the network recognises {top1:.2f} % [{low:.2f}, {high:.2f}] of the images"
    guess = f"a guess among {len(job.dataset.classes)} classes is right in {chance:.2f} %"
    return [f"{what}, and {guess}: its maps are of a network that learned nothing"]


def finish(job: "Measurement[Protocol, Any]", _progress: Any) -> list[str]:
    """The classifier, to be checked first (docs/protocol.md, section 1, "Gate"); thresholds."""
    top1, top5, n = classification(job.out)
    frame = records.read(job.out, [*records.KEY, "degenerate"])
    empty = 100 * frame.loc[~frame["method"].isin(NULLS), "degenerate"].mean()
    blank = f"empty or constant maps {empty:.2f} %"
    first = f"\n{n} images, top-1 {top1:.2f} %, top-5 {top5:.2f} %; {blank}"
    return [first, *thresholds.told(job.out, job.measures)]


def classification(run: Path) -> tuple[float, float, int]:
    """Top-1 and top-5 accuracy in percent, each image counted once, and how many there are."""
    frame = records.read(run, [*records.KEY, "label", "top5", "iou"]).drop_duplicates("image_id")
    right = hits(frame.assign(iou=1.0))
    return 100 * float(right["loc1"].mean()), 100 * float(right["loc5"].mean()), len(frame)
