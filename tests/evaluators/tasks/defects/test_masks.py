"""Defect masks: every number against plain loops, average precision also against scikit-learn."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import average_precision_score

from camx.evaluators.tasks.defects import masks
from camx.evaluators.types import Ellipse, Sample


def drawn(seed, count=3, side=9):
    """Heat maps and defects of several images; every defect has a pixel."""
    rng = np.random.default_rng(seed)
    heatmaps = rng.integers(0, 256, (count, side, side)).astype(np.uint8)
    defects = rng.random((count, side, side)) < 0.3
    defects[:, 0, 0] = True
    return heatmaps, defects


def counted(heatmaps, defects):
    pairs = [masks.levels(h, d) for h, d in zip(heatmaps, defects)]
    return tuple(np.stack(side) for side in zip(*pairs))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 4, 99]))
def test_iou_at_every_threshold_against_loops(seed, count):
    heatmaps, defects = drawn(seed)
    thresholds = masks.grid(count)
    hit, union = masks.ious(*counted(heatmaps, defects), thresholds)
    for n in range(len(heatmaps)):
        for t, threshold in enumerate(thresholds):
            both = either = 0
            for level, true in zip(heatmaps[n].ravel(), defects[n].ravel()):
                marked = level > round(255 * threshold, 9)
                both += marked and true
                either += marked or true
            assert (hit[n, t], union[n, t]) == (both, either)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_best_threshold_against_loops(seed):
    heatmaps, defects = drawn(seed)
    thresholds = masks.grid(19)
    means = []
    for threshold in thresholds:
        pairs = [(h > round(255 * threshold, 9), d) for h, d in zip(heatmaps, defects)]
        means.append(np.mean([(m & d).sum() / (m | d).sum() for m, d in pairs]))
    assert means[masks.best(*counted(heatmaps, defects), thresholds)] == pytest.approx(max(means))


def test_a_level_at_a_threshold_is_not_above_it():
    thresholds = masks.grid(4)  # 0.2, 0.4, 0.6 and 0.8 of 255 are whole levels
    assert masks.cuts(thresholds).tolist() == [52, 103, 154, 205]
    heatmap = np.array([[51, 52, 153, 154, 204, 205]], np.uint8)
    inside, outside = masks.levels(heatmap, np.array([[True] * 5 + [False]]))
    assert masks.marked(inside, thresholds).tolist() == [4, 3, 2, 0]
    assert masks.marked(outside, thresholds).tolist() == [1, 1, 1, 1]
    for code, cut in zip(masks.encode(heatmap, thresholds), (52, 103, 154, 205)):
        assert np.array_equal(masks.decode(code, 1, 6), heatmap >= cut)
    assert masks.marked(inside, np.array([1.0])).tolist() == [0]  # nothing is above 255


def test_the_first_of_equally_good_thresholds():
    heatmap = np.array([[0, 100, 100, 200]], np.uint8)
    defect = np.array([[False, False, False, True]])
    counts = [part[None] for part in masks.levels(heatmap, defect)]
    hit, union = masks.ious(*counts, masks.grid(99))
    perfect = np.flatnonzero(hit[0] == union[0])
    assert len(perfect) == 39  # 0.40 to 0.78 part 100 from 200
    assert masks.best(*counts, masks.grid(99)) == perfect[0] == 39
    assert masks.grid(99)[39] == pytest.approx(0.4)


def test_a_threshold_that_marks_everything_is_left_out():
    """A bright map on a defect that fills most of the image: marking it all is no answer."""
    heatmap = np.full((4, 4), 200, np.uint8)
    heatmap[0, 0] = 250
    defect = np.ones((4, 4), bool)
    defect[3, 3] = False
    at = masks.best(*(c[None] for c in masks.levels(heatmap, defect)), masks.grid(99))
    assert masks.grid(99)[at] >= 200 / 255


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 16, 256]))
def test_average_precision_is_scikit_learn_s(seed, levels):
    rng = np.random.default_rng(seed)
    heatmap = (rng.integers(0, levels, (12, 12)) * (255 // (levels - 1))).astype(np.uint8)
    defect = rng.random((12, 12)) < 0.2
    defect[0, 0] = True
    precision = masks.average_precision(np.stack(masks.levels(heatmap, defect)))
    assert precision == pytest.approx(average_precision_score(defect.ravel(), heatmap.ravel()))


def test_average_precision_in_plain_loops():
    heatmap, defect = np.array([[9, 5, 5, 1]], np.uint8), np.array([[True, True, False, False]])
    area = recall_before = 0.0
    for threshold in (9, 5, 1):
        marked = heatmap >= threshold
        recall, precision = (marked & defect).sum() / 2, (marked & defect).sum() / marked.sum()
        area += (recall - recall_before) * precision
        recall_before = recall
    average = masks.average_precision(np.stack(masks.levels(heatmap, defect)))
    assert average == pytest.approx(area) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_every_threshold_s_mask_can_be_redrawn():
    (heatmap,), _ = drawn(0, 1, 17)
    heatmap = heatmap[:, :11]
    thresholds = masks.grid(99)
    for code, threshold in zip(masks.encode(heatmap, thresholds), thresholds):
        assert np.array_equal(masks.decode(code, 17, 11), heatmap > round(255 * threshold, 9))


def marked_by(image, tmp_path, size=(8, 6)):
    """The truth of a defective image whose mask is a picture."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(tmp_path / "mask.png")
    return masks.truth(Sample("a", Path("a.png"), 1, mask=tmp_path / "mask.png"), size)


