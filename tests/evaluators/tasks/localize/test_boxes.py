import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torchvision.ops import box_iou

from camx.evaluators import heatmaps
from camx.evaluators.tasks.localize import boxes

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
    """The authors' rule in their words: of all contours' rectangles the first with most w*h."""
    best, area = (0, 0, 1, 1), 0
    for contour in cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]:
        x, y, w, h = cv2.boundingRect(contour)
        if w * h > area:
            best, area = (x, y, x + w, y + h), w * h
    return best


side = st.integers(1, 14)


@given(arrays.arrays(np.uint8, st.tuples(side, side), elements=st.integers(0, 1)))
def test_the_outermost_contours_decide(mask):
    assert boxes.box(mask) == by_contours(mask)


def test_the_outermost_contours_decide_on_large_noise():
    rng = np.random.default_rng(0)
    for share in (0.02, 0.3, 0.5, 0.9):
        noise = cv2.GaussianBlur(rng.random((120, 160)), (5, 5), 0)
        mask = (noise > np.quantile(rng.random(99), 1 - share)).astype(np.uint8)
        assert boxes.box(mask) == by_contours(mask)


def by_area(mask):
    """Of all contours the first that encloses most."""
    contours = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    if not contours:
        return boxes.NOTHING
    x, y, w, h = cv2.boundingRect(max(contours, key=cv2.contourArea))
    return x, y, x + w, y + h


@given(arrays.arrays(np.uint8, st.tuples(side, side), elements=st.integers(0, 1)))
def test_the_outermost_contours_enclose_most(mask):
    assert boxes.box(mask, "contour") == by_area(mask)


def test_the_outermost_contours_enclose_most_of_many_small_masks():
    """Thin rings with tails, rings in rings, ties: where a hole's contour encloses as much."""
    rng = np.random.default_rng(0)
    for side in (4, 5, 6, 7, 9):
        for share in (0.4, 0.6, 0.75):
            for mask in (rng.random((400, side, side)) < share).astype(np.uint8):
                assert boxes.box(mask, "contour") == by_area(mask)
                assert boxes.box(mask) == by_contours(mask)


def test_a_hole_as_large_as_its_outline_is_listed_first():
    """A ring one pixel thick with a tail: the hole's rectangle has no tail."""
    mask = np.zeros((12, 12), np.uint8)
    mask[3:9, 3:9] = 1
    mask[4:8, 4:8] = 0
    mask[8:12, 5] = 1
    assert not boxes.Outline(mask).thick(boxes.Outline(mask).outer[0])
    assert boxes.box(mask, "contour") == by_area(mask)


def test_what_is_cut_off_empty_moves_no_box():
    rng = np.random.default_rng(0)
    for share in (0.2, 0.5, 0.9):
        mask = np.zeros((60, 80), np.uint8)
        mask[10:40, 20:70] = rng.random((30, 50)) < share
        whole, part = boxes.Outline(mask), boxes.Outline(mask[10:40, 20:70], (20, 10))
        assert whole.extent == part.extent
        for rule in boxes.RULES:
            assert boxes.outlined(whole, rule) == boxes.outlined(part, rule)


def test_the_largest_contour_may_be_another():
    mask = np.zeros((20, 20), np.uint8)
    mask[0:4, 0:4] = 1  # area 9 between pixel centres, rectangle 16
    cv2.line(mask, (6, 6), (19, 19), 1)  # area 0, rectangle 196
    assert boxes.box(mask, "contour") == (0, 0, 4, 4)
    assert boxes.box(mask, "rectangle") == (6, 6, 20, 20)
    assert boxes.box(np.zeros((4, 4), np.uint8), "contour") == boxes.NOTHING


def count_pixels(box, truth):
    """IoU by counting, both ends of a box inside it."""
    a, b = (
        {(x, y) for x in range(x0, x1 + 1) for y in range(y0, y1 + 1)}
        for x0, y0, x1, y1 in (box, truth)
    )
    return len(a & b) / len(a | b)


corner = st.integers(0, 12)
any_box = st.tuples(corner, corner, st.integers(1, 8), st.integers(1, 8)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


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


@pytest.mark.parametrize("convention", ["inclusive", "exact"])
def test_boxes_that_only_touch_do_not_overlap(convention):
    for beside in ((5, 0, 9, 5), (0, 5, 5, 9), (5, 5, 9, 9), (6, 0, 9, 5), (0, 6, 5, 9)):
        assert boxes.iou((0, 0, 5, 5), [beside], convention) == 0
        assert boxes.iou(beside, [(0, 0, 5, 5)], convention) == 0
    assert boxes.iou((0, 0, 5, 5), [], convention) == 0
    assert boxes.iou((2, 3, 7, 9), [(2, 3, 7, 9)], convention) == 1


@pytest.mark.parametrize(
    ("truth", "inclusive", "exact"),
    [
        ((4, 0, 9, 5), 12 / 60, 5 / 45),  # a column in common
        ((0, 4, 5, 9), 12 / 60, 5 / 45),  # a row
        ((4, 4, 9, 8), 4 / (36 + 30 - 4), 1 / (25 + 20 - 1)),  # a pixel
        ((1, 2, 3, 5), 12 / 36, 6 / 25),  # within
    ],
)
def test_what_the_one_more_does(truth, inclusive, exact):
    """Every width and height counts it: of the overlap and of both boxes."""
    assert boxes.iou((0, 0, 5, 5), [truth]) == pytest.approx(inclusive)
    assert boxes.iou((0, 0, 5, 5), [truth], "exact") == pytest.approx(exact)


def test_equal_boxes_and_areas_are_the_first_s():
    """Two squares of equal size: OpenCV finds the lower one's contour first."""
    mask = np.zeros((12, 12), np.uint8)
    mask[1:4, 1:4] = mask[7:10, 6:9] = 1
    first = cv2.boundingRect(boxes.Outline(mask).every[0])
    expected = (first[0], first[1], first[0] + 3, first[1] + 3)
    assert boxes.box(mask, "rectangle") == boxes.box(mask, "contour") == expected
