"""A map and its truth in the forms that measures ask for, against plain loops."""

import cv2
import numpy as np
import pytest
from PIL import Image

from camx.evaluators.judged import SIDE, Map, Truth
from camx.evaluators.object_masks import GreyMasks
from camx.evaluators.types import Sample


def truth(*boxes, size=(40, 30), mask=None):
    return Truth(Sample("a", "a.png", 0, boxes, mask), size)


def written(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def test_boxes_are_of_exclusive_ends_and_their_union_counts_once():
    inside = truth((3, 4, 10, 8), (8, 6, 12, 9)).boxed
    for y in range(30):
        for x in range(40):
            expected = (3 <= x < 10 and 4 <= y < 8) or (8 <= x < 12 and 6 <= y < 9)
            assert inside[y, x] == expected
    assert inside.shape == (30, 40)


def test_without_a_mask_it_is_the_boxes():
    judged = truth((3, 4, 10, 8))
    assert not judged.masked
    assert judged.mask.dtype == np.uint8
    assert (judged.mask == judged.boxed).all()
    assert (judged.marked == judged.boxed).all()
    assert judged.counted is None


def test_a_mask_marks_and_ignores(tmp_path):
    """What is ignored and the object's is the object's."""
    on, off = np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.uint8)
    on[5:10, 5:10], off[8:20, 8:20] = 255, 255
    mask = GreyMasks((written(tmp_path / "m.png", on),), 0, written(tmp_path / "i.png", off))
    judged = truth((0, 0, 40, 30), mask=mask)
    assert judged.masked
    for y in range(30):
        for x in range(40):
            value = 1 if on[y, x] else 255 if off[y, x] else 0
            assert judged.mask[y, x] == value
            assert judged.marked[y, x] == (value == 1)
            assert judged.counted[y, x] == (value != 255)
    assert judged.boxed.all()


@pytest.mark.parametrize("size", [(40, 30), (500, 375), (224, 224), (1, 1), (333, 7)])
def test_square_boxes_are_cut_off_not_rounded(size):
    rng = np.random.default_rng(0)
    width, height = size
    boxes = []
    for _ in range(50):
        x0, y0 = int(rng.integers(width)), int(rng.integers(height))
        boxes.append((x0, y0, int(rng.integers(x0, width)) + 1, int(rng.integers(y0, height)) + 1))
    expected = [
        [int(x0 * 224.0 / width), int(y0 * 224.0 / height), int(x1 * 224.0 / width),
         int(y1 * 224.0 / height)]
        for x0, y0, x1, y1 in boxes
    ]  # fmt: skip
    assert truth(*boxes, size=size).square_boxes.tolist() == expected
    assert truth(size=size).square_boxes.shape == (0, 4)


def test_the_distance_is_that_to_the_nearest_pixel_of_the_object():
    judged = truth((3, 4, 6, 8), (30, 20, 31, 21))
    places = [(y, x) for y in range(30) for x in range(40) if judged.boxed[y, x]]
    for y in range(30):
        for x in range(40):
            nearest = min((y - j) ** 2 + (x - i) ** 2 for j, i in places)
            assert judged.distance[y, x] == pytest.approx(nearest**0.5, abs=1e-4)
    assert np.isinf(truth().distance).all()


