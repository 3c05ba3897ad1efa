"""Thresholds of a run's measures: what each is worth, which is best, which others would choose.

``curves.csv`` holds what every threshold is worth, a column for each curve of each cell, and
``thresholds.csv`` the best one (an oracle: it is found on the images that are judged) beside the
one found on another split, and the gap.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from camx.evaluators import records
from camx.evaluators.files import write_text
from camx.evaluators.measures import Measure

Curves = Mapping[tuple[str, ...], np.ndarray]  # by method, layer, variant and the curve's name
COLUMNS = [*records.CELL, "measure", "curve", "threshold", "value"]
OTHER = ["other_threshold", "other_value", "gap"]


def curves(run: Path, measure: Measure) -> Curves:
    """What each threshold is worth in percent, of every cell that the measure has records of."""
    frame = records.read(run, kind=measure.kind)
    return measure.curves(frame) if len(frame) and measure.curves else {}


def best(measure: Measure, worth: Curves, other: Curves) -> Iterator[dict[str, Any]]:
    """The best threshold of each curve, and the one that is best on `other` images, if there are.

    ``threshold`` and ``value`` of the former, ``other_threshold`` and ``other_value`` of the
    latter, both values on the images judged, and the gap. Of equals the lowest.
    """
    for key, values in worth.items():
        if measure.peak not in ("", key[-1]) or np.isnan(values).all():
            continue
        top = int(np.nanargmax(values))
        row = dict(zip(COLUMNS, (*key[:3], measure.name, key[3], measure.taus[top], values[top])))
        if key in other and not np.isnan(other[key]).all():
            at = int(np.nanargmax(other[key]))
            gap = values[top] - values[at]
            row |= dict(zip(OTHER, (measure.taus[at], values[at], gap)))
        yield row


def told(run: Path, measures: Sequence[Measure]) -> list[str]:
    """Write ``curves.csv`` and ``thresholds.csv`` of a run; what people are told of them."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    columns: dict[str, pd.Series] = {}
    for measure in measures:
        worth, other = curves(run, measure), curves(run, measure.elsewhere())
        rows += best(measure, worth, other)
        for key, values in worth.items():
            name = " ".join(filter(None, (*key[:3], measure.name, key[3])))
            columns[name] = pd.Series(values, pd.Index(measure.taus.round(6), name="threshold"))
    if not rows:
        return []
    table = pd.DataFrame(rows)
    write_text(run / "curves.csv", pd.DataFrame(columns).to_csv(float_format="%.6g"))
    write_text(run / "thresholds.csv", table.to_csv(index=False, float_format="%.6g"))
    where = f"thresholds: {run / 'thresholds.csv'}   what each is worth: {run / 'curves.csv'}"
    if "gap" not in table:
        return [where]
    most = table.loc[table["gap"].idxmax()]
    cell = " ".join(filter(None, (most[name] for name in COLUMNS[:5])))
    lost = f"{table['gap'].mean():.2f} points on average, at most {most['gap']:.2f}"
    at = f"{most['other_threshold']:g} instead of {most['threshold']:g}"
    return [f"thresholds chosen on the other split lose {lost} ({cell}: {at})", where]
