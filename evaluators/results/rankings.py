"""The order of a run's methods by each metric, and how sure it is: the images are resampled."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from camx.camcore.suggestions import near
from camx.evaluators import nulls, ordering, records, stats
from camx.evaluators.records import Run
from camx.evaluators.results import measures, resampled
from camx.evaluators.results.runs import made
from camx.evaluators.tasks import Metric, Task
from camx.evaluators.types import Cell

BEST = "best"  # the place that each method is best at
COLUMNS = [
    "run", "command", "network", "data", "protocol", "metric", "place", "method", "layer",
    "variant", "value", "rank", "mean_rank", "rank_low", "rank_high", "p_best", "p_first_two",
    "next", "p_more", "p_alike", "n",
]  # fmt: skip
Series = Mapping[Cell, pd.Series]  # a metric's outcomes by image


@dataclass(frozen=True)
class Recorded:
    """One run's outcomes that methods can be ranked by: by metric and cell, by image."""

    run: Run
    task: Task
    series: Mapping[str, Series]

    @property
    def about(self) -> dict[str, str]:
        """The first columns of the tables."""
        run = self.run
        names = run.model or "masks", run.dataset["name"], run.protocol["name"]
        return dict(zip(COLUMNS, (str(run.folder), self.task.command, *names)))


@dataclass(frozen=True)
class Ranking:
    """The methods of one run at one place by one metric: on all `n` images, and on resampled ones.

    place    a layer and its variant (``S5``, ``S5+S4 gamma=2``), or ``best``: each method at its
             best layer, which is found anew in every resample
    cells    of each of k methods, the one that is best on all the images, where there are several
    values   ``(k,)`` in the metric's unit
    drawn    ``(draws, k)``, each resample's; the images are the same for all methods
    """

    source: Recorded
    metric: Metric
    place: str
    cells: tuple[Cell, ...]
    values: np.ndarray
    drawn: np.ndarray
    n: int

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(cell.method for cell in self.cells)

    @property
    def merits(self) -> np.ndarray:
        """The values, the higher the better: ``(k,)``."""
        return sign(self.metric) * self.values


def sign(metric: Metric) -> int:
    return -1 if metric.better == "lower" else 1


def ranked_by(task: Task) -> list[str]:
    """The metrics that methods are ranked by: those with a better side and an interval."""
    return [m.name for m in task.metrics.values() if m.better != "neither" and m.interval]


def check(wanted: Sequence[str], tasks: Iterable[Task]) -> None:
    """Raise `ValueError` for a metric that none of the tasks ranks methods by."""
    every = {name: metric for task in tasks for name, metric in task.metrics.items()}
    accepted = list(dict.fromkeys(name for task in tasks for name in ranked_by(task)))
    for name in (name for name in wanted if name not in accepted):
        if name in every:
            why = "has no better side" if every[name].better == "neither" else "has no interval"
            raise ValueError(f"metric {name!r} {why}; ranked: {', '.join(accepted)}")
        names = f"{', '.join(accepted)}{near(name, accepted)}"
        raise ValueError(f"unknown metric {name!r}; known: {names}")


def recorded(
    runs: Path, tasks: Sequence[Task], data: str | None = None, wanted: Sequence[str] = ()
) -> Iterator[Recorded]:
    """Each run below `runs` with the outcomes that its methods are ranked by, one at a time.

    Of the metrics `wanted`, by default all; on `data` (name or folder), by default any. A metric
    that two tasks have of the same records is taken once.
    """
    for run in records.find(runs):
        taken = set[str]()
        for task in tasks:
            if not made(run, task) or data not in {None, run.fingerprint, *run.dataset.values()}:
                continue
            names = [m for m in ranked_by(task) if m not in taken and (not wanted or m in wanted)]
            taken |= set(names)
            outcomes = measures.outcomes(run.folder, task) if names else {}
            series = {m: _series(outcomes, m) for m in names}
            if held := {metric: cells for metric, cells in series.items() if cells}:
                yield Recorded(run, task, held)


def _series(outcomes: measures.Outcomes, metric: str) -> Series:
    """The outcomes of each cell that competes; nulls and the like do not (`nulls.competing`)."""
    cells = [cell for group in nulls.competing({c: c for c in outcomes}) for cell in group]
    series = {cell: measures.of_cell(outcomes, cell, metric) for cell in cells}
    return {cell: values for cell, values in series.items() if len(values)}


def places(cells: Iterable[Cell], layers: Sequence[str] = ()) -> dict[str, list[Cell]]:
    """The cells that are ranked together, by the name of the place: ``best`` and each layer's.

    Cells that hide another share of the image, or that another network segmented, are other places.
    `layers` names some, ``best`` among them; by default all. One method alone has no rank.
    """
    together: dict[str, list[Cell]] = {}
    for cell in cells:
        rest = replace(cell, method="", layers=(), scaling="").variant
        at = " ".join(filter(None, (cell.layer, cell.variant)))
        names = [" ".join(filter(None, (BEST, rest)))] if not layers or BEST in layers else []
        names += [at] if cell.layer and (not layers or cell.layer in layers) else []
        for name in names:
            together.setdefault(name, []).append(cell)
    several = {p: cs for p, cs in together.items() if len({c.method for c in cs}) > 1}
    return dict(sorted(several.items(), key=lambda item: not item[0].startswith(BEST)))


