"""Two cells on the same images of one run: is the difference real?"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from evaluators import measures, stats
from evaluators.tables import Measured, Table
from evaluators.types import Cell

COLUMNS = ["metric", "layer", "variant", "a", "b", "a_value", "b_value", "difference", "ci_low", "ci_high", "p_value", "n", "run"]


def compare(run: Path, a: str, b: str, seed: int = 0, command: str = "localize") -> pd.DataFrame:
    """Every metric of every (layer, variant) that both methods have in `run`, on the images both have; `COLUMNS`.

    Hits by the exact McNemar test, means by a seeded sign-flip permutation test. Empty if the run lacks either method.
    """
    found = measures.outcomes(run, command)
    places = dict.fromkeys((cell.layer, cell.variant) for cell in found)
    rows: list[dict[str, object]] = []
    for layer, variant in sorted(places, key=lambda p: (p[0].count("+"), p)):
        for metric in (m for m in measures.METRICS[command] if m != "degenerate"):
            left, right = (measures.of_cell(found, Cell(method, layer, variant), metric) for method in (a, b))
            test = measures.contrast([left], [right], seed, statistic=measures.statistic(command, metric))
            if test:
                shared = left.index.intersection(right.index)
                both = [f"{side}_value" for side in "ab"]
                values = dict(zip(both, (measures.value(side.loc[shared], command, metric) for side in (left, right))))
                where = {"metric": metric, "layer": layer, "variant": variant, "a": a, "b": b, "run": str(run)}
                rows.append({**where, **values, **vars(test)})
    return pd.DataFrame(rows, columns=COLUMNS)


def pairs(table: Table, found: Sequence[Measured], seed: int = 0) -> pd.DataFrame:
    """Every two measured cells of `table`, metric by metric, on the images both hold, tested as in `compare`.

    From the run that `tables.fill` prefers among those that hold most of the table's cells. ``p_holm`` is
    corrected for the number of pairs of the metric (Holm 1979). Empty if no run holds two cells.
    """
    entries = {e.cell: f"{e.row} {e.column}".strip() for e in table.entries if e.cell and e.printed}
    held = [(m, [c for c in entries if c in m.cells]) for m in found]
    held = [(m, cells) for m, cells in held if cells]
    run, cells = min(held, key=lambda h: (-len(h[1]), max(h[0].rank(c) for c in h[1])), default=(None, []))
    if run is None or len(cells) < 2:
        return pd.DataFrame()
    frames = measures.outcomes(run.folder, table.command)
    rows: list[dict[str, object]] = []
    for metric in dict.fromkeys(e.metric for e in table.entries if e.printed):
        outcomes = {cell: measures.of_cell(frames, cell, metric) for cell in cells}
        tests = []
        for a, b in itertools.combinations(cells, 2):
            test = measures.contrast([outcomes[a]], [outcomes[b]], seed, statistic=measures.statistic(table.command, metric))
            if test:
                tests.append({"metric": metric, "a": entries[a], "b": entries[b], **vars(test)})
        for row, corrected in zip(tests, stats.holm([t["p_value"] for t in tests])):
            rows.append({**row, "p_holm": corrected, "run": str(run.folder)})
    return pd.DataFrame(rows)
