"""Two methods on the same images of one run, cell by cell: is the difference real?"""

from pathlib import Path

import numpy as np
import pandas as pd

from evaluators import localize, records, stats

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
