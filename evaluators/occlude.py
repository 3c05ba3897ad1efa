"""Image occlusion (Table VI) and deletion and insertion curves: records to numbers.

A cell's variant is its map's, then ``area=0.1`` for the top tenth of the pixels instead of what exceeds the
threshold, then ``random`` for the same mask at a random place.
"""

from pathlib import Path

import pandas as pd

from camcore import variants
from evaluators import records
from evaluators.types import Cell

METRICS = (
    "top1", "top5", "confidence", "top1-correct", "top5-correct", "confidence-correct", "occluded", "degenerate",
    "deletion", "deletion-degenerate", "insertion", "insertion-degenerate",
)  # fmt: skip
CURVES = {"deletion": "records-deletion", "insertion": "records-insertion"}
ORIGINAL = Cell("original", "")  # the images as they are: Table VI's first column
RANDOM = "random"


def hole(cell: Cell, area: float | None = None, random: bool = False) -> Cell:
    """The cell of a map's cell whose mask is its top `area` (default: what exceeds the threshold), moved if `random`."""
    words = [parts(cell)[0].variant, f"area={area:g}" if area else "", RANDOM if random else ""]
    return cell._replace(variant=", ".join(filter(None, words)))


def parts(cell: Cell) -> tuple[Cell, float | None, bool]:
    """``(the map's cell, area or None, whether moved)``: the inverse of `hole`. `ValueError` for an area that is none."""
    words = cell.variant.split(", ") if cell.variant else []
    texts = [w.removeprefix("area=") for w in words if w.startswith("area=")]
    own = [w for w in words if w != RANDOM and not w.startswith("area=")]
    try:
        (area,) = map(float, texts) if texts else (None,)
    except ValueError:
        area = 0.0
    if area is not None and not 0 < area < 1:
        raise ValueError(f"variant {cell.variant!r}: expected one area between 0 and 1, such as area=0.1")
    return cell._replace(variant=", ".join(own)), area, RANDOM in words


def canonical(cell: Cell) -> Cell:
    """The cell as records name it."""
    own, area, random = parts(cell)
    return hole(own._replace(variant=variants.canonical(own.layer, own.variant)), area, random)


def outcomes(run: Path) -> list[pd.DataFrame]:
    """Per image and cell, keyed as records: hits as bool, probabilities and shares in percent; NaN where undefined.

    The columns ``-correct`` are of the images that the network recognises unchanged, the others of all images
    (protocol.md section 2, "Denominator"). Curves have frames of their own.
    """
    found = [_occlusion(frame)] if len(frame := records.read(run)) else []
    for metric, kind in CURVES.items():
        frame = records.read(run, kind=kind)
        if len(frame):
            recognised = frame["rank_before"].to_numpy() == 1
            blank = frame["degenerate"].astype("boolean").mask(~recognised)
            found.append(frame[records.KEY].assign(**{metric: 100 * frame["area"], f"{metric}-degenerate": blank}))
    return found


def _occlusion(frame: pd.DataFrame) -> pd.DataFrame:
    once = frame.drop_duplicates("image_id").assign(**ORIGINAL._asdict(), occluded=0.0, degenerate=False)
    once = once.assign(rank_after=once["rank_before"], score_after=once["score_before"])
    frame = pd.concat([once, frame], ignore_index=True)
    wrong = frame["rank_before"].to_numpy() != 1
    hits = pd.DataFrame({"top1": frame["rank_after"] == 1, "top5": frame["rank_after"] <= 5})
    found = hits.assign(confidence=100 * frame["score_after"], degenerate=frame["degenerate"])
    for metric in ("top1", "top5"):
        found[f"{metric}-correct"] = hits[metric].astype("boolean").mask(wrong)
    for metric, values in (("confidence-correct", found["confidence"]), ("occluded", 100 * frame["occluded"])):
        found[metric] = values.mask(wrong)
    return frame[records.KEY].join(found)
