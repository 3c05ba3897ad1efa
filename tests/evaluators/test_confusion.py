"""The confusion matrix and mean IoU: against plain loops, and against scikit-learn's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from camx.evaluators import confusion

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed, classes, height=5, width=7):
    """A true mask, some of it 255, and a prediction."""
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, classes, (2, height, width)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = 255
    return truth, predicted


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 21))
def test_the_matrix_and_every_iou_against_loops(seed, classes):
    truth, predicted = drawn(seed, classes)
    expected = np.zeros((classes, classes), int)
    for y in range(truth.shape[0]):
        for x in range(truth.shape[1]):
            if truth[y, x] != 255:
                expected[truth[y, x], predicted[y, x]] += 1
    matrix = confusion.confusion(truth, predicted, classes)
    assert matrix.dtype == np.int64
    assert np.array_equal(matrix, expected)
    shares = []
    for k in range(classes):
        row, column = expected[k].tolist(), expected[:, k].tolist()
        both, either = row[k], sum(row) + sum(column) - row[k]
        if either:
            assert confusion.iou(matrix)[k] == pytest.approx(both / either)
            shares.append(both / either)
        else:
            assert math.isnan(confusion.iou(matrix)[k])
    assert confusion.miou(matrix) == pytest.approx(100 * sum(shares) / len(shares))


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_it_is_scikit_learn_s(seed):
    truth, predicted = drawn(seed, 5, 20, 30)
    pixels = truth[truth != 255], predicted[truth != 255]
    matrix = confusion.confusion(truth, predicted, 5)
    assert np.array_equal(matrix, metrics.confusion_matrix(*pixels, labels=range(5)))
    shares = metrics.jaccard_score(*pixels, labels=range(5), average=None)
    assert np.allclose(confusion.iou(matrix), shares)
    mean = metrics.jaccard_score(*pixels, average="macro")
    assert confusion.miou(matrix) == pytest.approx(100 * mean)


def test_an_absent_class_is_left_out_and_a_wrong_one_counts_nothing():
    truth, predicted = np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 0, 1, 3]], np.uint8)
    matrix = confusion.confusion(truth, predicted, 4)
    assert np.array_equal(confusion.iou(matrix), [1, 0.5, np.nan, 0], equal_nan=True)
    assert confusion.miou(matrix) == pytest.approx(50)  # of three classes, not four
    assert math.isnan(confusion.miou(np.zeros((4, 4), int)))
    # The same of intersections and unions, as they are summed over a set.
    assert confusion.ious(np.array([[3, 0, 0], [4, 0, 5]])).tolist() == pytest.approx(
        [0.75, math.nan, 0], nan_ok=True
    )
    assert confusion.mean(np.array([[3, 0, 0], [4, 0, 5]])) == pytest.approx(37.5)  # not 25
    assert confusion.mean(np.array([[3, 0], [4, 0]])) == pytest.approx(75)
    assert math.isnan(confusion.mean(np.zeros((2, 3))))


def test_the_set_s_number_is_of_the_summed_matrices():
    """Not the mean over images: one is right throughout, the other wrong but for one pixel."""
    right = confusion.confusion(np.ones((3, 3), np.uint8), np.ones((3, 3), np.uint8), 2)
    wrong = confusion.confusion(np.ones((1, 9), np.uint8), np.eye(1, 9, dtype=np.uint8), 2)
    assert confusion.miou(right + wrong) == pytest.approx(100 * (10 / 18 + 0) / 2)


def test_what_does_not_count_may_be_anything():
    truth, predicted = np.array([[0, 255]], np.uint8), np.array([[0, 255]], np.uint8)
    assert confusion.confusion(truth, predicted, 21).sum() == 1
    void, anything = np.full((2, 2), 255, np.uint8), np.full((2, 2), 99, np.uint8)
    assert confusion.confusion(void, anything, 21).sum() == 0


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([[0, 1]], [[0, 21]], "the prediction holds index 21; accepted: 0 to 20"),
        ([[0, 1]], [[0, 255]], "the prediction holds index 255; accepted: 0 to 20"),
        (
            [[0, 37]],
            [[0, 1]],
            "the true mask holds index 37; accepted: 0 to 20, and 255 where a pixel does not count",
        ),
        ([[0, 1]], [[0], [1]], "the prediction is 1 x 2, but the true mask is 2 x 1"),
    ],
    ids=["predicted", "predicted 255", "true", "size"],
)
def test_what_cannot_be_counted(truth, predicted, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        confusion.confusion(np.array(truth, np.uint8), np.array(predicted, np.uint8), 21)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(0, 4))
def test_sparse_matrices_give_the_same_overlaps(seed, count):
    matrices = [confusion.confusion(*drawn(seed + i, 6), 6) for i in range(count)]
    matrices.append(np.zeros((6, 6), int))
    sparse = [confusion.sparse(m) for m in matrices]
    overlaps = confusion.sparse_overlaps(sparse, 6)
    assert np.array_equal(overlaps, np.stack([confusion.overlaps(m) for m in matrices]))
    assert sparse[-1] == ()
    assert all(isinstance(value, int) for row in sparse for value in row)
    miou = confusion.miou(sum(matrices))
    assert confusion.mean(overlaps.sum(0)) == pytest.approx(miou, nan_ok=True)
    assert confusion.sparse_overlaps([], 6).shape == (0, 2, 6)
