import cv2
import numpy as np
import pytest

from camx.evaluators import heatmaps


def scene():
    """A bright square on a dark noisy ground, and a mask of its middle."""
    image = np.random.default_rng(0).integers(0, 40, (60, 80, 3)).astype(np.uint8)
    image[20:40, 30:60] += 180
    mask = np.zeros((60, 80), np.uint8)
    mask[26:34, 38:50] = 1
    return image, mask


def test_resizing_is_opencv_s_on_bytes():
    grid = np.random.default_rng(1).integers(0, 256, (16, 16)).astype(np.uint8)
    methods = {"cubic": cv2.INTER_CUBIC, "linear": cv2.INTER_LINEAR}
    for name, method in methods.items():
        resized = heatmaps.on_image(grid, (50, 30), name)
        assert resized.shape == (30, 50)
        assert np.array_equal(resized, cv2.resize(grid, (50, 30), interpolation=method))
    assert np.array_equal(
        heatmaps.on_image(grid, (50, 30)), heatmaps.on_image(grid, (50, 30), "cubic")
    )


def test_the_cut_is_absolute():
    heatmap = np.array([[38, 39], [0, 255]], np.uint8)
    assert heatmaps.foreground(heatmap).tolist() == [[0, 1], [0, 1]]
    halved = heatmaps.foreground(heatmap // 2)  # not a share of the map's own maximum
    assert halved.tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(("level", "threshold"), [(51, 0.2), (102, 0.4), (38.25, 0.15)])
def test_a_level_at_the_threshold_is_not_above_it(level, threshold):
    assert threshold * 255 == level  # without rounding
    heatmap = np.array([[level, level + 1]], np.float32 if level % 1 else np.uint8)
    assert heatmaps.foreground(heatmap, threshold).tolist() == [[0, 1]]


def test_grabcut_grows_the_mask_over_the_object():
    image, mask = scene()
    grown = heatmaps.grabcut(image, mask, "a")
    assert grown[22:38, 32:58].mean() > 0.95
    assert grown[:15].mean() < 0.05
    assert (grown >= mask).all()  # certain object stays object


def test_grabcut_repeats_whatever_was_drawn_before():
    image, mask = scene()
    # Nothing to find, so that the seed decides.
    image = np.random.default_rng(3).integers(0, 256, image.shape).astype(np.uint8)
    first = heatmaps.grabcut(image, mask, "a")
    cv2.setRNGSeed(99)
    heatmaps.grabcut(image, mask, "another")
    assert np.array_equal(heatmaps.grabcut(image, mask, "a"), first)


@pytest.mark.parametrize("value", [0, 1])
def test_a_mask_of_one_kind_stays(value):
    image, mask = scene()
    mask = np.full_like(mask, value)
    assert np.array_equal(heatmaps.grabcut(image, mask, "a"), mask)


def test_degenerate_maps():
    assert heatmaps.degenerate(np.zeros((3, 3), np.uint8))
    assert heatmaps.degenerate(np.full((3, 3), 7, np.uint8))
    assert not heatmaps.degenerate(np.eye(3, dtype=np.uint8))


def test_grabcut_of_a_small_image_at_a_size_is_the_same():
    image, mask = scene()
    longest = max(mask.shape)
    whole = heatmaps.grabcut(image, mask, "a")
    assert np.array_equal(heatmaps.grabcut(image, mask, "a", longest), whole)


def test_grabcut_at_half_the_size_grows_the_same_object():
    image, mask = scene()
    longest = max(mask.shape)
    half = heatmaps.grabcut(image, mask, "a", longest // 2)
    assert half.shape == mask.shape
    assert half.dtype == np.uint8
    assert set(np.unique(half)) == {0, 1}
    assert (half >= mask).all()  # certain object stays object
    whole = heatmaps.grabcut(image, mask, "a")
    assert (half & whole).sum() / (half | whole).sum() > 0.85
    assert np.array_equal(half, heatmaps.grabcut(image, mask, "a", longest // 2))


@pytest.mark.parametrize("level", [0, 1])
def test_grabcut_at_a_size_leaves_a_mask_of_one_region(level):
    image, mask = scene()
    mask[:] = level
    assert np.array_equal(heatmaps.grabcut(image, mask, "a", 16), mask)


def test_a_speck_that_the_smaller_image_loses_stays():
    image, mask = scene()
    mask[:] = 0
    mask[3, 5] = 1
    assert np.array_equal(heatmaps.grabcut(image, mask, "a", 16), mask)
