"""PxAP, mPxAP and pIoU as wsolevaluation and BagCAMs define them, pixel by pixel."""

from bisect import bisect_right

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camx.evaluators import stats
from camx.evaluators.judged import Map
from camx.evaluators.measures import pxap

TAUS = np.arange(0, 1, 0.001).tolist()
EDGES = [*TAUS, 1.0, 2.0, 3.0]


def histograms(values, mask):
    """Pixels of each bin, on the object and off it."""
    on, off = [0] * 1002, [0] * 1002
    for value, marked in zip(values.ravel().tolist(), mask.ravel().tolist()):
        place = bisect_right(EDGES, value) - 1
        if marked == 1:
            on[place] += 1
        elif marked == 0:
            off[place] += 1
    return on, off


def summed(listed):
    return [[sum(each) for each in zip(*side)] for side in zip(*listed)]


def average_precision(on, off):
    """From the highest bin down; the first has no bin before it, and adds nothing."""
    total, area = sum(on), 0.0
    hits, false, before = on[1001], off[1001], on[1001] / total
    for place in range(1000, -1, -1):
        hits, false = hits + on[place], false + off[place]
        if hits + false > 0:
            area += hits / (hits + false) * (hits / total - before)
        before = hits / total
    return 100 * area


def peak_iou(on, off):
    return max(100 * sum(on[place:]) / (sum(on) + sum(off[place:])) for place in range(1002))


def some_mask(rng, height, width):
    mask = rng.choice([0, 1, 255], p=[0.5, 0.3, 0.2], size=(height, width)).astype(np.uint8)
    mask[: height // 2, : width // 2] = 1
    return mask


@pytest.fixture
def pairs(heatmap, truth):
    """Maps of one kind, and masks with ignored pixels, of classes 0, 1, 0, 1."""
    rng = np.random.default_rng(0)
    listed = []
    for i in range(4):
        mask = some_mask(rng, 20 + i, 30)
        values = heatmap(i, 14, 14)
        grid = values if i == 3 else (values * 255).astype(np.uint8)
        listed.append((Map(grid, (30, 20 + i)), truth(mask=mask, label=i % 2)))
    return listed


def records(frame, pairs, **options):
    rows = [(str(i), t.sample.label, pxap.judge(m, t)) for i, (m, t) in enumerate(pairs)]
    return frame(pxap, rows, **options)


def total(column):
    return np.stack(column.to_list()).sum(0)


def test_all_are_those_of_pixel_by_pixel(pairs, frame):
    held = records(frame, pairs)
    columns = pxap.outcomes(held, held[:0])
    listed = [histograms(shown.square, judged.square_mask) for shown, judged in pairs]
    for row, (on, off) in zip(columns["PxAP"], listed):
        assert row.tolist() == on + off
    on, off = summed(listed)
    assert pxap.average_precision(total(columns["PxAP"])) == pytest.approx(
        average_precision(on, off)
    )
    assert pxap.peak_iou(total(columns["pIoU"])) == pytest.approx(peak_iou(on, off))
    classes = [average_precision(*summed(part)) for part in (listed[::2], listed[1::2])]
    value = stats.describe_by_class(np.stack(columns["mPxAP"].to_list()), pxap.average_precision)
    assert value[0] == pytest.approx(sum(classes) / 2)
    curves = pxap.curves(held)
    for name, values in (
        ("precision", [100 * sum(on[k:]) / (sum(on[k:]) + sum(off[k:]) or np.nan)
                       for k in range(1000)]),
        ("recall", [100 * sum(on[k:]) / sum(on) for k in range(1000)]),
        ("IoU", [100 * sum(on[k:]) / (sum(on) + sum(off[k:])) for k in range(1000)]),
    ):  # fmt: skip
        (curve,) = (curve for key, curve in curves.items() if key[-1] == name)
        assert curve.tolist() == pytest.approx(values, nan_ok=True)
    assert pxap.TAUS.tolist() == pytest.approx([k / 1000 for k in range(1000)])
    assert pxap.PEAK == "IoU"


def test_a_record_holds_the_bins_that_hold_pixels(truth):
    values = np.zeros((224, 224))
    values[:10], values[10, 0] = 1, 0.5005
    mask = np.zeros((224, 224), np.uint8)
    mask[5:20], mask[223] = 1, 255
    bins, on, off = pxap.judge(Map(values, (224, 224)), truth(mask=mask))
    assert bins == (0, 500, 1000)  # 1 is of [1, 2)
    assert on == (10 * 224 - 1, 1, 5 * 224)
    assert off == (224 * 224 - 16 * 224 - 5 * 224, 0, 5 * 224)


def every_edge():
    edges = np.array(EDGES[:-2])
    grey = np.arange(256) / 255
    near = [np.nextafter(part, side) for part in (edges, grey) for side in (-1, 2)]
    values = np.concatenate([edges, grey, *near])
    return values[(values >= 0) & (values <= 1)]


def test_a_bin_begins_at_its_edge():
    """0.2 is 51 of 255, and exactly an edge; so are others but for the last bit."""
    for values in (every_edge(), np.random.default_rng(0).random(100_000)):
        bins = pxap._bins(values)
        assert bins.tolist() == [bisect_right(EDGES, value) - 1 for value in values.tolist()]
    assert pxap._bins(np.array([51 / 255])) == 200


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1))
def test_bins_of_any_value(values):
    assert pxap._bins(np.array(values)).tolist() == [bisect_right(EDGES, v) - 1 for v in values]


