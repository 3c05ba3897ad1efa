"""The paper's comparative sentences, tested on recorded runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from camx.evaluators import stats
from camx.evaluators.fields import finite
from camx.evaluators.files import parse_yaml, read_text
from camx.evaluators.results import measures
from camx.evaluators.results.runs import Measured, by_task
from camx.evaluators.results.tables import network_name, task_of
from camx.evaluators.tasks import Task
from camx.evaluators.types import Cell

VERDICTS = ("reproduced", "contradicted", "undecided", "not run")
ALPHA = 0.05
# Of sign flips: fewer could not become significant after the correction for some eighty tests.
DRAWS = 10_000
COLUMNS = [
    "claim", "verdict", "comparison", "metric", "more", "less", "difference", "ci_low", "ci_high",
    "p_value", "p_holm", "n", "run", "against", "sentence", "where",
]  # fmt: skip
NEEDED = {"id", "sentence", "where", "command", "metrics", "comparisons"}


@dataclass(frozen=True)
class Comparison:
    """The claim that the sum over the cells `more` exceeds that over the cells `less`.

    `more_on` and `less_on` are the networks that a side is of, where it is of certain ones: then
    each side has a run of its own.
    """

    metric: str
    more: tuple[Cell, ...]
    less: tuple[Cell, ...]
    more_on: tuple[str, ...] = ()
    less_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A sentence and the comparisons that all have to hold.

    With `at_most`, differences are to be no larger than that; with `within`, no larger either way.
    """

    id: str
    sentence: str
    where: str
    task: Task
    comparisons: tuple[Comparison, ...]
    at_most: float | None = None
    within: float | None = None

    @property
    def equality(self) -> bool:
        """Whether the claim is of a small difference, and not of a side that is higher."""
        return self.at_most is not None or self.within is not None


def load(name: str = "") -> list[Claim]:
    """The shipped claims, or those of a ``FILE.yaml``, whose tasks' files are relative to it.

    Raises `ValueError` naming the claim and what is wrong.
    """
    origin, folder = name or "claims.yaml", Path(name).parent if name else None
    shipped = resources.files("camx.configs") / "claims.yaml"
    text = read_text(Path(name), "claims file") if name else shipped.read_text("utf-8")
    content = parse_yaml(text, origin)
    if not isinstance(content, list):
        raise ValueError(f"{origin}: expected a list of claims")
    claims = [_claim(entry, origin, folder) for entry in content]
    ids = [claim.id for claim in claims]
    if doubled := {i for i in ids if ids.count(i) > 1}:
        raise ValueError(f"{origin}: two claims have the id {min(doubled)!r}; ids must differ")
    return claims


def _claim(entry: Any, origin: str, folder: Path | None) -> Claim:
    if not isinstance(entry, dict) or not set(entry) >= NEEDED:
        what = f"a claim needs {', '.join(sorted(NEEDED))}, but one is {entry!r}"
        raise ValueError(f"{origin}: {what}"[:300])
    where = f"{origin}: claim {entry['id']}"
    if strange := set(entry) - NEEDED - {"at_most", "within"}:
        accepted = f"{', '.join(sorted(NEEDED))}, at_most, within"
        raise ValueError(f"{where}: unknown {min(strange)!r}; known: {accepted}")
    for key in ("metrics", "comparisons"):
        if not isinstance(entry[key], list) or not entry[key]:
            raise ValueError(f"{where}: {key} is {entry[key]!r}; expected a list of at least one")
    for key in ("sentence", "where"):
        if not isinstance(entry[key], str):
            raise ValueError(f"{where}: {key} is {entry[key]!r}; expected a str")
    if not all(isinstance(metric, str) for metric in entry["metrics"]):
        raise ValueError(f"{where}: metrics is {entry['metrics']!r}; expected a list of metrics")
    for key in ("at_most", "within"):
        if not finite(entry.get(key, 0)):
            raise ValueError(f"{where}: {key} is {entry[key]!r}; expected a number of points")
    task = task_of(entry["command"], folder, where)
    try:
        for metric in entry["metrics"]:
            task.metric(metric)
        sides = [
            (
                _cells(p, "more", task),
                _cells(p, "less", task),
                _networks(p, "more"),
                _networks(p, "less"),
            )
            for p in entry["comparisons"]
        ]
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    comparisons = tuple(Comparison(metric, *pair) for metric in entry["metrics"] for pair in sides)
    said = (str(entry["id"]), entry["sentence"], entry["where"])
    return Claim(*said, task, comparisons, entry.get("at_most"), entry.get("within"))


