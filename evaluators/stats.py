"""Intervals and paired tests. What is resampled is the image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2  # on either side of an interval
DRAWS = 10_000
Described = tuple[float, float, float, int]  # value, low, high, n
Statistic = Callable[[np.ndarray], float]  # a set's number, of its images' summed counts


@dataclass(frozen=True)
class Paired:
    """Two methods on the same images: the mean difference a - b, its 95 % interval, the p-value."""

    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    n: int


def share_interval(percent: float, n: int) -> tuple[float, float]:
    """The bootstrap percentile interval of a share of hits among `n` images, in percent.

    Resampling n hits and misses with replacement makes the number of hits exactly binomial, so its
    quantiles are computed, not simulated (Efron and Tibshirani 1993, chapter 13).
    """
    low, high = stats.binom.ppf([TAIL, 1 - TAIL], n, np.clip(percent / 100, 0, 1))
    return 100 * float(low) / n, 100 * float(high) / n


def describe(values: np.ndarray, seed: int = 0, draws: int = 2000) -> Described:
    """``(value, low, high, n)`` of an outcome an image: a share in percent of bool, a float's mean.

    A mean's interval is the bootstrap's percentile interval; of thousands of images its limit, the
    normal one, since their means are drawn from it to three digits (Efron and Tibshirani 1993,
    chapter 13).
    """
    n = len(values)
    if values.dtype == bool:
        share = 100 * float(values.mean())
        return share, *share_interval(share, n), n
    values = values.astype(float)
    mean = float(values.mean())
    if n > 2000:
        reach = float(stats.norm.ppf((1 + CONFIDENCE) / 2) * values.std(ddof=1) / np.sqrt(n))
        return mean, mean - reach, mean + reach, n
    rng = np.random.default_rng(seed)
    return mean, *_quantiles(values[rng.integers(n, size=(draws, n))].mean(1)), n


def describe_counts(
    counts: np.ndarray, statistic: Statistic, seed: int = 0, draws: int = 500
) -> Described:
    """The same of a set metric from per-image counts ``(n, ...)``, by the bootstrap."""
    n = len(counts)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), draws)
    values = np.array([statistic(total) for total in np.tensordot(weights, counts, 1)])
    return statistic(counts.sum(0)), *_quantiles(values), n


def _quantiles(draws: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(draws, [TAIL, 1 - TAIL])
    return float(low), float(high)


def mcnemar(a: np.ndarray, b: np.ndarray, seed: int = 0) -> Paired:
    """Hits ``(n,) bool`` of two methods: exact McNemar test, interval by bootstrap of the images.

    Only images that one hits and the other misses tell anything; under the null hypothesis each is
    as likely to fall either way (McNemar 1947, exact form). The difference is in percentage points.
    """
    n, only_a, only_b = len(a), int((a & ~b).sum()), int((~a & b).sum())
    p = float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    # Resampled images are multinomial in (only a, only b, neither): drawn directly, whatever n is.
    chances = [only_a / n, only_b / n, 1 - (only_a + only_b) / n]
    draws = np.random.default_rng(seed).multinomial(n, chances, DRAWS)
    low, high = _quantiles(100 * (draws[:, 0] - draws[:, 1]) / n)
    return Paired(100 * (only_a - only_b) / n, low, high, p, n)


def matched_interval(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the difference of two methods' hits, in points, for claims of equality.

    Half an image is added to each of the four counts (Agresti and Min 2005), so that few images
    that never disagree are not taken for proof; the bootstrap's interval would then have no width.
    """
    n, only_a, only_b = len(a) + 2, int((a & ~b).sum()) + 0.5, int((~a & b).sum()) + 0.5
    difference = (only_a - only_b) / n
    deviation = np.sqrt((only_a + only_b) / n - difference**2)
    reach = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * deviation / np.sqrt(n)
    return 100 * (difference - reach), 100 * (difference + reach)


def sign_flip(a: np.ndarray, b: np.ndarray, seed: int = 0, draws: int = 2000) -> Paired:
    """Means of ``(n,) float`` values: permutation test that flips the signs of the differences.

    Seeded. The p-value counts the observed arrangement among the drawn ones, so it is never 0. The
    interval is the bootstrap's over images.
    """
    differences, rng = np.asarray(a, float) - np.asarray(b, float), np.random.default_rng(seed)
    total, n = differences.sum(), len(differences)
    as_large = 0
    for _ in range(draws):
        octets = rng.integers(256, size=(n + 7) // 8, dtype=np.uint8)
        positive = np.unpackbits(octets)[:n].astype(float)  # 1 where the sign stays, else 0
        as_large += abs(2 * (differences @ positive) - total) >= abs(total) * (1 - 1e-12)
    means = [differences[rng.integers(n, size=n)].mean() for _ in range(draws)]
    low, high = _quantiles(np.array(means))
    return Paired(float(differences.mean()), low, high, (int(as_large) + 1) / (draws + 1), n)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number: Holm's step-down (Holm 1979), in the order given."""
    order, corrected, highest = np.argsort(p_values), np.empty(len(p_values)), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected.tolist()


def paired_bootstrap(
    a: np.ndarray, b: np.ndarray, statistic: Statistic, seed: int = 0, draws: int = 2000
) -> Paired:
    """A set metric of two methods from per-image counts ``(n, ...)``: bootstrap of the images.

    `statistic` turns the counts summed over images, ``(...)``, into the number. The p-value is
    twice the share of resamples on the far side of zero, counting the observed one.
    """
    rng, n = np.random.default_rng(seed), len(a)
    differences = np.empty(draws)
    for draw in range(draws):
        weights = rng.multinomial(n, np.full(n, 1 / n))
        left, right = (statistic(np.tensordot(weights, counts, 1)) for counts in (a, b))
        differences[draw] = left - right
    low, high = _quantiles(differences)
    beyond = min((differences <= 0).sum(), (differences >= 0).sum())
    p = min(1.0, 2 * (int(beyond) + 1) / (draws + 1))
    return Paired(statistic(a.sum(0)) - statistic(b.sum(0)), low, high, p, n)
