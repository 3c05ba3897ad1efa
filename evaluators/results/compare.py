"""Two cells on the same images of one run: is the difference real?"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from camx.evaluators import nulls, stats
from camx.evaluators.results import measures
from camx.evaluators.results.runs import Measured
from camx.evaluators.results.tables import Table
from camx.evaluators.tasks import Task

COLUMNS = [
    "metric", "layer", "variant", "a", "b", "a_value", "b_value", "difference", "ci_low", "ci_high",
    "p_value", "n", "run",
]  # fmt: skip


def compare(run: Path, a: str, b: str, task: Task, seed: int = 0) -> pd.DataFrame:
    """Every metric at every (layer, variant) that both methods have, on the images both have.

    Hits by the exact McNemar test, means by a seeded sign-flip permutation test. A null has no
    layer, and is compared at each of the other's. Empty if the run lacks either method.
    """
    outcomes = measures.outcomes(run, task)
    layered = [cell for cell in outcomes if cell.method in {a, b} - set(nulls.NAMES)]
    places = {(cell.layer, cell.variant) for cell in layered} or {("", "")}
    rows: list[dict[str, object]] = []
    for layer, variant in sorted(places, key=lambda place: (place[0].count("+"), place)):
        for name, metric in task.metrics.items():
            if name == "degenerate":
                continue
            cells = (nulls.cell(method, layer, variant) for method in (a, b))
            left, right = (measures.of_cell(outcomes, cell, name) for cell in cells)
            test = measures.contrast([left], [right], seed, metric=metric)
            if test:
                shared = left.index.intersection(right.index)
                of_a, of_b = (measures.value(side.loc[shared], metric) for side in (left, right))
                where = {"metric": name, "layer": layer, "variant": variant, "run": str(run)}
                values = {"a": a, "b": b, "a_value": of_a, "b_value": of_b}
                rows.append({**where, **values, **vars(test)})
    return pd.DataFrame(rows, columns=COLUMNS)


def pairs(table: Table, candidates: Sequence[Measured], seed: int = 0) -> pd.DataFrame:
    """Every two measured cells of `table`, metric by metric, tested as in `compare`.

    From the run that holds most of the table's cells, preferred as in `Measured.rank`; rows of
    other networks than its own are not among them.
    ``p_holm`` is corrected for the number of pairs of the metric (Holm 1979). Empty if no run holds
    two cells.
    """
    names_of = {
        m.folder: {
            e.cell: f"{e.row} {e.column}".strip()
            for e in table.entries
            if e.cell and e.printed and e.suits(m.run.model)
        }
        for m in candidates
    }
    held = [(m, [cell for cell in names_of[m.folder] if cell in m.cells]) for m in candidates]
    held = [(m, cells) for m, cells in held if len(cells) > 1]
    if not held:
        return pd.DataFrame()
    best, cells = min(held, key=lambda h: (-len(h[1]), max(h[0].rank(cell) for cell in h[1])))
    names = names_of[best.folder]
    outcomes = measures.outcomes(best.folder, table.task)
    rows: list[dict[str, object]] = []
    for metric in dict.fromkeys(e.metric for e in table.entries if e.printed):
        about, tests = table.task.metric(metric), []
        series = {cell: measures.of_cell(outcomes, cell, metric) for cell in cells}
        for a, b in itertools.combinations(cells, 2):
            test = measures.contrast([series[a]], [series[b]], seed, metric=about)
            if test:
                tests.append({"metric": metric, "a": names[a], "b": names[b], **vars(test)})
        corrected = stats.holm([test["p_value"] for test in tests])
        rows += [{**t, "p_holm": p, "run": str(best.folder)} for t, p in zip(tests, corrected)]
    return pd.DataFrame(rows)