def rankings(
    source: Recorded, layers: Sequence[str] = (), draws: int = 2000, seed: int = 0
) -> Iterator[Ranking]:
    """Every ranking of a run, metric by metric, each on the images that all its cells have."""
    for name, series in source.series.items():
        metric, kept = source.task.metrics[name], _Kept(draws, seed)
        for place, cells in places(series, layers).items():
            shared = series[cells[0]].index
            for cell in cells[1:]:
                shared = shared.intersection(series[cell].index)
            if len(shared):
                drawn = kept.numbers({c: series[c] for c in cells}, metric, shared)
                yield _ranking(source, metric, place, drawn, series, shared)


class _Kept:
    """Resampled numbers of one metric, kept while the images are the same."""

    def __init__(self, draws: int, seed: int) -> None:
        self.draws, self.seed, self.images = draws, seed, pd.Index([])
        self.drawn: dict[Cell, np.ndarray] = {}

    def numbers(self, series: Series, metric: Metric, images: pd.Index) -> dict[Cell, np.ndarray]:
        """``(draws,)`` of each cell on the `images`."""
        if not images.equals(self.images):
            self.images, self.drawn = images, {}
        if lacking := [cell for cell in series if cell not in self.drawn]:
            weights = resampled.weights(len(images), self.draws, self.seed)
            values = resampled.numbers([series[c].loc[images] for c in lacking], metric, weights)
            self.drawn |= dict(zip(lacking, values.T))
        return {cell: self.drawn[cell] for cell in series}


def _ranking(
    source: Recorded,
    metric: Metric,
    place: str,
    drawn: Mapping[Cell, np.ndarray],
    series: Series,
    images: pd.Index,
) -> Ranking:
    """A ranking of cells; a method of several is as good as its best, in each resample anew."""
    way = sign(metric)
    of_method: dict[str, list[Cell]] = {}
    for cell in drawn:
        of_method.setdefault(cell.method, []).append(cell)
    values = {cell: measures.value(series[cell].loc[images], metric) for cell in drawn}
    best = [max(cells, key=lambda c: np.nan_to_num(way * values[c], nan=-np.inf))
            for cells in of_method.values()]  # fmt: skip
    columns = [way * np.fmax.reduce([way * drawn[c] for c in cells])
               for cells in of_method.values()]  # fmt: skip
    numbers = np.array([values[cell] for cell in best])
    return Ranking(source, metric, place, tuple(best), numbers, np.stack(columns, 1), len(images))


def standings(ranking: Ranking, rope: float = 1.0) -> pd.DataFrame:
    """A line a method, the best first, with `COLUMNS`.

    `mean_rank` with its 95 % interval, `p_best` and `p_first_two` are of the resamples. `p_more` is
    the share in which the method is better than the `next` one by more than `rope` points, and
    `p_alike` that in which the two are no further apart: a region of practical equivalence
    (Benavoli et al. 2017, JMLR 18). One image tells no ranks: they are not numbers.
    """
    merits = sign(ranking.metric) * ranking.drawn
    ranks, on_all = ordering.ranks(merits), ordering.ranks(ranking.merits)
    shares = {"p_best": ordering.among(merits, 1), "p_first_two": ordering.among(merits, 2)}
    low, high = np.quantile(ranks, [stats.TAIL, 1 - stats.TAIL], 0, method="inverted_cdf")
    columns = {"mean_rank": ranks.mean(0), "rank_low": low, "rank_high": high}
    columns |= {name: share.mean(0) for name, share in shares.items()}
    order = sorted(range(len(on_all)), key=lambda at: (on_all[at], columns["mean_rank"][at]))
    lines = []
    for at, after in zip(order, [*order[1:], None]):
        cell = ranking.cells[at]
        line: dict[str, object] = {**ranking.source.about, **dict(zip(records.CELL, cell.key))}
        line |= {"metric": ranking.metric.name, "place": ranking.place}
        line |= {"value": ranking.values[at], "rank": on_all[at], "n": ranking.n}
        several = ranking.n > 1
        line |= {name: each[at] if several else np.nan for name, each in columns.items()}
        if after is not None and several:
            ahead = np.round(merits[:, at] - merits[:, after], ordering.DIGITS)
            line |= {"next": ranking.methods[after], "p_more": float((ahead > rope).mean())}
            line |= {"p_alike": float((np.abs(ahead) <= rope).mean())}
        lines.append(line)
    return pd.DataFrame(lines, columns=COLUMNS)
