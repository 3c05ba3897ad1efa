"""How far each convention moves each number and each rank, on the images that both have."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from camx.evaluators import nulls, records, stats
from camx.evaluators.audit.conventions import Convention
from camx.evaluators.tasks import localize

if TYPE_CHECKING:
    import pandas as pd

FILE = "audit.csv"
METRICS = ("loc1", "loc5", "gtknown", "mean IoU")
LEADING = "loc1"  # the metric that is printed
PLACE = ["layer", "variant"]  # where methods are compared
BOX = ["x0", "y0", "x1", "y1"]
COLUMNS = [
    "convention", *records.CELL, "metric", "base", "value", "delta", "ci_low", "ci_high", "n",
    "base_rank", "rank", "of", "boxes_changed",
]  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """What a convention does to one metric, over all cells.

    `largest` is the row of ``audit.csv`` that moves most, `mean` the mean of the absolute moves in
    points, `ranks` how many of the `cells` change their rank, `flips` how many of the `pairs` of
    methods at one layer change their order, `verdicts` how many of them were told apart (95 %) by
    one convention and not, or the other way round, by the other; `boxes` the share of boxes
    changed, in percent.
    """

    convention: str
    largest: Mapping[str, Any]
    mean: float
    ranks: int
    cells: int
    flips: int
    verdicts: int
    pairs: int
    boxes: float


def read(run: Path, kind: str = "records") -> "pd.DataFrame":
    """The outcomes of a kind's records, by image and cell: METRICS and the box; no null rows.

    Hits are bool, the IoU in percent.
    """
    frame = records.read(run, kind=kind)
    if frame.empty:
        return frame
    frame = frame[~frame["method"].isin(nulls.NAMES)]
    frame = frame.assign(**localize.hits(frame), **{"mean IoU": 100 * frame["iou"]})
    return frame.set_index(records.KEY)[[*METRICS, *BOX]]


def moved(base: "pd.DataFrame", other: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """A row for each cell and metric: `COLUMNS` but the convention.

    Of two sets of outcomes (`read`) on the images that both have. ``delta`` is the value less the
    base, in points; its 95 % interval is paired by image: of hits `stats.matched_interval`, of
    means the bootstrap's (`stats.describe`). Ranks are among the methods of a layer and variant, 1
    the best; equal numbers have the same.
    """
    import pandas as pd

    shared = base.index.intersection(other.index)
    before, after = base.loc[shared], other.loc[shared]
    boxes = (before[BOX] != after[BOX]).any(axis=1)
    rows = []
    for cell, places in before.groupby(records.CELL, sort=False).indices.items():
        changed = 100 * float(boxes.iloc[places].mean())
        for metric in METRICS:
            held, now = (side[metric].to_numpy()[places] for side in (before, after))
            rows.append((*cell, metric, *_delta(held, now, seed), len(places), changed))
    told = [*records.CELL, "metric", "base", "value", "delta", "ci_low", "ci_high", "n"]
    frame = pd.DataFrame(rows, columns=[*told, "boxes_changed"])
    groups = frame.groupby([*PLACE, "metric"])
    for column, of in (("base_rank", "base"), ("rank", "value")):
        frame[column] = groups[of].rank(ascending=False, method="min").astype(int)
    frame["of"] = groups["method"].transform("size")
    return frame[[name for name in COLUMNS if name != "convention"]]


def _delta(before: np.ndarray, after: np.ndarray, seed: int) -> tuple[float, ...]:
    """Both values, their difference, and its interval."""
    if before.dtype == bool:
        apart = after.astype(int) - before.astype(int)
        values = [100 * float(side.mean()) for side in (before, after)]
        return *values, 100 * float(apart.mean()), *stats.matched_interval(apart)
    values = [float(side.mean()) for side in (before, after)]
    return *values, *stats.describe(after - before, seed)[:3]


def orders(base: "pd.DataFrame", other: "pd.DataFrame", metric: str) -> Iterator[tuple[bool, bool]]:
    """Of each two methods at a layer and variant: does their order flip, does the verdict change?

    An order flips where each convention has another method ahead. A verdict is who is ahead where
    the 95 % interval of the hits' difference (`stats.matched_interval`) does not hold zero.
    """
    shared = base.index.intersection(other.index)
    hits = [side.loc[shared, metric].unstack("image_id") for side in (base, other)]
    for _, group in hits[0].groupby(PLACE):
        for a, b in itertools.combinations(group.index, 2):
            signs, verdicts = [], []
            for side in hits:
                pair = side.loc[[a, b]].dropna(axis=1).to_numpy().astype(int)
                apart = pair[0] - pair[1]
                low, high = stats.matched_interval(apart) if len(apart) else (0.0, 0.0)
                signs.append(np.sign(apart.sum()))
                verdicts.append(int(low > 0) - int(high < 0))
            yield signs[0] * signs[1] < 0, verdicts[0] != verdicts[1]


def audited(
    run: Path, conventions: Sequence[Convention], seed: int = 0
) -> "tuple[pd.DataFrame, list[Summary]]":
    """Every row of ``audit.csv``, and what each convention does to the leading metric.

    Conventions that the run has no record of are left out.
    """
    import pandas as pd

    base, frames, summaries = read(run), [], []
    for convention in conventions:
        other = read(run, convention.kind)
        if base.empty or other.empty:
            continue
        frame = moved(base, other, seed)
        frames.append(frame.assign(convention=convention.name)[COLUMNS])
        summaries.append(_summary(convention.name, frame, list(orders(base, other, LEADING))))
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)
    return table, summaries


def _summary(name: str, frame: "pd.DataFrame", pairs: Sequence[tuple[bool, bool]]) -> Summary:
    of = frame[frame["metric"] == LEADING].reset_index(drop=True)
    sizes = of["delta"].abs()
    return Summary(
        convention=name,
        largest=of.loc[sizes.idxmax()].to_dict(),
        mean=float(sizes.mean()),
        ranks=int((of["rank"] != of["base_rank"]).sum()),
        cells=len(of),
        flips=sum(flip for flip, _ in pairs),
        verdicts=sum(verdict for _, verdict in pairs),
        pairs=len(pairs),
        boxes=float(np.average(of["boxes_changed"], weights=of["n"])),
    )


def sentence(summaries: Sequence[Summary]) -> str:
    """Which convention moves most here."""
    most = max(summaries, key=lambda summary: abs(summary.largest["delta"]))
    row = most.largest
    if not row["delta"]:
        return f"no convention moves {LEADING} here"
    cell = " ".join(filter(None, (row[name] for name in records.CELL)))
    how = f"from {row['base']:.2f} to {row['value']:.2f}"
    interval = f"{row['delta']:+.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
    told = f"{LEADING} of {cell} goes {how} ({interval})"
    return f"the convention that moves most here: {most.convention}; {told}"
