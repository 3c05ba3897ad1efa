"""Intervals and paired tests. What is resampled is the image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its stats take a second to import, which happens when they are used

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2  # on either side of an interval
DRAWN = 1_000_000  # values at once: 8 MB
NO_INTERVAL = (float("nan"), float("nan"))  # one image does not tell how images differ
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
    """Wilson's score interval of a share of hits among `n` images, in percent.

    Unlike the bootstrap's it has a width where no image hits, or all do (Wilson 1927; Brown, Cai
    and DasGupta 2001).
    """
    hits = round(n * float(np.clip(percent / 100, 0, 1)))
    interval = scipy.stats.binomtest(hits, n).proportion_ci(CONFIDENCE, method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)


def describe(values: np.ndarray, seed: int = 0, draws: int = 2000) -> Described:
    """``(value, low, high, n)`` of an outcome an image: a share in percent of bool, a float's mean.

    A share's interval is Wilson's (`share_interval`). A mean's is the bootstrap's percentile
    interval; of thousands of images its limit, the normal one, since their means are drawn from it
    to three digits (Efron and Tibshirani 1993, chapter 13). One image's mean has none: NaN.
    """
    n = len(values)
    if values.dtype == bool:
        share = 100 * float(values.mean())
        return share, *share_interval(share, n), n
    values = values.astype(float)
    mean = float(values.mean())
    if n == 1:
        return mean, *NO_INTERVAL, n
    if n > 2000:
        reach = float(scipy.stats.norm.ppf((1 + CONFIDENCE) / 2) * values.std(ddof=1) / np.sqrt(n))
        return mean, mean - reach, mean + reach, n
    rng = np.random.default_rng(seed)
    return mean, *_quantiles(values[rng.integers(n, size=(draws, n))].mean(1)), n


def describe_counts(
    counts: np.ndarray, statistic: Statistic, seed: int = 0, draws: int = 500
) -> Described:
    """The same of a set metric from per-image counts ``(n, ...)``, by the bootstrap."""
    n = len(counts)
    if n == 1:
        return statistic(counts.sum(0)), *NO_INTERVAL, n
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), draws)
    values = np.array([statistic(total) for total in weighed(weights, counts)])
    return statistic(counts.sum(0)), *_quantiles(values), n


def weighed(weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sums of ``counts (n, ...)`` by ``weights (draws, n)``, in floats: those are multiplied fast.

    Whole numbers stay so up to 2^53. Some rows at a time: as floats they take eight times the room.
    """
    flat, step = counts.reshape(len(counts), -1), 4096
    places = range(0, len(flat), step)
    parts = (weights[:, at : at + step] @ flat[at : at + step].astype(float) for at in places)
    return sum(parts, np.zeros(())).reshape(-1, *counts.shape[1:])


