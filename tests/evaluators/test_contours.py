"""The component tree against ``findContours`` at every threshold, the definition in plain loops."""

import threading

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from camx.evaluators import contours


def iou(a, b):
    """Of two boxes, both ends counted."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    both = max(0, width) * max(0, height)
    areas = [(x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in (a, b)]
    return both / (sum(areas) - both)


def boxes(mask):
    """The boxes of the largest contour, and of all."""
    height, width = mask.shape
    listed = cv2.findContours(mask.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    if len(listed) == 0:
        return [(0, 0, 0, 0)], [(0, 0, 0, 0)]
    rectangles = []
    for contour in listed:
        x, y, w, h = cv2.boundingRect(contour)
        rectangles.append((x, y, min(x + w, width - 1), min(y + h, height - 1)))
    areas = [cv2.contourArea(contour) for contour in listed]
    return [rectangles[areas.index(max(areas))]], rectangles


def oracle(grid, truths):
    """Whether a box is right: rule -> ``(3,255) bool``."""
    right = {rule: np.zeros((3, 255), bool) for rule in ("largest", "all")}
    seen = {}
    for t in range(255):
        mask = grid > t
        key = int(mask.sum())  # masks of one map that have as many pixels are equal
        if key not in seen:
            seen[key] = [
                max((iou(box, truth) for box in listed for truth in truths), default=0)
                for listed in boxes(mask)
            ]
        for rule, best in zip(("largest", "all"), seen[key]):
            for row, delta in enumerate((0.3, 0.5, 0.7)):
                right[rule][row, t] = best >= delta
    return right


def agree(grid, truths):
    ours, theirs = contours.right(grid, np.array(truths).reshape(-1, 4)), oracle(grid, truths)
    for rule in theirs:
        wrong = np.argwhere(ours[rule] != theirs[rule])
        assert not len(wrong), f"{rule}, {truths}: row, threshold {wrong[:5].tolist()}"


def some_boxes(rng, height, width, n):
    """Whole ones, some of a pixel, some at the edges."""
    for _ in range(n):
        x0, y0 = rng.integers(width), rng.integers(height)
        x1, y1 = rng.integers(x0, width + 1), rng.integers(y0, height + 1)
        yield int(x0), int(y0), int(x1), int(y1)


def of_the_map(grid, rng, n):
    """Boxes like the map's, so that some are right: contours' ones, moved by a pixel or two."""
    values = np.unique(grid)
    for _ in range(n):
        x0, y0, x1, y1 = boxes(grid > rng.choice(values))[1][-1]
        a, b, c, d = rng.integers(-2, 3, size=4)
        yield max(0, x0 + a), max(0, y0 + b), max(x0 + a, 0, x1 + c), max(y0 + b, 0, y1 + d)


@pytest.mark.parametrize(("height", "width"), [(24, 24), (13, 31), (40, 9)])
def test_every_threshold_is_find_contours_s(heatmap, height, width):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        grid = (heatmap(seed, height, width) * 255).astype(np.uint8)
        agree(grid, list(some_boxes(rng, height, width, 3)))
        agree(grid, [])
        for box in of_the_map(grid, rng, 3):
            agree(grid, [box])


def test_every_threshold_of_a_whole_map():
    """At 224 pixels, as low resolution is resized."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        small = rng.random((14 - 7 * (seed % 2),) * 2)
        large = cv2.resize(small, (224, 224), interpolation=cv2.INTER_CUBIC)
        grid = (255 * (large - large.min()) / (large.max() - large.min())).astype(np.uint8)
        agree(grid, list(some_boxes(rng, 224, 224, 3)))
        agree(grid, list(of_the_map(grid, rng, 2)))


@pytest.mark.slow
def test_every_threshold_of_whole_maps_of_every_kind(heatmap):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        grid = (heatmap(seed, 224, 224) * 255).astype(np.uint8)
        agree(grid, list(some_boxes(rng, 224, 224, 2)))


SIDES = st.integers(1, 12)
GRIDS = st.tuples(SIDES, SIDES, st.sampled_from([(0, 255), (0, 1, 2), (0, 9, 200, 254, 255)]))


