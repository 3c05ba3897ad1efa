from dataclasses import replace

import numpy as np
import pytest

from camx.evaluators import heatmaps, nulls
from camx.evaluators.tasks.localize import boxes
from camx.evaluators.types import Cell


def test_everything_is_the_whole_image():
    grid = nulls.grid("everything", "a", 56)
    mask = heatmaps.foreground(heatmaps.on_image(grid, (90, 60)))
    assert boxes.box(mask) == (0, 0, 90, 60)


def test_the_centre_box_has_half_of_the_area():
    grid = nulls.grid("centre", "a", 256)
    assert (grid > 0).mean() == pytest.approx(0.5, abs=0.01)
    x0, y0, x1, y1 = boxes.box(heatmaps.foreground(heatmaps.on_image(grid, (400, 200)), 0.5))
    assert (x1 - x0) * (y1 - y0) == pytest.approx(40_000, rel=0.03)
    assert (x0, y0) == (pytest.approx(400 - x1, abs=1), pytest.approx(200 - y1, abs=1))


def test_random_maps_are_the_image_s():
    a, again, b = (nulls.grid("random", key, 224) for key in ("a", "a", "b"))
    assert np.array_equal(a, again)
    assert not np.array_equal(a, b)
    assert a.max() == 255
    assert 100 < a.mean() < 150
    assert abs(np.diff(a.astype(int), axis=0)).max() < 40  # of a layer's size, not of pixels


def test_a_name_is_taken():
    with pytest.raises(ValueError, match="'random' is what camx calls a row"):
        nulls.check({"layercam", "random"})
    nulls.check({"layercam"})
    with pytest.raises(ValueError, match="'noise' is no null map; known: everything"):
        nulls.grid("noise", "a", 8)


def test_who_competes_with_whom():
    """No null, no mask at a random place, not the images as they are; one share with one share."""
    a, b = Cell("a", ("S5",)), Cell("b", ("S5",))
    small, moved = replace(a, area=0.1), replace(a, area=0.1, random=True)
    other = replace(b, area=0.1)
    every = {"a": a, "b": b, "small": small, "moved": moved, "other": other}
    every |= {"as it is": Cell("original"), "blind": Cell("centre")}
    assert nulls.competing(every) == [["a", "b"], ["small", "other"]]
    assert nulls.competing({"a": a, "again": a}) == [["a", "again"]]  # of two runs, say
    masks = {"one": Cell("one"), "two": Cell("two"), "blind": Cell("background")}
    assert nulls.competing(masks) == [["one", "two"]]
    assert nulls.competing({}) == []
