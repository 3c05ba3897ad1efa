import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torchvision.ops import box_iou

from evaluators import boxes, heatmaps

# 5 wide, 4 high, drawn by hand; 255 is object.
TWO_BLOBS = np.array(
    [[255, 255, 0, 0, 0],
     [255, 255, 0, 0, 0],
     [0, 0, 0, 0, 255],
     [0, 0, 0, 255, 255]], np.uint8)  # fmt: skip
DIAGONAL = np.array(
    [[255, 0, 0, 0, 255],
     [0, 255, 0, 0, 255],
     [0, 0, 255, 0, 0],
     [0, 0, 0, 255, 0]], np.uint8)  # fmt: skip
FRAME = np.array(
    [[0, 255, 255, 255, 255],
     [0, 255, 0, 0, 255],
     [0, 255, 0, 0, 255],
     [0, 255, 255, 255, 255]], np.uint8)  # fmt: skip
THIN_AND_FAT = np.array(
    [[0, 255, 255, 0, 0],
     [255, 255, 255, 0, 255],
     [255, 255, 0, 0, 255],
     [0, 0, 0, 0, 255]], np.uint8)  # fmt: skip


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (TWO_BLOBS, {(0, 0, 2, 2), (3, 2, 5, 4)}),  # both 2x2: a tie, the first of findContours'
        (DIAGONAL, {(0, 0, 4, 4)}),  # corners touch: one component
        (FRAME, {(1, 0, 5, 4)}),  # its hole's contour lies within
        (THIN_AND_FAT, {(0, 0, 3, 3)}),
        (np.zeros((4, 5), np.uint8), {(0, 0, 1, 1)}),
        (np.full((4, 5), 255, np.uint8), {(0, 0, 5, 4)}),
        (np.full((4, 5), 38, np.uint8), {(0, 0, 1, 1)}),  # 38 is not above 38.25
        (np.full((4, 5), 39, np.uint8), {(0, 0, 5, 4)}),
    ],
)
def test_hand_drawn_maps(drawn, expected):
    assert boxes.box(heatmaps.foreground(drawn)) in expected


def by_contours(mask):
    """The authors' rule in their words: the largest w*h of all contours' rectangles, the first on ties."""
    best, area = (0, 0, 1, 1), 0
    for contour in cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]:
        x, y, w, h = cv2.boundingRect(contour)
        if w * h > area:
            best, area = (x, y, x + w, y + h), w * h
    return best


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 1)))
def test_components_give_the_contours_rectangle(mask):
    assert boxes.largest_rectangle(mask) == by_contours(mask)


def test_components_give_the_contours_rectangle_on_large_noise():
    rng = np.random.default_rng(0)
    for share in (0.02, 0.3, 0.5, 0.9):
        mask = (cv2.GaussianBlur(rng.random((120, 160)), (5, 5), 0) > np.quantile(rng.random(99), 1 - share)).astype(np.uint8)
        assert boxes.largest_rectangle(mask) == by_contours(mask)


def test_the_largest_contour_may_be_another():
    mask = np.zeros((20, 20), np.uint8)
    mask[0:4, 0:4] = 1  # area 9 between pixel centres, rectangle 16
    cv2.line(mask, (6, 6), (19, 19), 1)  # area 0, rectangle 196
    assert boxes.box(mask, "contour") == (0, 0, 4, 4)
    assert boxes.box(mask, "rectangle") == (6, 6, 20, 20)
    assert boxes.box(np.zeros((4, 4), np.uint8), "contour") == boxes.NOTHING


def count_pixels(box, truth):
    """IoU by counting, both ends of a box inside it."""
    a = {(x, y) for x in range(box[0], box[2] + 1) for y in range(box[1], box[3] + 1)}
    b = {(x, y) for x in range(truth[0], truth[2] + 1) for y in range(truth[1], truth[3] + 1)}
    return len(a & b) / len(a | b)


corner = st.integers(0, 12)
any_box = st.tuples(corner, corner, st.integers(1, 8), st.integers(1, 8)).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


@given(any_box, st.lists(any_box, min_size=1, max_size=3))
def test_inclusive_iou_counts_pixels(box, truths):
    expected = 0.0
    for t in truths:
        apart = max(box[0], t[0]) >= min(box[2], t[2]) or max(box[1], t[1]) >= min(box[3], t[3])
        expected = max(expected, 0.0 if apart else count_pixels(box, t))
    assert boxes.iou(box, truths) == pytest.approx(expected)


@given(any_box, st.lists(any_box, min_size=1, max_size=3))
def test_exact_iou_is_torchvision_s(box, truths):
    expected = box_iou(torch.tensor([box]).float(), torch.tensor(truths).float()).max().item()
    assert boxes.iou(box, truths, "exact") == pytest.approx(expected, abs=1e-6)


def test_boxes_that_only_touch_do_not_overlap():
    assert boxes.iou((0, 0, 5, 5), [(5, 0, 9, 5)]) == 0
    assert boxes.iou((0, 0, 5, 5), []) == 0
    assert boxes.iou((2, 3, 7, 9), [(2, 3, 7, 9)]) == 1
