"""The paper's comparative sentences, tested on recorded runs: reproduced, contradicted, undecided or not run."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from evaluators import measures, stats, tables
from evaluators.protocols import parse_yaml, read_text
from evaluators.types import Cell

VERDICTS = ("reproduced", "contradicted", "undecided", "not run")
ALPHA = 0.05
DRAWS = 10_000  # of sign flips: fewer could not become significant after the correction for some eighty tests
COLUMNS = [
    "claim", "verdict", "comparison", "metric", "more", "less", "difference", "ci_low", "ci_high", "p_value", "p_holm", "n", "run",
    "sentence", "where",
]  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """The claim that the sum over the cells `more` exceeds that over the cells `less`."""

    metric: str
    more: tuple[Cell, ...]
    less: tuple[Cell, ...]


@dataclass(frozen=True)
class Claim:
    """A sentence and the comparisons that all have to hold.

    With `at_most`, differences are to be no larger than that; with `within`, no larger either way.
    """

    id: str
    sentence: str
    where: str
    command: str
    comparisons: tuple[Comparison, ...]
    at_most: float | None = None
    within: float | None = None


def load(name: str = "") -> list[Claim]:
    """The shipped claims, or a user's ``FILE.yaml`` of that form. Raises `ValueError` naming the claim and what is wrong."""
    text = read_text(name, "claims") if name else (resources.files("configs") / "claims.yaml").read_text()
    content = parse_yaml(text, name or "claims.yaml")
    if not isinstance(content, list):
        raise ValueError(f"{name}: expected a list of claims")
    found = [_claim(entry, name or "claims.yaml") for entry in content]
    ids = [claim.id for claim in found]
    if doubled := {i for i in ids if ids.count(i) > 1}:
        raise ValueError(f"{name or 'claims.yaml'}: two claims have the id {min(doubled)!r}; ids must differ")
    return found


def _claim(entry: Any, origin: str) -> Claim:
    needed = {"id", "sentence", "where", "command", "metrics", "comparisons"}
    if not isinstance(entry, dict) or not needed <= set(entry):
        raise ValueError(f"{origin}: a claim needs {', '.join(sorted(needed))}, but one is {entry!r}"[:300])
    where, command = f"{origin}: claim {entry['id']}", entry["command"]
    if strange := set(entry) - needed - {"at_most", "within"}:
        raise ValueError(f"{where}: unknown {min(strange)!r}; known: {', '.join(sorted(needed))}, at_most, within")
    for key in ("metrics", "comparisons"):
        if not isinstance(entry[key], list) or not entry[key]:
            raise ValueError(f"{where}: {key} is {entry[key]!r}; expected a list of at least one")
    for key in ("at_most", "within"):
        if not isinstance(entry.get(key, 0), int | float):
            raise ValueError(f"{where}: {key} is {entry[key]!r}; expected a number of points")
    if not isinstance(command, str) or command not in measures.METRICS:
        raise ValueError(f"{where}: command is {command!r}; accepted: {', '.join(measures.METRICS)}")
    for metric in entry["metrics"]:
        if metric not in measures.METRICS[command]:
            raise ValueError(f"{where}: unknown metric {metric!r}; known: {', '.join(measures.METRICS[command])}")
    sides = [[_cells(given, side, command, where) for side in ("more", "less")] for given in entry["comparisons"]]
    comparisons = tuple(Comparison(metric, *side) for metric in entry["metrics"] for side in sides)
    return Claim(str(entry["id"]), entry["sentence"], entry["where"], command, comparisons, entry.get("at_most"), entry.get("within"))


