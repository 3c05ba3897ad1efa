"""A metric's numbers on resampled images, the same images for every cell."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from camx.evaluators import confusion, stats
from camx.evaluators.results import measures
from camx.evaluators.tasks import Metric


def weights(n: int, draws: int, seed: int = 0) -> np.ndarray:
    """How often each of `n` images is drawn in each of `draws` resamples, ``(draws, n) uint8``.

    Each resample draws n of them with replacement. That one image is drawn 256 times, which would
    not fit, has a chance below 1e-500.
    """
    rng, step = np.random.default_rng(seed), max(1, stats.DRAWN // n)
    rows = np.empty((draws, n), np.uint8)
    for at in range(0, draws, step):
        size = min(step, draws - at)
        places = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        rows[at : at + size] = np.bincount(places.ravel(), minlength=size * n).reshape(size, n)
    return rows


def numbers(outcomes: Sequence[pd.Series], metric: Metric, weights: np.ndarray) -> np.ndarray:
    """The metric of each resample and cell, ``(draws, k)``, of the cells' outcomes by image.

    All k hold the same n images in the same order. A mean is the resample's, a set metric is of its
    summed counts, and a mean over classes is resampled by each image's part of it
    (`stats.linear_classes`), as the intervals are.
    """
    if metric.counts and metric.counts is not confusion.mean:
        return np.stack([_of_counts(series, metric, weights) for series in outcomes], 1)
    parts = np.stack([_parts(series, metric) for series in outcomes], 1)
    return stats.weighed(weights, parts) / len(parts)


def _parts(outcomes: pd.Series, metric: Metric) -> np.ndarray:
    """What each image adds to the mean that the number is, ``(n,)``, in the metric's unit."""
    if metric.by_class:
        return stats.linear_by_class(np.stack(outcomes.to_list()), metric.by_class)
    if metric.counts:
        return stats.linear_classes(np.stack(outcomes.to_list()), metric.counts)
    return outcomes.to_numpy(float) * (100 if measures.are_hits(outcomes) else 1)


def _of_counts(outcomes: pd.Series, metric: Metric, weights: np.ndarray) -> np.ndarray:
    """The set metric of each resample, ``(draws,)``.

    Columns that are as the one before, as most of a map's thousand thresholds are, are summed once.
    """
    assert metric.counts, "a mean over images has none"
    counts = np.stack(outcomes.to_list())
    flat = counts.reshape(len(counts), -1)
    new = np.ones(flat.shape[1], bool)
    new[1:] = (flat[:, 1:] != flat[:, :-1]).any(0)
    totals = stats.weighed(weights, flat[:, new])[:, new.cumsum() - 1]
    return np.array([metric.counts(total) for total in totals.reshape(-1, *counts.shape[1:])])
