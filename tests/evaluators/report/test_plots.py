"""Plots: values become pixels and back, ticks are round, the front is what nothing beats."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camx.evaluators.report import plots
from camx.evaluators.report.plots import Axis, Curve, Point

points = st.lists(
    st.tuples(st.floats(0.1, 1e4), st.floats(0, 100)).map(lambda p: Point("p", *p)),
    min_size=1, max_size=12,
)  # fmt: skip


@given(points)
def test_the_front_is_what_no_other_point_beats(drawn):
    """Against every pair compared: not worse in both, and better in one."""
    for point in plots.front(drawn):
        beaten = False
        for other in drawn:
            no_worse = other.x <= point.x and other.y >= point.y
            better = other.x < point.x or other.y > point.y
            beaten = beaten or (no_worse and better)
        assert point.front == (not beaten)


@given(st.floats(0.001, 1e6))
def test_a_step_is_1_2_or_5_times_a_power_of_ten_and_no_smaller(step):
    found = plots.nice(step)
    assert found >= step * (1 - 1e-9)
    assert re.match(r"[125]0*e|10*e", f"{found:.0e}"), found
    assert found < 2.5000001 * step + 1e-12


def test_an_axis_maps_its_ends_to_its_ends():
    linear, log = Axis(0, 50, 300, 0), Axis(1, 1000, 0, 300, logarithmic=True)
    assert (linear.at(0), linear.at(25), linear.at(50)) == (300, 150, 0)
    assert (log.at(1), log.at(10), log.at(1000)) == (0, 100, 300)
    assert [tick.words for tick in linear.ticks()] == ["0", "10", "20", "30", "40", "50"]
    assert [tick.words for tick in log.ticks()][::3] == ["1", "10", "100", "1000"]
    short = Axis(27, 79, 0, 300, logarithmic=True)  # between which hardly any such step lies
    assert [tick.words for tick in short.ticks()] == ["40", "60"]
    assert short.ticks()[0].at == short.at(40)


def test_a_curve_goes_through_its_points_in_pixels():
    plot = plots.curves("x", "X", ("a", "b"), [Curve("one", (0, 0.5, 1), (0, 100, 50))])
    assert plot.marks[0].path == (
        f"M{plot.left}.0,{plot.bottom}.0"
        f"L{(plot.left + plot.right) / 2},{plot.top}.0"
        f"L{plot.right}.0,{(plot.top + plot.bottom) / 2}"
    )


def test_names_of_points_do_not_overlap():
    near = [Point(str(i), 10 + i, 50 + i / 10) for i in range(8)]
    plot = plots.scatter("x", "X", ("a", "b"), near)
    heights = sorted(mark.label for mark in plot.marks)
    assert min(b - a for a, b in itertools.pairwise(heights)) >= plots.CROWDED - 1e-9
    assert all(mark.label >= mark.y for mark in plot.marks)


@pytest.mark.parametrize("low", [None, 20.0])
def test_a_point_without_an_interval_has_no_bar(low):
    plot = plots.scatter("x", "X", ("a", "b"), [Point("p", 10, 40, low, low and 60.0)])
    assert bool(plot.marks[0].path) == (low is not None)
