"""The pointing game as TorchRay plays it: is a pixel of the object less than 15 from the point?"""

import numpy as np
import pytest

from camx.evaluators import stats
from camx.evaluators.judged import Map
from camx.evaluators.measures import pointing

SIZE = (60, 50)


def hits(mask, x, y):
    """TorchRay's test of a point, pixel by pixel."""
    height, width = mask.shape
    return any(
        mask[j, i] == 1 and (j - y) ** 2 + (i - x) ** 2 < 15**2
        for j in range(height)
        for i in range(width)
    )


def pointed(*points, level=1.0):
    values = np.zeros(SIZE[::-1])
    for x, y in points:
        values[y, x] = level
    return Map(values, SIZE)


def test_every_point_is_judged_as_torchray_judges_it(truth):
    judged = truth((20, 10, 24, 13), (50, 40, 51, 41), size=SIZE)
    places = [(x, y) for y in range(0, 50, 3) for x in range(0, 60, 3)]
    expected = [hits(judged.mask, x, y) for x, y in places]
    assert 0.2 < np.mean(expected) < 0.8
    for place, hit in zip(places, expected):
        assert pointing.judge(pointed(place), judged)[0] == hit


@pytest.mark.parametrize(
    ("x", "y", "hit"),
    [
        (25, 10, 0),  # 15 pixels away: a miss
        (24, 10, 1),
        (19, 22, 0),  # 9 and 12: 15 again
        (24, 15, 1),  # 14 and 5: the root of 221, the largest distance of pixels below 15
        (20, 21, 1),  # 10 and 11: that, too
        (25, 11, 0),  # the root of 226
        (10, 10, 1),
    ],
)
def test_fifteen_pixels_are_a_miss(truth, x, y, hit):
    judged = truth((10, 10, 11, 11), size=SIZE)
    assert hits(judged.mask, x, y) == bool(hit)
    assert pointing.judge(pointed((x, y)), judged)[0] == hit


def test_distances_next_to_fifteen():
    distance = np.sqrt(np.array([[224, 225]], np.float32))
    assert pointing.hit(np.array([[1.0, 0.0]]), distance) == 1
    assert pointing.hit(np.array([[0.0, 1.0]]), distance) == 0


def test_of_several_highest_pixels_the_share_that_hits(truth):
    judged = truth((10, 10, 11, 11), size=SIZE)
    points = [(10, 10), (20, 20), (40, 40), (26, 10)]
    expected = np.mean([hits(judged.mask, *point) for point in points])
    assert pointing.judge(pointed(*points), judged)[0] == expected == 0.5


def test_a_constant_map_hits_as_chance_does(truth):
    judged = truth((10, 10, 11, 11), size=SIZE)
    share = np.mean([hits(judged.mask, x, y) for y in range(50) for x in range(60)])
    for values in (np.zeros((14, 14), np.uint8), np.full((14, 14), 9, np.uint8)):
        assert pointing.judge(Map(values, SIZE), judged)[0] == pytest.approx(share)


def test_maps_of_every_kind(heatmap, truth):
    rng = np.random.default_rng(0)
    for seed in range(3):
        x, y = rng.integers(45), rng.integers(35)
        judged = truth((int(x), int(y), int(x) + 9, int(y) + 6), size=SIZE)
        shown = Map((heatmap(seed, 14, 14) * 255).astype(np.uint8), SIZE)
        highest = np.argwhere(shown.on_image == shown.on_image.max()).tolist()
        points = highest[:: max(1, len(highest) // 40)]
        values = [hits(judged.mask, i, j) for j, i in points]
        if len(points) == len(highest):
            assert pointing.judge(shown, judged)[0] == pytest.approx(np.mean(values))
        else:
            near = judged.distance**2 < 225 - 0.5
            expected = near[shown.on_image == shown.on_image.max()].mean()
            assert pointing.judge(shown, judged)[0] == pytest.approx(expected)
            assert [bool(near[j, i]) for j, i in points] == values


def test_no_number_and_no_object_miss(truth):
    judged = truth((10, 10, 11, 11), size=SIZE)
    assert pointing.judge(Map(np.full((50, 60), np.nan), SIZE), judged)[0] == 0
    assert pointing.judge(pointed((10, 10)), truth(size=SIZE))[0] == 0


def test_a_mask_counts_rather_than_its_box(truth):
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[0, 0] = mask[49, 59] = 1
    mask[20:30, 20:30] = 255  # ignored: not the object
    assert pointing.judge(pointed((30, 25)), truth(mask=mask))[0] == 0
    assert pointing.judge(pointed((9, 9)), truth(mask=mask))[0] == 1


@pytest.mark.parametrize(
    ("box", "present", "difficult"),
    [
        ((0, 0, 30, 25), 2, False),  # a quarter
        ((0, 0, 30, 24), 2, True),
        ((0, 0, 30, 24), 1, False),  # no other class
        ((0, 0, 60, 50), 3, False),
    ],
)
def test_the_difficult_subset(truth, box, present, difficult):
    judged = truth(box, size=SIZE, present=present)
    assert pointing.judge(pointed((0, 0)), judged) == (1, True, difficult)


def test_boxes_of_the_difficult_subset_count_once(truth):
    """Two that overlap cover less than a quarter together."""
    judged = truth((0, 0, 30, 20), (0, 1, 30, 21), size=SIZE, present=2)
    assert pointing.judge(pointed((0, 0)), judged)[2]


def test_a_class_that_is_difficult_does_not_count(truth, frame):
    rows = [
        ("a", 0, pointing.judge(pointed((0, 0)), truth((0, 0, 5, 5), size=SIZE, difficult=True))),
        ("b", 0, (1.0, True, True)), ("c", 0, (0.0, True, False)), ("d", 1, (0.5, True, True)),
        ("e", 2, (1.0, False, True)),
    ]  # fmt: skip
    held = frame(pointing, rows)
    columns = pointing.outcomes(held, held[:0])
    images = {name: columns[name].dropna() for name in columns}
    assert {name: list(images[name].index) for name in images} == {
        "pointing": [1, 2, 3], "pointing-difficult": [1, 3], "pointing-images": [1, 2, 3],
    }  # fmt: skip
    assert images["pointing-images"].mean() == 50
    value, *_ = stats.describe_by_class(np.stack(images["pointing"].to_list()), pointing.share)
    assert value == 50  # classes 0 and 1 a half each
    value, *_ = stats.describe_by_class(
        np.stack(images["pointing-difficult"].to_list()), pointing.share
    )
    assert value == 75


def test_the_mean_is_over_classes(frame):
    rng = np.random.default_rng(0)
    rows = [(str(i), int(rng.integers(4)), (float(rng.random() < 0.6), True, False))
            for i in range(60)]  # fmt: skip
    held = frame(pointing, rows)
    column = pointing.outcomes(held, held[:0])["pointing"]
    accuracies = []
    for label in range(4):
        of_class = [row[0] for _, other, row in rows if other == label]
        accuracies.append(100 * sum(of_class) / len(of_class))
    value, *_ = stats.describe_by_class(np.stack(column.to_list()), pointing.share)
    assert value == pytest.approx(sum(accuracies) / 4)
