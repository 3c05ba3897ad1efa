"""Pseudo labels and Table XIII's two forms, each by hand and against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camx.evaluators.tasks.pseudo import labels

SEEDS = st.integers(0, 2**32 - 1)

# Four superpixels of a 4 x 4 image: two quarters above, a row and the row below it.
QUARTERS = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]])
# The map of class 4: means 0.75, 0.25, 0.3, 0.1.
FOUR = np.array(
    [[1.0, 1.0, 0.5, 0.0], [0.5, 0.5, 0.5, 0.0], [0.6, 0.6, 0.0, 0.0], [0.4, 0.0, 0.0, 0.0]]
)
# The map of class 11: means 0.25, 0.5, 0.2, 0.1; it alone has the image's highest value outside the
# first quarter.
ELEVEN = np.array(
    [[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.8], [0.0, 0.0, 0.0, 0.4]]
)
BOTH = np.stack([FOUR, ELEVEN])
# So class 4 (index 5) takes the first quarter and, with exactly 0.3, the row; class 11 (index 12)
# the second quarter. The last row's best is 0.1 and background.
ASSIGNED = np.array([[5, 5, 12, 12], [5, 5, 12, 12], [5, 5, 5, 5], [0, 0, 0, 0]])


def test_a_four_by_four_example_by_hand():
    assigned = labels.assign(BOTH, [4, 11], QUARTERS)
    assert assigned.dtype == np.uint8
    assert np.array_equal(assigned, ASSIGNED)
    gaps = 3 * QUARTERS + 2  # numbers that no pixel has
    assert np.array_equal(labels.assign(BOTH, [4, 11], gaps), ASSIGNED)
    per_pixel = labels.assign(BOTH, [4, 11], None)
    assert per_pixel.tolist() == [[5, 5, 12, 12], [5, 12, 5, 0], [5, 5, 0, 12], [5, 0, 0, 12]]


def test_ties_and_edges():
    maps, one = np.full((2, 4, 4), 0.5), np.zeros((4, 4), int)
    assert np.all(labels.assign(maps, [7, 3], QUARTERS) == 8)  # equal: the first
    assert np.all(labels.assign(maps, [3, 7], None) == 4)
    assert np.all(labels.assign(maps, [3, 7], QUARTERS, threshold=0.6) == 0)  # all below
    assert np.all(labels.assign(BOTH, [4, 11], one) == 5)  # one superpixel: 0.35 and 0.2625
    for superpixels in (QUARTERS, None):  # no label
        assert np.all(labels.assign(np.zeros((0, 4, 4), np.uint8), [], superpixels) == 0)


def test_a_mean_at_the_threshold_of_a_uint8_map_is_not_below_it():
    """76.5 of 255 is 0.3, whatever order it is summed in; 76 of 255 is below."""
    maps = np.array([[[76, 77], [76, 76]]], np.uint8)
    assert labels.assign(maps, [0], np.array([[0, 0], [1, 1]])).tolist() == [[1, 1], [0, 0]]


def region(superpixels, place, shape):
    """The pixels of the superpixel at a place; the place alone without superpixels."""
    if superpixels is None:
        return [place]
    return [p for p in np.ndindex(*shape) if superpixels[p] == superpixels[place]]


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 4), st.booleans(), st.booleans())
def test_eq_10_against_loops(seed, classes, whole, regions):
    rng, shape, peak = np.random.default_rng(seed), (6, 5), 255 if whole else 1
    if whole:
        maps = rng.integers(0, 256, (classes, *shape)).astype(np.uint8)
    else:
        maps = rng.random((classes, *shape))
    image_labels = rng.choice(20, classes, replace=False).tolist()
    superpixels = rng.integers(0, 6, shape) if regions else None
    assigned = labels.assign(maps, image_labels, superpixels, 0.45)
    for place in np.ndindex(*shape):
        pixels = region(superpixels, place, shape)
        means = [sum(float(m[p]) for p in pixels) / len(pixels) / peak for m in maps]
        best = means.index(max(means))
        assert assigned[place] == (0 if means[best] < 0.45 else image_labels[best] + 1)


# Table XIII by hand: class 0 above 0.2 in three pixels, class 2 in two, one of them the same; truth
# 255 does not count.
MAPS = np.array([[[0.9, 0.3], [0.2, 0.21]], [[0.0, 0.5], [0.0, 0.9]]])
TRUTH = np.array([[1, 3], [1, 255]], np.uint8)


def test_table_xiii_by_hand():
    # Class 0: marked (0,0) and (0,1), the latter wrongly, (1,1) not counted; (1,0) is at 0.2, not
    # above, and missed: 1 of 3. Class 2: marked (0,1), right: 1 of 1. Class 1 is none of the
    # image's.
    assert labels.hard_counts(MAPS, [0, 2], TRUTH, 3).tolist() == [[1, 0, 1], [3, 0, 1]]
    # As classes: class 0, class 2, background; the last pixel does not count.
    matrix = labels.argmax_confusion(MAPS, [0, 2], TRUTH, 3)
    assert np.argwhere(matrix).tolist() == [[1, 0], [1, 1], [3, 3]]
    assert matrix.sum() == 3
    assert labels.argmax_confusion(np.zeros((0, 2, 2)), [], TRUTH, 3)[:, 0].tolist() == [0, 2, 0, 1]


def test_a_level_at_the_hard_threshold_of_a_uint8_map_is_not_above_it():
    maps, truth = np.array([[[51, 52]]], np.uint8), np.array([[1, 1]], np.uint8)  # 0.2 is 51
    assert labels.argmax(maps, [0]).tolist() == [[0, 1]]
    assert labels.hard_counts(maps, [0], truth, 1).tolist() == [[1], [2]]


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(0, 3), st.booleans())
def test_table_xiii_against_loops(seed, count, whole):
    rng, shape, peak = np.random.default_rng(seed), (5, 4), 255 if whole else 1
    if whole:
        maps = rng.integers(40, 62, (count, *shape)).astype(np.uint8)
    else:
        maps = rng.random((count, *shape)) / 2
    image_labels = rng.choice(4, count, replace=False).tolist()
    truth = rng.choice([0, 1, 2, 3, 4, 255], shape).astype(np.uint8)
    counts, matrix = np.zeros((2, 4), int), np.zeros((5, 5), int)
    for place in np.ndindex(*shape):
        true = int(truth[place])
        if true == 255:
            continue
        values = {label: float(m[place]) / peak for m, label in zip(maps, image_labels)}
        for label, value in values.items():
            counts[0, label] += value > 0.2 and true == label + 1
            counts[1, label] += value > 0.2 or true == label + 1
        best = max(values, key=values.__getitem__, default=None)
        matrix[true, 0 if best is None or values[best] <= 0.2 else best + 1] += 1
    assert np.array_equal(labels.hard_counts(maps, image_labels, truth, 4), counts)
    assert np.array_equal(labels.argmax_confusion(maps, image_labels, truth, 4), matrix)


GRID = r"superpixels must be \(4,4\) whole numbers from 0"


@pytest.mark.parametrize(
    ("maps", "image_labels", "superpixels", "message"),
    [
        (FOUR[None], [1, 2], QUARTERS, r"2 classes need maps \(2,H,W\), one each, not \(1, 4, 4\)"),
        (2 * FOUR[None], [1], QUARTERS, r"maps hold 0 to 2; accepted: 0 to 1, or uint8"),
        (FOUR[None] * np.nan, [1], QUARTERS, r"maps hold nan to nan"),
        (FOUR[None], [1], QUARTERS[:2], rf"{GRID}, not \(2, 4\) of int64"),
        (FOUR[None], [1], QUARTERS - 1, GRID),
        (FOUR[None], [1], QUARTERS + 0.5, rf"{GRID}, not \(4, 4\) of float64"),
    ],
    ids=["count", "range", "nan", "size", "negative", "float"],
)
def test_what_cannot_be_assigned(maps, image_labels, superpixels, message):
    with pytest.raises(ValueError, match=message):
        labels.assign(maps, image_labels, superpixels)


def test_maps_on_the_image():
    grids = np.random.default_rng(0).integers(0, 256, (2, 8, 8)).astype(np.uint8)
    assert labels.on_image(grids, (12, 6)).shape == (2, 6, 12)
    assert np.array_equal(labels.on_image(grids, (8, 8)), grids)
    assert labels.on_image(grids[:0], (12, 6)).shape == (0, 6, 12)
