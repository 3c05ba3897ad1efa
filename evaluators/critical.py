"""Methods over several data sets and networks: Friedman's test, Nemenyi's critical difference.

Demsar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its stats take a second to import, which happens when they are used

ALPHA = 0.05


@dataclass(frozen=True)
class Test:
    """Whether any method differs: the test's name, its statistic and p-value.

    `f` and `p_f` are Iman and Davenport's correction of Friedman's, which is conservative; not a
    number where there is none.
    """

    name: str
    statistic: float
    p_value: float
    f: float = float("nan")
    p_f: float = float("nan")


def quantile(methods: int, alpha: float = ALPHA) -> float:
    """Nemenyi's q: the studentized range's, of infinite degrees of freedom, by the root of 2.

    At 0.05 that is 1.960 for 2 methods, 3.164 for 10 (Demsar 2006, table 5a).
    """
    return float(scipy.stats.studentized_range.isf(alpha, methods, np.inf) / np.sqrt(2))


def difference(methods: int, blocks: int, alpha: float = ALPHA) -> float:
    """The critical difference of mean ranks over so many blocks, ``q sqrt(k (k + 1) / 6 N)``."""
    return quantile(methods, alpha) * float(np.sqrt(methods * (methods + 1) / (6 * blocks)))


def friedman(ranks: np.ndarray) -> Test:
    """Friedman's test of midranks ``(N, k)``, with its correction for ties.

    Where all methods are tied in each block nothing differs: 0, and a p-value of 1. Raises
    `ValueError` for fewer than two blocks or three methods.
    """
    blocks, methods = ranks.shape
    if blocks < 2 or methods < 3:
        what = f"{blocks} blocks of {methods} methods"
        raise ValueError(f"Friedman's test needs two blocks and three methods, not {what}")
    spread = float(((ranks - (methods + 1) / 2) ** 2).sum())  # less where ranks are tied
    if not spread:
        return Test("Friedman", 0.0, 1.0)
    apart = ranks.sum(0) - blocks * (methods + 1) / 2
    statistic = (methods - 1) * float((apart**2).sum()) / spread
    p_value = float(scipy.stats.chi2.sf(statistic, methods - 1))
    left = blocks * (methods - 1) - statistic
    if left < 1e-9:  # every block has the same order
        return Test("Friedman", statistic, p_value, float("inf"), 0.0)
    f = (blocks - 1) * statistic / left
    degrees = methods - 1, (methods - 1) * (blocks - 1)
    return Test("Friedman", statistic, p_value, f, float(scipy.stats.f.sf(f, *degrees)))


def wilcoxon(differences: np.ndarray) -> Test:
    """Wilcoxon's signed-rank test of two methods' differences ``(N,)``, for Friedman's of more."""
    if not np.any(differences):
        return Test("Wilcoxon", 0.0, 1.0)
    result = scipy.stats.wilcoxon(differences)
    return Test("Wilcoxon", float(result.statistic), float(result.pvalue))


def groups(means: Sequence[float], critical: float) -> list[tuple[int, ...]]:
    """The bars of the diagram: places of methods whose mean ranks are not told apart.

    Each holds two methods or more, in the order of their ranks, whose ends are less than the
    critical difference apart; none lies within another.
    """
    order = sorted(range(len(means)), key=lambda place: means[place])
    bars, reached = list[tuple[int, ...]](), 0
    for start, first in enumerate(order):
        close = [p for p in order[start:] if means[p] - means[first] < critical]
        end = start + len(close)
        if len(close) > 1 and end > reached:
            bars.append(tuple(close))
            reached = end
    return bars


def letters(count: int, bars: Sequence[tuple[int, ...]]) -> list[str]:
    """Bars as letters, a text a method: those that share a letter are not told apart."""
    names = [_letter(number) for number in range(len(bars))]
    return ["".join(n for n, bar in zip(names, bars) if place in bar) for place in range(count)]


def _letter(number: int) -> str:
    """a to z, then a1, b1 and so on."""
    turn, place = divmod(number, 26)
    return chr(ord("a") + place) + (str(turn) if turn else "")
