"""Ranks and shares of places, against every draw among equals."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from camx.evaluators import ordering

MERITS = st.lists(st.sampled_from([0.0, 1.0, 2.5, -1.0]), min_size=1, max_size=5)


def orders(merits):
    """Every order of the places of merits, the best first, that a draw among equals can give."""
    places = range(len(merits))
    return [
        order
        for order in itertools.permutations(places)
        if all(merits[a] >= merits[b] for a, b in itertools.pairwise(order))
    ]


@given(MERITS)
def test_ranks_are_the_mean_over_all_draws(merits):
    every = orders(merits)
    expected = [np.mean([order.index(at) + 1 for order in every]) for at in range(len(merits))]
    assert ordering.ranks(np.array(merits)).tolist() == pytest.approx(expected)
    assert ordering.ranks(np.array(merits)).tolist() == rankdata(-np.array(merits)).tolist()


@given(MERITS, st.integers(1, 4))
def test_the_first_places_are_drawn_among_equals(merits, places):
    every = orders(merits)
    expected = [np.mean([at in order[:places] for order in every]) for at in range(len(merits))]
    shares = ordering.among(np.array(merits), places)
    assert shares.tolist() == pytest.approx(expected)
    assert shares.sum() == pytest.approx(min(places, len(merits)))


def test_resamples_are_ranked_each_by_itself():
    merits = np.random.default_rng(0).integers(4, size=(50, 6)).astype(float)
    rows = [ordering.ranks(row).tolist() for row in merits]
    assert ordering.ranks(merits).tolist() == rows
    assert ordering.among(merits, 2).tolist() == [ordering.among(r, 2).tolist() for r in merits]


def test_what_is_no_number_is_last_and_the_last_bits_do_not_count():
    assert ordering.ranks(np.array([np.nan, -5.0, 3.0, np.nan])).tolist() == [3.5, 2, 1, 3.5]
    assert ordering.ranks(np.array([0.1 + 0.2, 0.3, 0.0])).tolist() == [1.5, 1.5, 3]
    assert ordering.ranks(np.array([1e-8, 0.0])).tolist() == [1, 2]
