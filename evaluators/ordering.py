"""Ranks of merits: who is first, who is tied with whom. The higher the merit, the better.

Ties share what they take: two that are first have the rank 1.5 each, and are the best by a half
each. A merit that is no number is below all others.
"""

import numpy as np

DIGITS = 9  # what sums in another order do to the last bits is no difference


def _counts(merits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many of ``(..., k)`` are better than each, and how many equal, itself among them."""
    told = np.where(np.isnan(merits), -np.inf, np.round(merits, DIGITS))
    better = np.zeros(told.shape, np.int32)
    equal = np.zeros(told.shape, np.int32)
    for rival in range(told.shape[-1]):
        other = told[..., rival : rival + 1]
        better += other > told
        equal += other == told
    return better, equal


def ranks(merits: np.ndarray) -> np.ndarray:
    """The rank of each of ``(..., k)`` merits, from 1, equals at the mean of theirs (midranks)."""
    better, equal = _counts(merits)
    return better + (equal + 1) / 2


def among(merits: np.ndarray, places: int) -> np.ndarray:
    """The share of each of ``(..., k)`` in the first `places`, 0 to 1; they sum to `places`.

    Equals take what is left for them in equal parts, as a fair draw among them does on average.
    """
    better, equal = _counts(merits)
    return np.clip((places - better) / equal, 0, 1)