@st.composite
def cases(draw):
    height, width, levels = draw(GRIDS)
    grid = draw(arrays.arrays(np.uint8, (height, width), elements=st.sampled_from(levels)))
    box = st.tuples(*(st.integers(0, side) for side in (width, height, width, height)))
    truths = draw(st.lists(box, min_size=1, max_size=3))
    return grid, [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in truths]


@settings(max_examples=300, deadline=None)
@given(cases())
def test_small_grids_of_few_levels(case):
    agree(*case)


@pytest.mark.parametrize("n", [600, pytest.param(4000, marks=pytest.mark.slow)])
def test_dense_noise_of_few_levels(n):
    """Many small grids: rings, islands within, ties and corners in all their forms."""
    rng = np.random.default_rng(n)
    for _ in range(n):
        height, width = rng.integers(3, 13, size=2)
        levels = rng.choice([2, 3, 5])
        share = rng.uniform(0.2, 0.9)
        grid = rng.binomial(levels - 1, share, size=(height, width)).astype(np.uint8)
        agree(grid, list(some_boxes(rng, height, width, 1)))


def drawn(*rectangles, shape=(224, 224)):
    """Rectangles ``x0, y0, x1, y1, value`` with exclusive ends."""
    grid = np.zeros(shape, np.uint8)
    for x0, y0, x1, y1, value in rectangles:
        grid[y0:y1, x0:x1] = value
    return grid


def right_at(grid, *truths):
    """By IoU and rule, whether the box at threshold 0 is right."""
    right = contours.right(grid, np.array(truths))
    agree(grid, truths)
    return {rule: right[rule][:, 0].tolist() for rule in right}


@pytest.mark.parametrize(
    ("x1", "row"),
    [
        (26, [True, False, False]),  # 3 of 7
        (25, [True, True, False]),  # 3 of 6, exactly a half
        (29, [True, False, False]),  # 3 of 10, exactly 0.3
        (30, [False, False, False]),
    ],
)
def test_an_iou_of_exactly_the_least_is_right(x1, row):
    """Pixels 20 and 21 give a box of 20 to 22, three wide."""
    assert right_at(drawn((20, 20, 22, 30, 9)), (20, 20, x1, 30))["largest"] == row


def test_an_iou_of_exactly_0_7_is_right():
    grid = drawn((20, 20, 26, 30, 9))  # seven wide
    assert right_at(grid, (20, 20, 29, 30))["all"] == [True, True, True]
    assert right_at(grid, (20, 20, 30, 30))["all"] == [True, True, False]


def test_boxes_end_at_the_last_pixel():
    """Four columns at the right edge are 220 to 223; 224 would make them five, and wrong."""
    assert right_at(drawn((220, 0, 224, 10, 9)), (216, 0, 223, 10))["largest"][1]
    assert right_at(drawn((0, 220, 10, 224, 9)), (0, 216, 10, 223))["largest"][1]


def test_above_is_above():
    """A pixel of value v is object at thresholds below v."""
    grid = drawn((20, 20, 30, 30, 77))
    rows = contours.right(grid, np.array([(20, 20, 30, 30)]))["largest"]
    assert contours.intervals(rows)[2] == (0, 77)


def test_a_ring_s_hole_is_a_contour_too():
    """The hole's own contour runs through the ring's pixels around it."""
    grid = drawn((10, 10, 90, 90, 200), (30, 30, 60, 60, 0))
    truth = (29, 29, 61, 61)  # 29 to 60 are the pixels around
    assert right_at(grid, truth) == {"largest": [False] * 3, "all": [True] * 3}
    grid[40:50, 40:50] = 100  # an island in it
    assert right_at(grid, (40, 40, 50, 50)) == {"largest": [False] * 3, "all": [True] * 3}


def test_holes_are_of_four_neighbours_and_islands_of_eight():
    """A diamond of corners is one component, and it holds a hole of which corners let none out."""
    grid = np.zeros((9, 9), np.uint8)
    for y, x in ((0, 4), (1, 3), (1, 5), (2, 2), (2, 6), (3, 3), (3, 5), (4, 4)):
        grid[y, x] = 5
    agree(grid, [(2, 0, 7, 5)])
    assert right_at(grid, (2, 0, 7, 5)) == {"largest": [True] * 3, "all": [True] * 3}
    wide = np.zeros((9, 40), np.uint8)
    wide[:, :9], wide[2, 6:] = grid, 5  # with a line, the hole's contour alone is right
    assert right_at(wide, (2, 0, 7, 5)) == {"largest": [False] * 3, "all": [True] * 3}


