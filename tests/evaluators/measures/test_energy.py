"""Shares of the map in boxes and mask, summed pixel by pixel."""

import numpy as np
import pytest

from camx.evaluators.judged import Map
from camx.evaluators.measures import energy


def share(values, part, counted=None):
    """Of what is above the map's minimum."""
    low = min(float(v) for row in values for v in row)
    inside = whole = 0.0
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            if counted is None or counted[y, x]:
                whole += float(value) - low
                inside += (float(value) - low) * bool(part[y, x])
    return inside / whole if whole > 0 else float("nan")


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_shares_are_sums_of_pixels(heatmap, truth, kind):
    for seed in range(3):
        values = heatmap(seed, 14, 14)
        grid = (values * 200 + 30).astype(np.uint8) if kind == np.uint8 else values * 5 - 2
        rng = np.random.default_rng(seed)
        mask = rng.choice([0, 1, 255], size=(30, 41)).astype(np.uint8)
        boxes = (3, 4, 20, 25), (15, 20, 41, 30)
        shown, judged = Map(grid, (41, 30)), truth(*boxes, mask=mask)
        in_boxes, in_mask, area, n = energy.judge(shown, judged)
        assert in_boxes == pytest.approx(share(shown.on_image, judged.boxed), nan_ok=True)
        expected = share(shown.on_image, mask == 1, mask != 255)
        assert in_mask == pytest.approx(expected, nan_ok=True)
        assert (area, n) == ((17 * 21 + 26 * 10 - 5 * 5) / (41 * 30), 2)


def test_without_a_mask_there_is_no_mass(truth):
    shown = Map(np.eye(14), (40, 30))
    in_boxes, in_mask, *_ = energy.judge(shown, truth((0, 0, 20, 15)))
    assert 0 < in_boxes < 1
    assert np.isnan(in_mask)


@pytest.mark.parametrize("value", [np.uint8(0), np.uint8(9), 0.5, np.nan])
def test_maps_without_energy_have_no_share(truth, value):
    mask = np.zeros((30, 40), np.uint8)
    mask[:9] = 1
    shown = Map(np.full((30, 40), value), (40, 30))
    in_boxes, in_mask, area, _ = energy.judge(shown, truth(mask=mask))
    assert np.isnan([in_boxes, in_mask]).all()
    assert area == 9 / 30


def test_all_and_nothing(truth):
    values = np.zeros((30, 40), np.uint8)
    values[5, 5] = 7
    for box, expected in (((5, 5, 6, 6), 1), ((6, 5, 7, 6), 0), ((0, 0, 40, 30), 1)):
        assert energy.judge(Map(values, (40, 30)), truth(box))[0] == expected


def test_single_boxes_of_at_most_half_the_image(frame):
    rows = [
        ("a", 0, (0.5, 0.25, 0.5, 1)), ("b", 0, (0.75, np.nan, 0.51, 1)),
        ("c", 0, (0.2, np.nan, 0.1, 2)), ("d", 0, (np.nan, np.nan, 0.1, 1)),
    ]  # fmt: skip
    held = frame(energy, rows)
    columns = energy.outcomes(held, held[:0])
    expected = {
        "energy": [50, 75, 20, np.nan], "energy-single": [50, np.nan, np.nan, np.nan],
        "mass": [25, np.nan, np.nan, np.nan], "box area": [50, 51, 10, 10],
    }  # fmt: skip
    assert list(columns) == [metric.name for metric in energy.METRICS]
    for name, values in expected.items():
        assert columns[name].tolist() == pytest.approx(values, nan_ok=True)
