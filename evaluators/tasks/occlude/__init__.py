"""Hide what a map points at and ask the network again: Table VI, curves, drop, ADCC, ROAD.

Images that the network recognises are occluded, the others pass unchanged. Lower is better, but a
bigger hole also lowers the score: the share hidden stands beside each row, and --area hides the
same share for all.

\b
camx occlude                                                 Table VI on the miniature
camx occlude --protocol single --area 0.1 --random           equal holes, and the same elsewhere
camx occlude --protocol single --metric deletion --sample 40 RISE's deletion curve
camx occlude --protocol single --metric drop --limit 40      average drop, increase and gain
camx occlude --data ILSVRC --weights vgg16.pth               the paper's experiment
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camx.evaluators import records
from camx.evaluators.fields import Checked, choice, flag, number, text, whole
from camx.evaluators.tasks import DEGENERATE, Metric
from camx.evaluators.tasks.occlude import scores
from camx.evaluators.types import Cell, MapProtocol

if TYPE_CHECKING:
    import pandas as pd

    from camx.evaluators.grids import Missing
    from camx.evaluators.loop import Measurement, Tick

    Job = Measurement["Protocol", "Options"]

TITLE = "image occlusion: Table VI; deletion and insertion; drop, increase, gain, ADCC, ROAD"
SOURCE = (
    "LayerCAM paper, section III-B; Petsiuk et al. 2018 (RISE); Poppi et al. 2021 (ADCC); "
    "Rong et al. 2022 (ROAD)"
)
TASK = "localization"
TRUTH = False  # it asks the network, not the annotations
TABLES = ("VI",)
METHODS = ("gradcam", "gradcampp", "layercam")  # Table VI's
LAYER = "S5"
CURVES = {"deletion": "records-deletion", "insertion": "records-insertion"}
USES = {
    "threshold": ("occlusion",),
    "area": ("occlusion",),
    "fill": ("occlusion", "deletion", "drop", "adcc"),
    "explained": ("drop", "adcc", "road"),
    "percentiles": ("road",),
    "start": ("insertion",),
    "steps": ("deletion", "insertion"),
}  # what each option is of
ORIGINAL = Cell("original")  # the images as they are: Table VI's first row
_BLANK = "images whose map was empty or constant, and so have no curve"
METRICS = (
    Metric("top1", "images recognised at first choice", better="lower"),
    Metric("top5", "images recognised among the first five", better="lower"),
    Metric("confidence", "mean probability of the label", better="lower"),
    Metric("top1-correct", "as top1, of images recognised unchanged", better="lower", shown=False),
    Metric("top5-correct", "as top5, of images recognised unchanged", better="lower", shown=False),
    Metric(
        "confidence-correct", "as confidence, of images recognised unchanged",
        better="lower", shown=False,
    ),
    Metric(
        "occluded", "mean share of a recognised image that was hidden",
        better="neither", interval=False,
    ),
    DEGENERATE,
    Metric("deletion", "area below RISE's deletion curve, x 100", better="lower", shown=False),
    Metric("deletion-degenerate", _BLANK, better="lower", shown=False, interval=False),
    Metric("insertion", "area below RISE's insertion curve, x 100", shown=False),
    Metric("insertion-degenerate", _BLANK, better="lower", shown=False, interval=False),
    *scores.METRICS,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Protocol(MapProtocol):
    """What is hidden, and how the answer is read (docs/protocol.md, section 2)."""

    threshold: float = number(0, 1, below=True, help="hide pixels above this share of the maximum")
    fill: str = choice(
        "mean", "black", "blur",
        help="what hides them, what deletion ends at, and what is blended in where a map weighs",
    )  # fmt: skip
    score: str = choice(
        "sum", "mean",
        help="confidence: softmax of the crops' summed logits, or mean of their softmaxes",
    )  # fmt: skip
    start: str = choice("mean", "black", "blur", help="what an insertion curve starts from")
    steps: int = whole(0, 10**6, help="steps of a curve; 0: one a row of the grid, as RISE's")
    explained: str = choice(
        "first", "label",
        help="what drop, ADCC and ROAD ask about: the network's first choice, or the label",
    )  # fmt: skip
    percentiles: tuple[float, ...] = number(
        0, 100, above=True, below=True, many="10",
        help="ROAD's, of the map's values: pixels above go; 10 removes nine tenths",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options(Checked):
    """What `camx occlude` is told besides."""

    split: str = text(
        default="", help="Split of a data set that has some, by its name; else the reader's choice."
    )
    metric: str = choice(
        "occlusion", *CURVES, *scores.FOLDERS, default="occlusion",
        help="Occlusion at one threshold; RISE's curve over all of them; what is left of the image "
        "weighed by its map: average drop, increase and gain, or ADCC with its parts; ROAD.",
    )  # fmt: skip
    areas: tuple[float, ...] = number(
        0, 1, above=True, below=True, many="0.1", default=(), option="--area",
        help="Hide instead this share of the pixels, the map's highest: one area for every method; "
        "repeats.",
    )  # fmt: skip
    random: bool = flag(help="Also each mask at a random place: the same hole elsewhere.")
    denominator: str = choice(
        "all", "correct", default="all",
        help="Print shares of all images, or of those recognised unchanged; both are recorded.",
    )  # fmt: skip


@dataclass(frozen=True)
class Record:
    """One image's outcome when a cell's map says what to hide: a row of ``records/``.

    `occluded` is the share of the image hidden, 0 to 1. Scores are probabilities of the label,
    logits the label's, summed over crops; ranks are the label's, 1 for the first choice. An image
    that the network does not recognise passes unchanged.
    """

    image_id: str
    label: int
    method: str
    layer: str
    variant: str
    rank_before: int
    rank_after: int
    score_before: float
    score_after: float
    logit_before: float
    logit_after: float
    occluded: float
    degenerate: bool


@dataclass(frozen=True)
class Curve:
    """One image's deletion or insertion curve in one cell: a row of ``records-<metric>/``.

    `scores` are the label's probabilities after 0, 1, ... steps, `area` the area below them (0 to
    1). An image that the network does not recognise, or an empty map, has no curve: `scores` is
    empty, `area` not a number.
    """

    image_id: str
    label: int
    method: str
    layer: str
    variant: str
    rank_before: int
    area: float
    scores: tuple[float, ...]
    degenerate: bool


def canonical(cell: Cell) -> Cell:
    """The map's cell as records name it, with its area and whether the mask was moved."""
    plain = replace(cell, area=None, random=False).canonical()
    return replace(plain, area=cell.area, random=cell.random)


