"""Intervals. What is resampled is the image."""

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


def share_interval(percent: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The bootstrap percentile interval of a share of hits among `n` images, in percent.

    Resampling n hits and misses with replacement makes the number of hits exactly binomial, so its
    quantiles are computed, not simulated (Efron and Tibshirani 1993, chapter 13).
    """
    tail = (1 - confidence) / 2
    low, high = stats.binom.ppf([tail, 1 - tail], n, np.clip(percent / 100, 0, 1))
    return 100 * float(low) / n, 100 * float(high) / n