DEFECT = np.zeros((6, 8), bool)
DEFECT[1:3, 2:5] = True


@pytest.mark.parametrize(
    "pixels",
    [
        DEFECT * np.uint8(255),
        DEFECT * np.uint8(1),
        DEFECT * np.uint16(40000),
        np.stack([DEFECT * np.uint8(0), DEFECT * np.uint8(200), DEFECT * np.uint8(0)], -1),
        np.dstack([DEFECT * np.uint8(9)] * 3 + [np.full((6, 8), 255, np.uint8)]),
    ],
    ids=["255", "1", "16 bits", "colour", "alpha"],
)
def test_what_a_mask_file_may_hold(tmp_path, pixels):
    assert np.array_equal(marked_by(pixels, tmp_path), DEFECT)


def test_a_palette_mask(tmp_path):
    image = Image.fromarray(DEFECT.astype(np.uint8)).convert("P")
    image.putpalette([200, 200, 200, 90, 0, 0])  # no black: index 0 is the background
    image.putdata(DEFECT.astype(int).ravel().tolist())
    assert np.array_equal(marked_by(image, tmp_path), DEFECT)


def test_a_palette_s_black_is_the_background(tmp_path):
    """PIL's quantisation may call white 0."""
    image = Image.fromarray(DEFECT.astype(np.uint8) * 255).convert("RGB").quantize(2)
    assert sorted(image.getpalette()[:6]) == [0, 0, 0, 255, 255, 255]
    for turned in (False, True):
        pixels = np.asarray(image.convert("L")) > 0
        mask = Image.fromarray((pixels != turned).astype(np.uint8)).convert("P")
        mask.putdata((pixels != turned).astype(int).ravel().tolist())
        mask.putpalette([255, 255, 255, 0, 0, 0] if turned else [0, 0, 0, 255, 255, 255])
        assert np.array_equal(marked_by(mask, tmp_path), DEFECT)


def test_a_mask_in_the_alpha_channel(tmp_path):
    pixels = np.full((6, 8, 4), 255, np.uint8)
    pixels[..., 3] = DEFECT * 255
    assert np.array_equal(marked_by(pixels, tmp_path), DEFECT)


def test_a_defect_may_fill_the_picture(tmp_path):
    assert marked_by(np.full((6, 8), 255, np.uint8), tmp_path).all()


def test_a_mask_of_another_size(tmp_path):
    doubled = marked_by(DEFECT * np.uint8(255), tmp_path, (16, 12))
    assert np.array_equal(doubled, DEFECT.repeat(2, 0).repeat(2, 1))
    with pytest.raises(ValueError, match=r"mask\.png: the mask is 8 x 6, but a\.png is 16 x 16"):
        marked_by(DEFECT * np.uint8(255), tmp_path, (16, 16))


def test_masks_that_say_nothing(tmp_path):
    with pytest.raises(ValueError, match="marks nothing"):
        marked_by(np.zeros((6, 8), np.uint8), tmp_path)
    with pytest.raises(ValueError, match="without a mask"):
        masks.truth(Sample("a", Path("a.png"), 1), (8, 6))
    (tmp_path / "mask.png").write_text("no picture")
    with pytest.raises(ValueError, match="not a readable mask"):
        masks.truth(Sample("a", Path("a.png"), 1, mask=tmp_path / "mask.png"), (8, 6))


@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi / 2])
def test_an_ellipse_against_loops(angle):
    ellipse = Ellipse(10, 7, 6, 2.5, angle)
    inside = masks.inside(ellipse, (24, 16))
    for y in range(16):
        for x in range(24):
            u = (x - 10) * math.cos(angle) + (y - 7) * math.sin(angle)
            v = -(x - 10) * math.sin(angle) + (y - 7) * math.cos(angle)
            assert inside[y, x] == ((u / 6) ** 2 + (v / 2.5) ** 2 <= 1)
