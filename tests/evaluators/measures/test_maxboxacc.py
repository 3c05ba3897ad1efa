"""MaxBoxAcc as wsolevaluation defines it: for every tau, ``findContours``, in plain loops."""

import cv2
import numpy as np
import pytest

from camx.evaluators.judged import Map
from camx.evaluators.measures import maxboxacc

TAUS = np.arange(0, 1, 0.001)


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    both = max(0, width) * max(0, height)
    areas = [(x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in (a, b)]
    return both / (sum(areas) - both)


def square(given):
    """A map as inference makes it: 224 x 224, bicubic, from its minimum to its maximum."""
    given = given.astype(float)
    if not np.isfinite(given).all() or given.min() == given.max():
        return np.zeros((224, 224))
    if given.shape != (224, 224):
        given = cv2.resize(given, (224, 224), interpolation=cv2.INTER_CUBIC)
    given = given - given.min()
    return given / given.max()


def overlaps(scores, boxes, size, multiple):
    """The best IoU at each tau, of the largest contour or of all."""
    width, height = size
    truths = [
        (int(a * 224 / width), int(b * 224 / height), int(c * 224 / width), int(d * 224 / height))
        for a, b, c, d in boxes
    ]
    image, best, seen = (scores * 255).astype(np.uint8), [], {}
    for tau in TAUS:
        threshold = int(tau * image.max())
        if threshold not in seen:
            mask = cv2.threshold(image, threshold, 255, cv2.THRESH_BINARY)[1]
            listed = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
            if len(listed) and not multiple:
                listed = [max(listed, key=cv2.contourArea)]
            found = []
            for contour in listed:
                x, y, w, h = cv2.boundingRect(contour)
                found.append((x, y, min(x + w, 223), min(y + h, 223)))
            found = found or [(0, 0, 0, 0)]
            seen[threshold] = max((iou(f, t) for f in found for t in truths), default=0)
        best.append(seen[threshold])
    return best


def accuracy(images, delta, multiple):
    """Of each tau, the percent of images, ``(scores, boxes, size)`` each, that are right."""
    lists = [overlaps(*image, multiple) for image in images]
    return [100 * sum(best[i] >= delta for best in lists) / len(lists) for i in range(len(TAUS))]


def some_box(rng, size):
    x0, y0 = (int(rng.integers(side * 2 // 3)) for side in size)
    return x0, y0, int(rng.integers(x0, size[0])) + 1, int(rng.integers(y0, size[1])) + 1


def some(heatmap, truth, n, side=14):
    """Maps of one kind, with their truths; labels in turn; one box, or two."""
    rng = np.random.default_rng(0)
    for i in range(n):
        size = tuple(int(v) for v in rng.integers(30, 90, size=2))
        grid = (heatmap(i, side, side) * 255).astype(np.uint8)
        boxes = [some_box(rng, size) for _ in range(1 + i % 2)]
        yield Map(grid, size), truth(*boxes, size=size, label=i % 3)


def records(frame, pairs, method="gradcam"):
    rows = [
        (str(i), judged.sample.label, maxboxacc.judge(shown, judged))
        for i, (shown, judged) in enumerate(pairs)
    ]
    return frame(maxboxacc, rows, method)


def images(pairs):
    return [(square(shown.given), judged.sample.boxes, judged.size) for shown, judged in pairs]


def test_both_accuracies_are_those_of_every_tau(heatmap, truth, frame):
    pairs = list(some(heatmap, truth, 4))
    if pairs[0][0].given.std() > 90:  # one pixel's noise has thousands of contours
        pairs = pairs[:2]
    held, listed = records(frame, pairs), images(pairs)
    columns = maxboxacc.outcomes(held, held[:0])
    totals = {name: np.stack(columns[name].to_list()).sum(0, dtype=int) for name in columns}
    single = accuracy(listed, 0.5, False)
    each = [accuracy(listed, delta, True) for delta in (0.3, 0.5, 0.7)]
    assert maxboxacc.best(totals["MaxBoxAcc"]) == pytest.approx(max(single))
    mean = sum(max(values) for values in each) / 3
    assert maxboxacc.best_of_all(totals["MaxBoxAccV2"]) == pytest.approx(mean)
    curves = maxboxacc.curves(held)
    (cell,) = {key[:3] for key in curves}
    for name, values in (
        ("largest contour, IoU >= 0.5", single),
        ("any contour, IoU >= 0.3", each[0]),
        ("any contour, IoU >= 0.5", each[1]),
        ("any contour, IoU >= 0.7", each[2]),
    ):
        assert curves[(*cell, name)].tolist() == pytest.approx(values)
    assert len(curves) == 4
    for rule, multiple in (("largest", False), ("any", True)):
        for delta in (30, 50, 70):
            values = accuracy(listed, delta / 100, multiple)
            assert maxboxacc.shares(held, rule, delta).tolist() == pytest.approx(values)


def centred(side, value=1.0, shape=224):
    """A square at (100,100) of a side; its box is `side` + 1 wide."""
    values = np.zeros((shape, shape))
    values[100 : 100 + side, 100 : 100 + side] = value
    return values


@pytest.mark.parametrize(("y1", "right"), [(119, True), (120, False)])
def test_an_iou_of_exactly_a_half_is_right(truth, y1, right):
    """Nine rows give a box of ten; the truth has twice as many, or one more."""
    shown, judged = Map(centred(9), (224, 224)), truth((100, 100, 109, y1), size=(224, 224))
    largest_30, largest_50, *_ = maxboxacc.judge(shown, judged)
    assert largest_30 == (0, 1000)
    assert largest_50 == ((0, 1000) if right else ())


@pytest.mark.parametrize(("level", "share"), [(0.5, 100), (0.3, 50)])
def test_one_tau_is_for_all_images(truth, frame, level, share):
    """The first image is right from 0.4 on, the second up to a level: at one tau, or at none."""
    first, second = np.maximum(centred(50), 0.4), centred(20)
    first[0, 0] = 0
    second[90:160, 90:160] = np.maximum(second[90:160, 90:160], level)
    small, large = (100, 100, 150, 150), (90, 90, 160, 160)
    pairs = [
        (Map(values, (224, 224)), truth(box, size=(224, 224)))
        for values, box in ((first, small), (second, large))
    ]
    held = records(frame, pairs)
    assert [len(row) for row in held["largest_50"]] == [2, 2]
    total = np.stack(maxboxacc.outcomes(held, held[:0])["MaxBoxAcc"].to_list()).sum(0, dtype=int)
    assert maxboxacc.best(total) == share


def test_a_square_given_with_a_low_maximum_is_cut_at_shares_of_it(truth):
    """As wsolevaluation does where maps are read from files: half the size is the same."""
    rng = np.random.default_rng(0)
    shown = cv2.GaussianBlur(rng.random((224, 224)), (0, 0), 12)
    shown = (shown - shown.min()) / (shown.max() - shown.min())
    boxes = [(20, 30, 120, 100)]
    judged = truth(*boxes, size=(224, 224))
    for share in (1.0, 0.4):
        ends = maxboxacc.judge(Map(shown * share, (224, 224)), judged)
        for row, (delta, multiple) in enumerate(
            (delta, multiple) for multiple in (False, True) for delta in (0.3, 0.5, 0.7)
        ):
            best = overlaps(shown * share, boxes, (224, 224), multiple)
            expected = [value >= delta for value in best]
            listed = {t for a, b in zip(ends[row][::2], ends[row][1::2]) for t in range(a, b)}
            assert [k in listed for k in range(1000)] == expected


def test_a_table_holds_what_records_say(frame):
    rows = [("a", 0, ((), (0, 3, 7, 1000), (), (), (), ())), ("b", 1, ((), (), (), (), (), ()))]
    table = maxboxacc.table(frame(maxboxacc, rows), "largest", 50)
    assert table.shape == (2, 1000)
    assert np.flatnonzero(table[0] == 0).tolist() == [3, 4, 5, 6]
    assert set(np.unique(table)) == {0, 1}
    assert not table[1].any()
    assert maxboxacc.table(frame(maxboxacc, []), "any", 30).shape == (0, 1000)


def at(*starts):
    """A record's fields: right from each start on, for ten thresholds."""
    return tuple((start, start + 10) if start >= 0 else () for start in starts)


def test_thresholds_of_other_images(frame):
    """They are the first of the best there, for each IoU its own; what they are worth is here."""
    here = [("a", 0, at(0, 50, 0, 0, 50, 90)), ("b", 1, at(0, 100, 0, 0, 55, -1))]
    there = [("c", 0, at(0, 99, 0, 0, 58, 95)), ("d", 0, at(0, 105, 0, 5, 60, 97))]
    held, other = frame(maxboxacc, here), frame(maxboxacc, there)
    columns = maxboxacc.outcomes(held, other)
    # Largest: both are right from 105 on, which is right for b alone. Any: 5, 60 and 97.
    assert columns["BoxAcc"].tolist() == [False, True]
    assert columns["BoxAcc"].dtype == bool
    assert columns["BoxAccV2"].tolist() == pytest.approx([100 * 2 / 3, 100 * 2 / 3])
    assert "BoxAcc" not in maxboxacc.outcomes(held, other[:0])
    both = maxboxacc.outcomes(held, frame(maxboxacc, there, "layercam"))
    assert both["BoxAcc"].isna().all()  # no such cell there
    assert both["BoxAccV2"].isna().all()


def test_one_record_is_right_at_one_record_s_thresholds(frame):
    held = frame(maxboxacc, [("a", 0, at(0, 50, 0, 0, 50, 90))])
    columns = maxboxacc.outcomes(held, held)
    assert (columns["BoxAcc"][0], columns["BoxAccV2"][0]) == (True, 100)


def test_the_first_of_equal_thresholds():
    assert maxboxacc.peak(np.array([[0, 1, 1], [0, 0, 1], [0, 1, 0]])) == 1