def _quantiles(draws: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(draws, [TAIL, 1 - TAIL])
    return float(low), float(high)


def describe_classes(counts: np.ndarray, statistic: Statistic) -> Described:
    """The same of a mean over classes, such as mIoU, in percent, by the jackknife.

    Resamples lose a rare class, or draw its only image many times; leaving one image out at a time
    keeps every class of the whole sample (`_left_out`).
    """
    value, n = statistic(counts.sum(0)), len(counts)
    reach = _jackknife(_left_out(counts, statistic))[2]
    low, high = np.clip([value - reach, value + reach], 0, 100)
    return value, float(low), float(high), n


def _left_out(counts: np.ndarray, statistic: Statistic) -> np.ndarray:
    """The statistic without each image in turn, ``(n,)``.

    A billionth of the image stays, so that a class that no other image shows keeps its value.
    """
    total = counts.sum(0)
    return np.array([statistic(total - (1 - 1e-9) * image) for image in counts])


def _jackknife(left_out: np.ndarray) -> tuple[float, float, float]:
    """``(error, degrees, reach)``: standard error, degrees of freedom, half the 95 % interval.

    Student's t has as many degrees of freedom as the error's own spread tells (Satterthwaite 1946,
    by the fourth moment): few where few images of rare classes decide. NaN where no image moves the
    number, such as a single one, or where each class is on one image: that tells no error.
    """
    n, apart = len(left_out), left_out - left_out.mean()
    square, fourth = float((apart**2).sum()), float((apart**4).sum())
    error = float(np.sqrt((n - 1) / n * square))
    if error < 1e-6:  # nothing moves but by rounding
        return float("nan"), float("nan"), float("nan")
    degrees = min(n - 1, 2 * n / max(n * fourth / square**2 - 1, 1e-9))
    return error, degrees, error * float(scipy.stats.t.ppf(1 - TAIL, degrees))


def describe_by_class(rows: np.ndarray, statistic: Statistic) -> Described:
    """The same of a mean over classes of a number of each, ``(n, 1 + k)``: label, then counts.

    By the jackknife, as `describe_classes`: a class's number is of the sum of its images' counts.
    """
    value, left_out = _by_class(rows, statistic)
    reach = _jackknife(left_out)[2]
    low, high = np.clip([value - reach, value + reach], 0, 100)
    return value, float(low), float(high), len(rows)


def _by_class(rows: np.ndarray, statistic: Statistic) -> tuple[float, np.ndarray]:
    """The mean over classes, and the same without each image in turn, ``(n,)``.

    A class that no other image is of keeps its number.
    """
    labels, left_out = rows[:, 0], np.zeros(len(rows))
    numbers = []
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        counts = rows[places, 1:].astype(float)
        total = counts.sum(0)
        numbers.append(statistic(total))
        if len(places) > 1:
            unlike, which = np.unique(counts, axis=0, return_inverse=True)
            others = np.array([statistic(total - row) for row in unlike])
            left_out[places] = others[which.ravel()] - numbers[-1]
    present = [number for number in numbers if number == number]
    mean = sum(present) / len(present) if present else float("nan")
    return mean, mean + np.nan_to_num(left_out) / max(1, len(present))


def linear_classes(counts: np.ndarray, statistic: Statistic) -> np.ndarray:
    """A mean over classes as a mean over images: what each image's part of it is, ``(n,)``.

    Their mean is the number, and their spread the jackknife's error (`describe_classes`), so that
    resampled images lose no rare class (Efron and Tibshirani 1993, chapter 11, pseudo-values).
    """
    return _linear(statistic(counts.sum(0)), _left_out(counts, statistic))


def linear_by_class(rows: np.ndarray, statistic: Statistic) -> np.ndarray:
    """The same of a mean over classes of a number of each; see `describe_by_class`."""
    return _linear(*_by_class(rows, statistic))


def _linear(value: float, left_out: np.ndarray) -> np.ndarray:
    return value - (len(left_out) - 1) * (left_out - left_out.mean())


def mcnemar(a: np.ndarray, b: np.ndarray) -> Paired:
    """Hits ``(n,) bool`` of two methods: exact McNemar test, interval of `matched_interval`.

    Only images that one hits and the other misses tell anything; under the null hypothesis each is
    as likely to fall either way (McNemar 1947, exact form). The difference is in percentage points.
    """
    n, only_a, only_b = len(a), int((a & ~b).sum()), int((~a & b).sum())
    p = float(scipy.stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    interval = matched_interval(a.astype(int) - b.astype(int))
    return Paired(100 * (only_a - only_b) / n, *interval, p, n)


def matched_interval(differences: np.ndarray) -> tuple[float, float]:
    """The 95 % interval, in points, of a mean difference of hits ``(n,) int``.

    Half an image is added to each of the four counts, both hit, neither, only the one and only the
    other (Agresti and Min 2005), so that few images that never disagree are not taken for proof;
    the bootstrap's interval would then have no width. Of a lead against a lead, differences are -2
    to 2, and the same is added.
    """
    n, total, squares = len(differences) + 2, differences.sum(), (differences**2).sum() + 1
    mean = total / n
    reach = float(scipy.stats.norm.ppf(1 - TAIL)) * np.sqrt((squares / n - mean**2) / n)
    most = max(1, int(np.abs(differences).max(initial=0)))
    low, high = 100 * np.clip([mean - reach, mean + reach], -most, most)
    return float(low), float(high)


def sign_flip(a: np.ndarray, b: np.ndarray, seed: int = 0, draws: int = 2000) -> Paired:
    """Means of ``(n,) float`` values: permutation test that flips the signs of the differences.

    Seeded. The p-value counts the observed arrangement among the drawn ones, so it is never 0. The
    interval is the bootstrap's over images; NaN for one.
    """
    differences, rng = np.asarray(a, float) - np.asarray(b, float), np.random.default_rng(seed)
    total, n = differences.sum(), len(differences)
    as_large = 0
    for _ in range(draws):
        octets = rng.integers(256, size=(n + 7) // 8, dtype=np.uint8)
        positive = np.unpackbits(octets)[:n].astype(float)  # 1 where the sign stays, else 0
        as_large += abs(2 * (differences @ positive) - total) >= abs(total) * (1 - 1e-12)
    low, high = _quantiles(_resampled(differences, draws, rng)) if n > 1 else NO_INTERVAL
    return Paired(float(differences.mean()), low, high, (int(as_large) + 1) / (draws + 1), n)


def _resampled(values: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Means of ``(n,)`` values drawn anew, ``(draws,)``: a million of them at once."""
    n, means = len(values), np.empty(draws)
    step = max(1, DRAWN // n)
    for at in range(0, draws, step):
        places = rng.integers(n, size=(min(step, draws - at), n))
        means[at : at + step] = values[places].mean(1)
    return means


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
    for at in range(0, draws, 64):
        weights = rng.multinomial(n, np.full(n, 1 / n), min(64, draws - at))
        left, right = (map(statistic, weighed(weights, counts)) for counts in (a, b))
        differences[at : at + 64] = [more - less for more, less in zip(left, right)]
    low, high = _quantiles(differences) if n > 1 else NO_INTERVAL
    beyond = min((differences <= 0).sum(), (differences >= 0).sum())
    p = min(1.0, 2 * (int(beyond) + 1) / (draws + 1))
    return Paired(statistic(a.sum(0)) - statistic(b.sum(0)), low, high, p, n)


def paired_classes(a: np.ndarray, b: np.ndarray, statistic: Statistic) -> Paired:
    """The same of a mean over classes, in percent: the jackknife of the images, and its t-test.

    See `describe_classes`; both methods' classes are those of the whole sample.
    """
    difference = statistic(a.sum(0)) - statistic(b.sum(0))
    return _paired_jackknife(difference, _left_out(a, statistic) - _left_out(b, statistic))


def _paired_jackknife(difference: float, left_out: np.ndarray) -> Paired:
    """Of a difference in percent, and of it without each image in turn."""
    error, degrees, reach = _jackknife(left_out)
    p = 2 * float(scipy.stats.t.sf(abs(difference) / error, degrees)) if error == error else 1.0
    low, high = np.clip([difference - reach, difference + reach], -100, 100)
    return Paired(difference, float(low), float(high), p, len(left_out))


def paired_by_class(a: np.ndarray, b: np.ndarray, statistic: Statistic) -> Paired:
    """The same of a mean over classes of a number of each; see `describe_by_class`."""
    (left, without_a), (right, without_b) = (_by_class(rows, statistic) for rows in (a, b))
    return _paired_jackknife(left - right, without_a - without_b)
