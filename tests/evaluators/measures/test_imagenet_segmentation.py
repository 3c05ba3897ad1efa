"""The ImageNet-Segmentation protocol, pixel by pixel and by scikit-learn."""

import warnings

import cv2
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from camx.evaluators.judged import Map
from camx.evaluators.measures import imagenet_segmentation as protocol


def resized(grid):
    return cv2.resize(grid, (224, 224), interpolation=cv2.INTER_LINEAR).astype(float)


def counts(values, mask):
    """Hits, false, rest, missed, pixel by pixel."""
    mean = sum(values.ravel().tolist()) / values.size
    listed = [0, 0, 0, 0]
    for value, true in zip(values.ravel().tolist(), mask.ravel().tolist()):
        if true != 255:
            listed[(0 if true == 1 else 1) if value > mean else (3 if true == 1 else 2)] += 1
    return listed


def precisions(values, mask, whole=True):
    """Of two channels, one less the map and the map, and of the second alone.

    Of `whole` numbers the sum of both is exact, and equals stay so.
    """
    low, high = values.min(), values.max()
    object_, on = values[mask != 255], mask[mask != 255] == 1
    rest = low + high - object_
    channels = np.concatenate([rest, object_])
    if not whole and low < high:
        stretched = (object_ - low) / (high - low)
        channels = np.concatenate([1 - stretched, stretched])
    both = average_precision_score(np.concatenate([~on, on]), channels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no positive pixel
        return 100 * both, 100 * average_precision_score(on, object_)


def masked(seed, ignored=True):
    rng = np.random.default_rng(seed)
    share = [0.45, 0.35, 0.2] if ignored else [0.6, 0.4, 0]
    mask = rng.choice([0, 1, 255], p=share, size=(30, 41)).astype(np.uint8)
    mask[5:15, 5:25] = 1
    return mask


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_a_record_is_that_of_pixel_by_pixel(heatmap, truth, kind):
    for seed in range(3):
        values = heatmap(seed, 14, 14)
        grid = (values * 200 + 20).astype(np.uint8) if kind == np.uint8 else values * 3 - 1
        judged = truth(mask=masked(seed, ignored=seed > 0))
        shown, square = Map(grid, (41, 30)), judged.square_mask
        *row, both, alone = protocol.judge(shown, judged)
        assert row == counts(resized(grid), square)
        expected = precisions(resized(grid), square, whole=kind == np.uint8)
        assert (both, alone) == pytest.approx(expected, abs=1e-3)


def test_metrics_are_those_of_all_pixels(truth, frame):
    rng, rows, totals, f1, maps = np.random.default_rng(0), [], np.zeros(4), [], []
    for seed in range(4):
        grid, judged = rng.random((14, 14)) ** 2, truth(mask=masked(seed))
        rows.append((str(seed), 0, protocol.judge(Map(grid, (41, 30)), judged)))
        values, square = resized(grid), judged.square_mask
        totals += counts(values, square)
        part = square != 255
        f1.append(100 * f1_score(square[part] == 1, (values > values.mean())[part]))
        maps.append(precisions(values, square, whole=False))
    held = frame(protocol, rows)
    columns = protocol.outcomes(held, held[:0])
    hit, false, rest, missed = totals
    total = np.stack(columns["pixAcc"].to_list()).sum(0)
    assert protocol.accuracy(total) == pytest.approx(100 * (hit + rest) / totals.sum())
    ious = hit / (hit + false + missed), rest / (rest + false + missed)
    total = np.stack(columns["seg-mIoU"].to_list()).sum(0)
    assert protocol.mean_iou(total) == pytest.approx(100 * sum(ious) / 2)
    assert columns["F1"].tolist() == pytest.approx(f1)
    assert columns[["mAP", "AP"]].to_numpy().tolist() == [
        pytest.approx(row, abs=1e-3) for row in maps
    ]


def test_above_the_mean_is_above(truth):
    """A half of the pixels is the mean itself."""
    grid = np.full((224, 224), 100, np.uint8)
    grid[:56], grid[56:112] = 90, 110
    mask = np.ones((224, 224), np.uint8)
    assert protocol.judge(Map(grid, (224, 224)), truth(mask=mask))[:4] == (
        56 * 224,
        0,
        0,
        168 * 224,
    )


def test_the_mean_and_the_ends_are_those_of_ignored_pixels_too(truth):
    """The highest value is ignored: the background's score of the next is not 0, but a half."""
    grid = np.zeros((224, 224), np.uint8)
    grid[0], grid[1] = 200, 100
    mask = np.zeros((224, 224), np.uint8)
    mask[0], mask[1], mask[2] = 255, 1, 1
    for values in (grid, grid / 255.0):
        shown, judged = Map(values, (224, 224)), truth(mask=mask)
        *row, both, alone = protocol.judge(shown, judged)
        assert row == counts(grid.astype(float), mask)
        assert (both, alone) == pytest.approx(precisions(grid.astype(float), mask))


@pytest.mark.parametrize("value", [np.uint8(0), np.uint8(9), 0.5, np.nan])
def test_a_map_that_says_nothing_is_all_background(truth, value):
    mask = np.zeros((224, 224), np.uint8)
    mask[:56] = 1
    shown = Map(np.full((224, 224), value), (224, 224))
    *row, both, alone = protocol.judge(shown, truth(mask=mask))
    assert row == [0, 0, 168 * 224, 56 * 224]
    assert (both, alone) == (50, 25)


def test_no_object(truth, frame):
    mask = np.zeros((30, 41), np.uint8)
    grid = np.random.default_rng(0).integers(256, size=(14, 14)).astype(np.uint8)
    judged = protocol.judge(Map(grid, (41, 30)), truth(mask=mask))
    assert judged[0] == judged[3] == judged[5] == 0
    assert judged[4] == pytest.approx(precisions(resized(grid), np.zeros((224, 224)))[0])
    held = frame(protocol, [("a", 0, judged), ("b", 0, (0, 0, 9, 0, 50.0, 0.0))])
    assert protocol.outcomes(held, held[:0])["F1"].tolist() == [0, 0]
    assert protocol.mean_iou(np.array([0, 0, 9, 0])) == 100  # what is absent does not count