def cells(maps: Sequence[Cell], options: Options, protocol: Protocol) -> list[Cell]:
    """Every area, and each mask at a random place if asked for. `ValueError` for nonsense."""
    holes = [
        replace(cell, area=area or cell.area, random=random or cell.random)
        for area in options.areas or (None,)
        for random in ((False, True) if options.random else (False,))
        for cell in maps
    ]
    if options.metric != "occlusion" and any(cell.area for cell in holes):
        raise ValueError(f"a table's area is of one hole; {options.metric} has none")
    return list(dict.fromkeys(holes))


def check(options: Options, given: Sequence[str]) -> None:
    """Refuse an option that the metric would not hear; `given` are the protocol's fields named."""
    for name in [*given, *(["area"] if options.areas else [])]:
        heard = USES.get(name, (options.metric,))
        if options.metric not in heard:
            what = f"--{name} says nothing about {options.metric}"
            raise ValueError(f"{what}; it is of {' and '.join(heard)}")


def folder(options: Options) -> str:
    """The records' folder: all but the occlusion's have one of their own each."""
    return {**CURVES, **scores.FOLDERS}.get(options.metric, "records")


def shown(options: Options) -> list[str]:
    """The metrics printed after a run."""
    if options.metric != "occlusion":
        curve = options.metric, f"{options.metric}-degenerate"
        return list(scores.SHOWN.get(options.metric, curve))
    suffix = "" if options.denominator == "all" else "-correct"
    metrics = [f"{metric}{suffix}" for metric in ("top1", "top5", "confidence")]
    return [*metrics, "occluded", "degenerate"]


def loop(
    job: "Job", samples: Sequence[Any], missing: "Missing", writer: records.Writer, tick: "Tick"
) -> None:
    """Occlude and draw curves (`perturb`), weigh by maps (`weighing`), or fill (`imputing`)."""
    from camx.evaluators.tasks.occlude import imputing, perturb, weighing

    metric = job.options.metric
    if metric == "occlusion":
        perturb.occlude(job, samples, missing, writer, tick)
    elif metric in CURVES:
        perturb.curves(job, metric, samples, missing, writer, tick)
    elif metric == "road":
        imputing.impute(job, samples, missing, writer, tick)
    else:
        weighing.weigh(job, metric, samples, missing, writer, tick)


def outcomes(run: Path) -> "list[pd.DataFrame]":
    """Per image and cell: hits as bool, probabilities and shares in percent; NaN where undefined.

    The columns ``-correct`` are of the images that the network recognises unchanged, the others of
    all images (docs/protocol.md, section 2, "Denominator"). Curves have frames of their own.
    """
    frame = records.read(run)
    frames = [_occlusion(frame)] if len(frame) else []
    for metric, kind in CURVES.items():
        frame = records.read(run, kind=kind)
        if len(frame):
            recognised = frame["rank_before"].to_numpy() == 1
            blank = frame["degenerate"].astype("boolean").mask(~recognised)
            columns = {metric: 100 * frame["area"], f"{metric}-degenerate": blank}
            frames.append(frame[records.KEY].assign(**columns))
    held = {metric: records.read(run, kind=kind) for metric, kind in scores.FOLDERS.items()}
    return frames + [scores.outcomes(m, frame) for m, frame in held.items() if len(frame)]


def _occlusion(frame: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    cell = dict(zip(records.CELL, ORIGINAL.key))
    once = frame.drop_duplicates("image_id").assign(**cell, occluded=0.0, degenerate=False)
    once = once.assign(rank_after=once["rank_before"], score_after=once["score_before"])
    frame = pd.concat([once, frame], ignore_index=True)
    wrong = frame["rank_before"].to_numpy() != 1
    top = {"top1": frame["rank_after"] == 1, "top5": frame["rank_after"] <= 5}
    confidence = 100 * frame["score_after"]
    correct = {f"{name}-correct": hit.astype("boolean").mask(wrong) for name, hit in top.items()}
    correct["confidence-correct"] = confidence.mask(wrong)
    hidden = (100 * frame["occluded"]).mask(wrong)
    return frame[records.KEY].assign(
        **top, confidence=confidence, degenerate=frame["degenerate"], **correct, occluded=hidden
    )