def _cells(given: Any, side: str, command: str, where: str) -> tuple[Cell, ...]:
    listed = given.get(side) if isinstance(given, dict) else None
    listed = [listed] if isinstance(listed, list) and listed and not isinstance(listed[0], list) else listed
    if not isinstance(listed, list) or not listed or not all(isinstance(c, list) and len(c) in (2, 3) for c in listed):
        raise ValueError(f"{where}: {side} is {listed!r}; expected [method, layer, variant] or a list of such")
    try:
        return tuple(measures.EVALUATORS[command].canonical(Cell(*map(str, cell))) for cell in listed)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def evaluate(claims: Sequence[Claim], runs: Path, data: str | None = None, seed: int = 0) -> pd.DataFrame:
    """A row per comparison, columns `COLUMNS`; ``verdict`` is the claim's, ``comparison`` that of this one.

    Both sides of a comparison come from one run: the ``paper`` protocol first, then most images, then the
    newest. ``p_holm`` is corrected for all comparisons measured that a test decides (Holm 1979).
    """
    found = tables.by_command((claim.command for claim in claims), runs, data)
    outcomes: dict[Path, measures.Outcomes] = {}
    rows: list[dict[str, Any]] = []
    for claim in claims:
        for comparison in claim.comparisons:
            row: dict[str, Any] = {**dict.fromkeys(COLUMNS), "claim": claim.id, "sentence": claim.sentence, "where": claim.where}
            row |= {"metric": comparison.metric, "more": _name(comparison.more), "less": _name(comparison.less)}
            run = _run(comparison, found[claim.command])
            if run:
                if run.folder not in outcomes:
                    outcomes[run.folder] = measures.outcomes(run.folder, claim.command)
                test = _test(claim, comparison, outcomes[run.folder], seed)
                row |= {**vars(test), "run": str(run.folder)} if test else {}
            rows.append(row)
    unequal = {claim.id for claim in claims if claim.at_most is None and claim.within is None}
    measured = [row for row in rows if row["p_value"] is not None and row["claim"] in unequal]
    for row, corrected in zip(measured, stats.holm([row["p_value"] for row in measured])):
        row["p_holm"] = corrected
    for claim in claims:
        own = [row for row in rows if row["claim"] == claim.id]
        for row in own:
            row["comparison"] = verdict(row, claim)
        for row in own:
            row["verdict"] = together([r["comparison"] for r in own])
    return pd.DataFrame(rows, columns=COLUMNS)


def _name(cells: Sequence[Cell]) -> str:
    return " and ".join(" ".join(filter(None, cell)) for cell in cells)


def _run(comparison: Comparison, found: Sequence[tables.Measured]) -> tables.Measured | None:
    """The preferred run among those that hold every cell; `found` is newest first."""
    cells = comparison.more + comparison.less
    holding = [m for m in found if all((*cell, comparison.metric) in m.numbers.index for cell in cells)]
    return min(holding, key=lambda m: max(m.rank(cell, comparison.metric) for cell in cells), default=None)


def _test(claim: Claim, comparison: Comparison, found: measures.Outcomes, seed: int) -> stats.Paired | None:
    """The paired test; a claim that hits are equal gets the interval that few images cannot narrow."""
    more, less = ([measures.of_cell(found, cell, comparison.metric) for cell in side] for side in (comparison.more, comparison.less))
    test = measures.contrast(more, less, seed, DRAWS, measures.statistic(claim.command, comparison.metric))
    equality = claim.at_most is not None or claim.within is not None
    if test and equality and len(more) == len(less) == 1 and pd.api.types.is_bool_dtype(more[0]):
        shared = more[0].index.intersection(less[0].index)
        low, high = stats.matched_interval(*(side[0].loc[shared].to_numpy(bool) for side in (more, less)))
        test = dataclasses.replace(test, ci_low=low, ci_high=high)
    return test


def verdict(row: Mapping[str, Any], claim: Claim) -> str:
    """One comparison's verdict from its difference, interval and corrected p-value.

    A higher side is reproduced, or contradicted, where the corrected test says that the sides differ. A difference
    of at most some points, or within some, is judged by its 95 % interval: all of it inside, or all of it outside.
    """
    if row["p_value"] is None:
        return "not run"
    if claim.at_most is not None or claim.within is not None:
        high = claim.at_most if claim.at_most is not None else claim.within
        low = float("-inf") if claim.within is None else -claim.within
        if low <= row["ci_low"] and row["ci_high"] <= high:
            return "reproduced"
        return "contradicted" if row["ci_low"] > high or row["ci_high"] < low else "undecided"
    if row["p_holm"] >= ALPHA:
        return "undecided"
    return "reproduced" if row["difference"] > 0 else "contradicted"


def weakest(rows: pd.DataFrame, claim: Claim) -> pd.Series:
    """The measured comparison of a claim that speaks for it least: by its verdict, then by its difference."""
    rows = rows[rows["comparison"] == next(v for v in ("contradicted", "undecided", "reproduced") if v in set(rows["comparison"]))]
    against = rows["difference"]
    if claim.at_most is not None:
        against = -rows["difference"]
    elif claim.within is not None:
        against = -rows["difference"].abs()
    return rows.loc[against.idxmin()]


def together(verdicts: Sequence[str]) -> str:
    """A claim holds if all its comparisons do, and falls with one of them."""
    if "contradicted" in verdicts:
        return "contradicted"
    if "not run" in verdicts:
        return "not run"
    return "undecided" if "undecided" in verdicts else "reproduced"
