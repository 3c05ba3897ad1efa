"""Thresholds of a run's measures: what each is worth, which is best, and which others would choose.

``curves.csv`` holds what every threshold is worth, a column for each curve of each cell, and
``thresholds.csv`` the best one (an oracle: it is found on the images that are judged) beside the
one found on another split, and the gap.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from camx.evaluators import records
from camx.evaluators.files import write_text
from camx.evaluators.measures import Measure

if TYPE_CHECKING:
    import pandas as pd

CURVE = [*records.CELL, "measure", "curve"]


def curves(run: Path, measure: Measure) -> "pd.DataFrame":
    """What each threshold is worth in percent, of every cell that the measure has records of."""
    import pandas as pd

    frame = records.read(run, kind=measure.kind)
    if frame.empty or not measure.curves:
        return pd.DataFrame(columns=[*CURVE, "threshold", "value", "peak"])
    return measure.curves(frame).assign(measure=measure.name)


def best(worth: "pd.DataFrame", other: "pd.DataFrame") -> "pd.DataFrame":
    """The best threshold of each curve, and the one that is best on `other` images, if there are.

    Columns threshold and value of the former, other_threshold and other_value of the latter, both
    values on the images judged, and the gap.
    """
    import pandas as pd

    rows = []
    elsewhere = dict(iter(other.groupby(CURVE, sort=False)))
    for key, curve in worth[worth["peak"]].groupby(CURVE, sort=False):
        top = curve.loc[curve["value"].idxmax()]
        row = dict(zip(CURVE, key)) | {"threshold": top["threshold"], "value": top["value"]}
        if key in elsewhere:
            of_other = elsewhere[key]
            tau = of_other.loc[of_other["value"].idxmax(), "threshold"]
            there = curve.loc[curve["threshold"] == tau, "value"].item()
            row |= {"other_threshold": tau, "other_value": there, "gap": top["value"] - there}
        rows.append(row)
    return pd.DataFrame(rows)


def write(run: Path, measures: "tuple[Measure, ...]") -> "pd.DataFrame":
    """Write ``curves.csv`` and ``thresholds.csv`` of the measures that have thresholds."""
    import pandas as pd

    of_each = [(curves(run, m), curves(run, m.elsewhere())) for m in measures if m.curves]
    of_each = [(worth, other) for worth, other in of_each if len(worth)]
    if not of_each:
        return pd.DataFrame()
    worth, other = (pd.concat(list(parts), ignore_index=True) for parts in zip(*of_each))
    table = best(worth, other)
    names = worth[CURVE].agg(lambda words: " ".join(filter(None, words)), axis=1)
    wide = worth.assign(name=names).pivot(index="threshold", columns="name", values="value")
    write_text(run / "curves.csv", wide.to_csv(float_format="%.6g"))
    write_text(run / "thresholds.csv", table.to_csv(index=False, float_format="%.6g"))
    return table


def told(run: Path, measures: "tuple[Measure, ...]") -> list[str]:
    """What people are told of the thresholds; where they are written."""
    table = write(run, measures)
    if table.empty:
        return []
    lines = []
    if "gap" in table:
        gaps = table["gap"].dropna()
        at = table.loc[gaps.idxmax()]
        where = " ".join(filter(None, (at["method"], at["layer"], at["variant"], at["curve"])))
        lines.append(
            f"thresholds chosen on another split lose {gaps.mean():.2f} points on average, at most "
            f"{gaps.max():.2f} ({where}: {at['other_threshold']:g} for {at['threshold']:g})"
        )
    return [*lines, f"thresholds: {run / 'thresholds.csv'}   at each: {run / 'curves.csv'}"]