def test_of_equal_areas_the_first_listed_counts():
    """OpenCV lists from below; the two squares are alike but for their place."""
    grid = drawn((20, 20, 40, 40, 9), (120, 120, 140, 140, 9))
    first = boxes(grid > 0)[1][0]
    other = next(box for box in boxes(grid > 0)[1] if box != first)
    assert right_at(grid, first)["largest"] == [True] * 3
    assert right_at(grid, other) == {"largest": [False] * 3, "all": [True] * 3}


def test_an_area_is_of_what_a_contour_encloses():
    """A wide thin ring encloses more than a full square of more pixels; a line encloses nothing."""
    grid = drawn((10, 10, 80, 80, 9), (11, 11, 79, 79, 0), (100, 100, 150, 150, 9))
    assert right_at(grid, (10, 10, 80, 80))["largest"] == [True] * 3
    grid = drawn((0, 0, 224, 1, 9), (100, 100, 103, 103, 9))
    assert right_at(grid, (100, 100, 103, 103))["largest"] == [True] * 3
    assert right_at(grid, (0, 0, 223, 1))["largest"] == [False] * 3


def test_a_small_full_square_is_larger_than_a_wide_thin_shape():
    """Too small to be right itself, it is the largest contour, and so the box is wrong."""
    grid = drawn((20, 20, 30, 30, 9), (100, 100, 108, 108, 9))
    for i in range(50):
        grid[100 + i, 100 + i] = 9
    truth = (100, 100, 150, 150)
    assert right_at(grid, truth) == {"largest": [False] * 3, "all": [True] * 3}
    grid[20:23] = 0  # seven rows: 6 by 9 are still more than 7 by 7
    assert right_at(grid, truth)["largest"] == [False] * 3
    grid[23] = 0
    assert right_at(grid, truth)["largest"] == [True] * 3


def test_where_nothing_is_above_the_box_is_the_first_pixel():
    grid = drawn((100, 100, 150, 150, 80))
    right = contours.right(grid, np.array([(0, 0, 0, 0)]))
    for rule in contours.RULES:
        assert contours.intervals(right[rule]) == [(80, 255)] * 3
    agree(grid, [(0, 0, 0, 0)])
    agree(grid, [(0, 0, 1, 0)])


def test_any_true_box_will_do():
    grid = drawn((20, 20, 40, 40, 9))
    for truths in ([(20, 20, 40, 40), (99, 99, 120, 120)], [(0, 0, 0, 0), (20, 20, 40, 40)]):
        assert right_at(grid, *truths)["largest"] == [True] * 3
    assert right_at(grid, (60, 60, 80, 80), (99, 99, 120, 120))["all"] == [False] * 3


def test_maps_of_other_shapes_and_layouts_leave_nothing_behind():
    """What is written into is kept for maps of the same shape, a thread."""
    rng = np.random.default_rng(0)
    grids = [rng.integers(4, size=shape).astype(np.uint8) for shape in ((9, 9), (12, 7), (9, 9))]
    truths = np.array([(2, 2, 7, 7)])
    alone = [contours.right(grid, truths) for grid in grids]
    again = {}

    def judge(number):
        for _ in range(20):
            for i, grid in enumerate(grids):
                again[number, i] = contours.right(np.asfortranarray(grid), truths)

    threads = [threading.Thread(target=judge, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(again) == 12
    for (_, i), right in again.items():
        assert all((right[rule] == alone[i][rule]).all() for rule in contours.RULES)


@given(arrays.arrays(bool, st.tuples(st.integers(1, 6), st.integers(0, 255))))
def test_intervals_and_back(rows):
    made = contours.intervals(rows)
    assert len(made) == len(rows)
    for ends, row in zip(made, rows):
        assert ends == tuple(sorted(set(ends)))
        listed = {t for start, end in zip(ends[::2], ends[1::2]) for t in range(start, end)}
        assert listed == set(np.flatnonzero(row).tolist())
