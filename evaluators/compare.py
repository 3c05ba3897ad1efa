"""Two methods on the same images of one run, cell by cell: is the difference real?"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from evaluators import localize, records, stats
from evaluators.tables import Measured, Table
from evaluators.types import Cell

COLUMNS = ["metric", "layer", "variant", "a", "b", "a_value", "b_value", "difference", "ci_low", "ci_high", "p_value", "n", "run"]


def compare(run: Path, a: str, b: str, seed: int = 0) -> pd.DataFrame:
    """Every (layer, variant) both methods have in `run`, over the images both have; columns `COLUMNS`.

    Hits by the exact McNemar test, the mean IoU by a seeded sign-flip permutation test; percent. Empty if
    the run lacks either method.
    """
    frame = records.read(run)
    rows: list[dict[str, object]] = []
    for (layer, variant), group in frame.groupby(["layer", "variant"], sort=False):
        left, right = (group[group["method"] == m].set_index("image_id") for m in (a, b))
        shared = left.index.intersection(right.index)
        if len(shared):
            rows += _rows(left.loc[shared], right.loc[shared], seed, {"layer": layer, "variant": variant, "a": a, "b": b, "run": str(run)})
    rows.sort(key=lambda r: (str(r["layer"]).count("+"), str(r["layer"]), str(r["variant"])))
    return pd.DataFrame(rows, columns=COLUMNS)


def pairs(table: Table, found: Sequence[Measured], seed: int = 0) -> pd.DataFrame:
    """Every two measured cells of `table`, metric by metric, on the images both hold; hits by exact McNemar.

    From the run that `tables.fill` prefers among those that hold most of the table's cells. ``p_holm`` is
    corrected for the number of pairs of the metric (Holm 1979). Empty if no run holds two cells.
    """
    entries = {e.cell: f"{e.row} {e.column}".strip() for e in table.entries if e.cell and e.printed}
    held = [(m, [c for c in entries if c in m.numbers.index]) for m in found]
    run, cells = max(held, key=lambda h: (len(h[1]), h[0].description["protocol"]["name"] == "paper"), default=(None, []))
    if run is None or len(cells) < 2:
        return pd.DataFrame()
    groups = {Cell(*key): group.set_index("image_id") for key, group in records.read(run.folder).groupby(records.KEY[1:]) if key in cells}
    hits = {cell: localize.hits(groups[cell]) for cell in cells}
    rows: list[dict[str, object]] = []
    for metric in (m for m in localize.METRICS if any(e.metric == m and e.printed for e in table.entries)):
        tests = []
        for a, b in itertools.combinations(cells, 2):
            shared = hits[a].index.intersection(hits[b].index)
            if len(shared):
                test = stats.mcnemar(hits[a].loc[shared, metric].to_numpy(), hits[b].loc[shared, metric].to_numpy(), seed)
                tests.append({"metric": metric, "a": entries[a], "b": entries[b], **vars(test)})
        for row, corrected in zip(tests, stats.holm([t["p_value"] for t in tests])):
            rows.append({**row, "p_holm": corrected, "run": str(run.folder)})
    return pd.DataFrame(rows)


def _rows(left: pd.DataFrame, right: pd.DataFrame, seed: int, where: dict[str, str]) -> list[dict[str, object]]:
    hits = localize.hits(left), localize.hits(right)
    values: dict[str, tuple[np.ndarray, np.ndarray]] = {m: (hits[0][m].to_numpy(), hits[1][m].to_numpy()) for m in localize.METRICS}
    values["mean IoU"] = (100 * left["iou"].to_numpy(), 100 * right["iou"].to_numpy())
    rows = []
    for metric, (x, y) in values.items():
        test = stats.sign_flip(x, y, seed) if metric == "mean IoU" else stats.mcnemar(x, y, seed)
        scale = 1 if metric == "mean IoU" else 100
        rows.append({"metric": metric, **where, "a_value": scale * x.mean(), "b_value": scale * y.mean(), **vars(test)})
    return rows
