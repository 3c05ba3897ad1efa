"""Relevance rank accuracy: a sorted list, and what every order of equals gives on average."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camx.evaluators.judged import Map
from camx.evaluators.measures import rank


def sorted_share(values, on):
    """Of the K highest, those among equals at the end taken in part."""
    k = sum(on)
    if not k:
        return float("nan")
    ordered = sorted(zip(values, on), key=lambda pair: -pair[0])
    last = ordered[k - 1][0]
    above = [o for v, o in ordered if v > last]
    equal = [o for v, o in ordered if v == last]
    return (sum(above) + sum(equal) * (k - len(above)) / len(equal)) / k


def every_order(values, on):
    """The mean over every order of the pixels, as a stable sort takes them."""
    shares = []
    for order in permutations(range(len(values))):
        listed = sorted(order, key=lambda i: -values[i])
        shares.append(sum(on[i] for i in listed[: sum(on)]) / sum(on))
    return sum(shares) / len(shares)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
def test_equals_count_as_every_order_does_on_average(pixels):
    values, on = zip(*pixels)
    if not any(on):
        return
    every = np.bincount(values, minlength=4)
    marked = np.bincount([v for v, o in pixels if o], minlength=4)
    assert rank.accuracy(every, marked) == pytest.approx(every_order(values, on))
    assert sorted_share(values, on) == pytest.approx(every_order(values, on))


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_it_is_that_of_a_sorted_list(heatmap, truth, kind):
    for seed in range(4):
        values = heatmap(seed, 14, 14)
        grid = (values * 255).astype(np.uint8) if kind == np.uint8 else values - 0.5
        rng = np.random.default_rng(seed)
        shown, mask = Map(grid, (41, 30)), rng.choice([0, 1, 255], size=(30, 41))
        judged = truth(mask=mask.astype(np.uint8))
        counted = mask != 255
        expected = sorted_share(
            shown.on_image[counted].tolist(), (mask[counted] == 1).astype(int).tolist()
        )
        assert rank.judge(shown, judged)[0] == pytest.approx(100 * expected)
        judged = truth((3, 4, 20, 25), (15, 20, 41, 30), size=(41, 30))
        expected = sorted_share(
            shown.on_image.ravel().tolist(), judged.boxed.ravel().astype(int).tolist()
        )
        assert rank.judge(shown, judged)[0] == pytest.approx(100 * expected)


def test_the_k_highest_are_k(truth):
    """Four pixels of the object: three are among the four highest, and one is the fifth."""
    values = np.zeros((30, 40), np.uint8)
    values[0, :6] = 9, 8, 7, 6, 5, 4
    mask = np.zeros((30, 40), np.uint8)
    mask[0, [0, 1, 3, 4]] = 1
    assert rank.judge(Map(values, (40, 30)), truth(mask=mask)) == (75,)
    values[0, 4] = 6  # as high as the fourth: half of each
    assert rank.judge(Map(values, (40, 30)), truth(mask=mask)) == (75,)
    values[0, 2] = 6  # and three for two places
    assert rank.judge(Map(values, (40, 30)), truth(mask=mask)) == pytest.approx(
        (100 * (2 + 2 * 2 / 3) / 4,)
    )


@pytest.mark.parametrize("value", [np.uint8(0), np.uint8(9), 0.5, np.nan])
def test_a_map_that_says_nothing_ranks_as_chance_does(truth, value):
    shown = Map(np.full((30, 40), value), (40, 30))
    assert rank.judge(shown, truth((0, 0, 20, 15))) == (25,)


def test_a_map_that_is_partly_no_number_ranks_as_chance_does(truth):
    values = np.zeros((30, 40))
    values[3, 3], values[0, 0] = np.nan, 1
    assert rank.judge(Map(values, (40, 30)), truth((0, 0, 20, 15))) == (25,)


def test_no_object_and_nothing_else(truth):
    shown = Map(np.eye(14), (40, 30))
    assert np.isnan(rank.judge(shown, truth(size=(40, 30)))[0])
    assert rank.judge(shown, truth((0, 0, 40, 30))) == (100,)