def _cells(pair: Any, side: str, task: Task) -> tuple[Cell, ...]:
    cells = pair.get(side) if isinstance(pair, dict) else None
    if isinstance(cells, list) and cells and not isinstance(cells[0], list):
        cells = [cells]
    whole = isinstance(cells, list) and cells
    if not whole or not all(isinstance(c, list) and len(c) in (2, 3) for c in cells or ()):
        expected = "expected [method, layer, variant] or a list of such"
        raise ValueError(f"{side} is {cells!r}; {expected}")
    return tuple(task.canonical(Cell.of(*map(str, cell))) for cell in cells or ())


def _networks(pair: Any, side: str) -> tuple[str, ...]:
    names = pair.get(f"{side}_on", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{side}_on is {names!r}; expected a list of networks")
    return tuple(names)


def evaluate(
    claims: Sequence[Claim], runs: Path, data: str | None = None, seed: int = 0
) -> pd.DataFrame:
    """A row per comparison, columns `COLUMNS`; ``verdict`` is the claim's, ``comparison`` its own.

    Both sides of a comparison come from one run: the ``paper`` protocol first, then most images,
    then the newest. Where a side names networks they come from two, of one protocol, and are
    compared on the images that both have; `against` is then the run of the side `less`. ``p_holm``
    is corrected for all comparisons measured that a test decides (Holm 1979).
    """
    candidates = by_task((claim.task for claim in claims), runs, data)
    outcomes: dict[tuple[Path, str], measures.Outcomes] = {}
    rows: list[dict[str, Any]] = []
    for claim in claims:
        for pair in claim.comparisons:
            row: dict[str, Any] = dict.fromkeys(COLUMNS)
            row |= {"claim": claim.id, "sentence": claim.sentence, "where": claim.where}
            row |= {"metric": pair.metric, "more": _name(pair.more), "less": _name(pair.less)}
            held = []
            for measured in _preferred(pair, candidates[claim.task.name]):
                key = measured.folder, claim.task.name
                if key not in outcomes:
                    outcomes[key] = measures.outcomes(measured.folder, claim.task)
                held.append(outcomes[key])
                row["against" if row["run"] else "run"] = str(measured.folder)
            test = _test(claim, pair, held, seed) if held else None
            row |= vars(test) if test else {"run": None, "against": None}
            rows.append(row)
    _correct(rows, claims)
    for claim in claims:
        of_claim = [row for row in rows if row["claim"] == claim.id]
        for row in of_claim:
            row["comparison"] = verdict(row, claim)
        whole = together([row["comparison"] for row in of_claim])
        for row in of_claim:
            row["verdict"] = whole
    return pd.DataFrame(rows, columns=COLUMNS)


def _correct(rows: Sequence[dict[str, Any]], claims: Sequence[Claim]) -> None:
    """Enter the p-values corrected for the number of all comparisons that a test decides."""
    tested = {claim.id for claim in claims if not claim.equality}
    measured = [row for row in rows if row["p_value"] is not None and row["claim"] in tested]
    for row, corrected in zip(measured, stats.holm([row["p_value"] for row in measured])):
        row["p_holm"] = corrected


def _name(cells: Sequence[Cell]) -> str:
    return " and ".join(map(str, cells))


def _preferred(pair: Comparison, candidates: Sequence[Measured]) -> tuple[Measured, ...]:
    """The preferred run that holds every cell, or the two that hold a side each, or none.

    `candidates` are newest first.
    """
    if not pair.more_on and not pair.less_on:
        cells = pair.more + pair.less
        holding = [(m,) for m in candidates if _holds(m, cells, pair.metric)]
        return min(holding, key=lambda ms: _rank(ms[0], cells, pair.metric), default=())
    sides = []
    for cells, on, other in (
        (pair.more, pair.more_on, pair.less_on),
        (pair.less, pair.less_on, pair.more_on),
    ):
        suiting = [m for m in candidates if _suits(m, on, other)]
        sides.append([m for m in suiting if _holds(m, cells, pair.metric)])
    pairs = [(a, b) for a in sides[0] for b in sides[1] if a.run.protocol == b.run.protocol]

    def rank(both: tuple[Measured, Measured]) -> list[tuple[bool, int]]:
        ranks = zip(both, (pair.more, pair.less))
        return sorted((_rank(m, cells, pair.metric) for m, cells in ranks), reverse=True)

    return min(pairs, key=rank, default=())


def _suits(measured: Measured, on: Sequence[str], other: Sequence[str]) -> bool:
    """Whether a run is of the networks `on`; without any, of none of the `other` side's."""
    name = network_name(measured.run.model)
    return name in on if on else name not in other


def _holds(measured: Measured, cells: Sequence[Cell], metric: str) -> bool:
    return all((*cell.key, metric) in measured.numbers.index for cell in cells)


def _rank(measured: Measured, cells: Sequence[Cell], metric: str) -> tuple[bool, int]:
    return max(measured.rank(cell, metric) for cell in cells)


def _test(
    claim: Claim, comparison: Comparison, outcomes: Sequence[measures.Outcomes], seed: int
) -> stats.Paired | None:
    """The paired test of a comparison; None where the two sides share no image.

    `outcomes` are of the one run, or of the two sides' runs.
    """
    of_more, of_less, metric = outcomes[0], outcomes[-1], comparison.metric
    more = [measures.of_cell(of_more, cell, metric) for cell in comparison.more]
    less = [measures.of_cell(of_less, cell, metric) for cell in comparison.less]
    return measures.contrast(more, less, seed, DRAWS, claim.task.metric(metric))


def verdict(row: Mapping[str, Any], claim: Claim) -> str:
    """One comparison's verdict from its difference, interval and corrected p-value.

    A higher side is reproduced, or contradicted, where the corrected test says that the sides
    differ. A difference of at most some points, or within some, is judged by its 95 % interval: all
    of it inside, or all of it outside.
    """
    if row["p_value"] is None:
        return "not run"
    if claim.equality:
        high = claim.at_most if claim.at_most is not None else claim.within
        low = float("-inf") if claim.within is None else -claim.within
        assert high is not None
        if low <= row["ci_low"] and row["ci_high"] <= high:
            return "reproduced"
        return "contradicted" if row["ci_low"] > high or row["ci_high"] < low else "undecided"
    if row["p_holm"] >= ALPHA:
        return "undecided"
    return "reproduced" if row["difference"] > 0 else "contradicted"


def weakest(rows: pd.DataFrame, claim: Claim) -> pd.Series:
    """A claim's measured comparison that speaks for it least: by verdict, then by difference."""
    verdicts = set(rows["comparison"])
    worst = next(v for v in ("contradicted", "undecided", "reproduced") if v in verdicts)
    rows = rows[rows["comparison"] == worst]
    against = rows["difference"]
    if claim.at_most is not None:
        against = -rows["difference"]
    elif claim.within is not None:
        against = -rows["difference"].abs()
    return rows.loc[against.idxmin()]


def together(verdicts: Sequence[str]) -> str:
    """A claim holds if all its comparisons do, and falls with one of them."""
    against = ("contradicted", "not run", "undecided")
    return next((word for word in against if word in verdicts), "reproduced")