def test_the_highest_bin_that_is_held_adds_its_recall():
    """Half the object at 1, half at 0.5 with as much background: 100 % of a half, 67 % of one."""
    on, off = np.zeros(1002), np.zeros(1002)
    on[1000], on[500], off[500] = 10, 10, 10
    assert pxap.average_precision(np.concatenate([on, off])) == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert pxap.ious(np.concatenate([on, off]))[[0, 500, 501, 1000, 1001]].tolist() == (
        pytest.approx([200 / 3, 200 / 3, 50, 50, 0])
    )


def test_without_an_object_there_is_no_average_precision():
    counts = np.zeros(2004)
    counts[1002:] = 3
    assert np.isnan(pxap.average_precision(counts))
    assert pxap.peak_iou(counts) == 0


def test_average_precision_is_scikit_learn_s(truth, frame):
    """Of a map whose values are the bins' edges."""
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    values = rng.choice(np.array(EDGES[:-2]), size=(224, 224))
    mask = (rng.random((224, 224)) < values / 2 + 0.1).astype(np.uint8)
    held = records(frame, [(Map(values, (224, 224)), truth(mask=mask))])
    ours = pxap.average_precision(total(pxap.outcomes(held, held[:0])["PxAP"]))
    assert ours == pytest.approx(100 * average_precision_score(mask.ravel(), values.ravel()))


def test_a_threshold_of_other_images(frame):
    """The first of the best there; intersection and union at it are here."""
    here = [("a", 0, ((0, 300, 700), (1, 5, 4), (50, 8, 1))), ("b", 0, ((0, 300), (2, 3), (9, 9)))]
    there = [("c", 0, ((0, 300, 700), (0, 0, 9), (50, 30, 0)))]
    held, other = frame(pxap, here), frame(pxap, there)
    column = pxap.outcomes(held, other)["PxIoU"]
    # The highest IoU there is that of bins 301 to 700, of which 301 is the first.
    assert [row.tolist() for row in column] == [[4, 10 + 1], [0, 5]]
    assert pxap._one_iou(total(column)) == pytest.approx(100 * 4 / 16)
    assert np.isnan(pxap._one_iou(np.zeros(2)))
    assert "PxIoU" not in pxap.outcomes(held, other[:0])
    assert pxap.outcomes(held, frame(pxap, there, "layercam"))["PxIoU"].isna().all()


def test_maps_that_are_no_numbers_are_zeros(truth):
    mask = np.zeros((30, 40), np.uint8)
    mask[:15] = 1
    for values in (np.full((14, 14), np.nan), np.zeros((14, 14), np.uint8)):
        bins, on, off = pxap.judge(Map(values, (40, 30)), truth(mask=mask))
        assert (bins, on, off) == ((0,), (224 * 112,), (224 * 112,))
