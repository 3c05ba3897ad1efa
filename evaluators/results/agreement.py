"""Do metrics agree on the order of methods? Kendall's tau-b between every two of a run."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy  # its stats take a second to import, which happens when they are used

from camx.evaluators import ordering
from camx.evaluators.results import measures
from camx.evaluators.results.rankings import BEST, Ranking, Recorded, sign

OVER = ("methods", "cells")  # each method at its best layer; every method at every layer
MEAN = "mean"  # instead of a run, the mean over all of one command
FIRST = ["command", "run", "over", "metric"]
Merits = Mapping[str, Mapping[Hashable, float]]  # by metric, the higher the better


@dataclass(frozen=True)
class Agreement:
    """Tau-b between metrics ``(m, m)``, over methods or cells of a run, and how many there are.

    1: the same order; -1: the opposite one; 0: neither. Not a number where fewer than two cells
    have both metrics, or one metric holds all for equal.
    """

    command: str
    run: str
    over: str
    metrics: tuple[str, ...]
    taus: np.ndarray
    counts: np.ndarray


def tau(a: Sequence[float], b: Sequence[float]) -> float:
    """Kendall's tau-b of two lists of merits; not a number where one has no order (1945)."""
    left, right = (np.round(np.asarray(side, float), ordering.DIGITS) for side in (a, b))
    held = ~(np.isnan(left) | np.isnan(right))
    left, right = left[held], right[held]
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(scipy.stats.kendalltau(left, right).statistic)


def agreements(source: Recorded, rankings: Iterable[Ranking]) -> list[Agreement]:
    """Those of a run over its methods and over its cells, where it has two metrics or more.

    The metrics' directions are taken off: a tau above 0 always says that they agree.
    """
    of_methods: dict[str, dict[Hashable, float]] = {}
    for ranking in rankings:
        if ranking.place.startswith(BEST):
            keys = ((ranking.place, method) for method in ranking.methods)
            of_methods.setdefault(ranking.metric.name, {}).update(zip(keys, ranking.merits))
    of_cells: dict[str, dict[Hashable, float]] = {}
    for name, series in source.series.items():
        metric = source.task.metrics[name]
        of_cells[name] = {c: sign(metric) * measures.value(s, metric) for c, s in series.items()}
    merits = dict(zip(OVER, (of_methods, of_cells)))
    return [_agreement(source, over, held) for over, held in merits.items() if len(held) > 1]


def _agreement(source: Recorded, over: str, merits: Merits) -> Agreement:
    taus, counts = np.full((2, len(merits), len(merits)), np.nan)
    for row, a in enumerate(merits.values()):
        for column, b in enumerate(merits.values()):
            both = [key for key in a if key in b]
            counts[row, column] = len(both)
            taus[row, column] = tau([a[key] for key in both], [b[key] for key in both])
    folder = str(source.run.folder)
    return Agreement(source.task.command, folder, over, tuple(merits), taus, counts)


def mean(agreements: Sequence[Agreement]) -> Agreement:
    """The mean tau over the runs of one command that have it; the counts are of runs."""
    metrics = tuple(dict.fromkeys(name for a in agreements for name in a.metrics))
    total, counts = np.zeros((2, len(metrics), len(metrics)))
    for each in agreements:
        at = np.ix_(*[[metrics.index(name) for name in each.metrics]] * 2)
        held = ~np.isnan(each.taus)
        total[at] += np.where(held, each.taus, 0)
        counts[at] += held
    taus = np.divide(total, counts, out=np.full(total.shape, np.nan), where=counts > 0)
    return Agreement(agreements[0].command, MEAN, agreements[0].over, metrics, taus, counts)


def with_means(agreements: Sequence[Agreement]) -> list[Agreement]:
    """The agreements, and after those of each command of several runs their mean."""
    grouped: dict[tuple[str, str], list[Agreement]] = {}
    for each in agreements:
        grouped.setdefault((each.command, each.over), []).append(each)
    means = [[mean(group)] if len(group) > 1 else [] for group in grouped.values()]
    return [each for group, of in zip(grouped.values(), means) for each in (*group, *of)]


def frame(agreements: Sequence[Agreement]) -> pd.DataFrame:
    """A matrix below the other: a line a run and metric, a column a metric."""
    lines = []
    for each in agreements:
        for name, row in zip(each.metrics, each.taus):
            first = dict(zip(FIRST, (each.command, each.run, each.over, name)))
            lines.append(first | dict(zip(each.metrics, row)))
    metrics = dict.fromkeys(name for each in agreements for name in each.metrics)
    return pd.DataFrame(lines, columns=[*FIRST, *metrics])