def test_a_square_mask_is_the_nearest_pixel():
    """OpenCV's: pixel i is that at i * w / 224, cut off; of unions, parts and the ignored alike."""
    judged = truth((3, 4, 17, 29), size=(37, 41))
    for y in range(SIDE):
        for x in range(SIDE):
            assert judged.square_mask[y, x] == judged.boxed[y * 41 // SIDE, x * 37 // SIDE]


def test_a_square_mask_unites_the_parts(tmp_path):
    a, b, off = (np.zeros((30, 40), np.uint8) for _ in range(3))
    a[2:9, 2:9], b[5:20, 5:30], off[15:25, 10:40] = 1, 9, 200
    paths = [written(tmp_path / f"{i}.png", part) for i, part in enumerate((a, b, off))]
    judged = truth(mask=GreyMasks(tuple(paths[:2]), 0, paths[2]))
    for y in range(0, SIDE, 3):
        for x in range(0, SIDE, 3):
            at = y * 30 // SIDE, x * 40 // SIDE
            value = 1 if a[at] or b[at] else 255 if off[at] else 0
            assert judged.square_mask[y, x] == value


def stretched(values):
    low, high = values.min(), values.max()
    return (values - low) / (high - low)


@pytest.mark.parametrize("given", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 7), (14, 14), (28, 20), (224, 224), (300, 200)])
def test_a_square_is_bicubic_and_stretched(given, shape):
    values = np.random.default_rng(0).random(shape) * 5 - 1
    values = (stretched(values) * 200 + 20).astype(np.uint8) if given == np.uint8 else values
    values = values.astype(given)
    square = Map(values, (50, 40)).square
    resized = values.astype(float)
    if shape != (SIDE, SIDE):
        resized = cv2.resize(resized, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    assert (square.shape, square.dtype) == ((SIDE, SIDE), np.float64)
    assert np.allclose(square, stretched(resized), atol=1e-9)
    assert (square.min(), square.max()) == (0, 1)


def test_a_square_from_0_to_1_is_taken_as_it_is():
    values = np.random.default_rng(0).random((SIDE, SIDE)) / 2 + 0.25
    assert (Map(values, (50, 40)).square == values).all()
    assert Map(values - 0.5, (50, 40)).square.max() == 1


@pytest.mark.parametrize("shape", [(14, 14), (SIDE, SIDE)])
@pytest.mark.parametrize(
    "values", [np.uint8(7), np.float64(3), np.nan, np.inf, -np.inf, (np.nan, 1.0), (np.inf, 0.0)]
)
def test_a_square_that_says_nothing_is_zero(values, shape):
    grid = np.full(shape, values if np.isscalar(values) else values[1])
    if not np.isscalar(values):
        grid[3, 3] = values[0]
    shown = Map(grid, (50, 40))
    assert not shown.square.any()
    assert not shown.levels.any()
    assert shown.levels.dtype == np.uint8


def test_levels_are_cut_off():
    values = np.random.default_rng(0).random((SIDE, SIDE))
    values[0, : 256 - 32] = np.arange(32, 256) / 255
    levels = Map(values, (50, 40)).levels
    for y in range(0, SIDE, 5):
        for x in range(SIDE):
            assert levels[y, x] == int(values[y, x] * 255)


@pytest.mark.parametrize("interpolation", ["cubic", "linear"])
def test_histograms_count_pixels(interpolation):
    grid = np.random.default_rng(0).integers(256, size=(5, 5)).astype(np.uint8)
    shown = Map(grid, (37, 23), interpolation)
    code = {"cubic": cv2.INTER_CUBIC, "linear": cv2.INTER_LINEAR}[interpolation]
    assert (shown.on_image == cv2.resize(grid, (37, 23), interpolation=code)).all()
    part = truth((3, 4, 20, 18), size=(37, 23)).boxed
    for where in (None, part, ~part, None, part):
        counts = [0] * 256
        for y in range(23):
            for x in range(37):
                counts[shown.on_image[y, x]] += where is None or bool(where[y, x])
        assert shown.histogram(where).tolist() == counts


def test_a_histogram_is_of_its_own_part():
    """Parts that are gone leave their places in memory to others."""
    grid = np.random.default_rng(0).integers(256, size=(30, 40)).astype(np.uint8)
    shown = Map(grid, (40, 30))
    for i in range(30):
        part = np.zeros((30, 40), bool)
        part[i] = True
        counts = shown.histogram(part)
        assert (counts == np.bincount(grid[i], minlength=256)).all()
        del part


def test_linear_is_of_the_square():
    grid = np.random.default_rng(0).integers(256, size=(7, 7)).astype(np.uint8)
    expected = cv2.resize(grid, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    assert (Map(grid, (50, 40)).linear == expected).all()
