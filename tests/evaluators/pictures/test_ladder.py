"""Critical-difference diagrams as rendered: no words on other words or outside, bars to scale."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from camx.evaluators.pictures import ladder
from camx.evaluators.pictures.ladder import Ladder


def shown(count, means=None, bars=(), difference=1.5, name="method-{}"):
    means = tuple(means if means is not None else np.linspace(1, count, count))
    title = f"loc1: mean rank of {count} methods over 8 runs"
    about = ("localize, protocol paper", "a bar joins methods that are not told apart")
    names = tuple(name.format(number) for number in range(count))
    return Ladder(title, about, names, means, difference, bars)


def drawn(diagram):
    """The figure, and the extent of each of its words in pixels."""
    figure = ladder.draw(diagram)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [t for t in figure.axes[0].texts if t.get_text()]
    return figure, {t: t.get_window_extent(canvas.get_renderer()) for t in texts}


@pytest.mark.parametrize(
    "diagram",
    [
        shown(2),
        shown(5, bars=((0, 1), (1, 2, 3))),
        shown(5, [1, 2.999, 3, 3, 4.99], difference=4.31),
        shown(25, name="a-method-whose-name-is-long-{}-and-longer-still-than-that"),
        shown(40, [20.5] * 40, bars=(tuple(range(40)),)),
        shown(3, [1, 1, 1]),
    ],
)
def test_no_words_overlap_or_stick_out(diagram):
    figure, extents = drawn(diagram)
    for a, b in itertools.combinations(extents.values(), 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
        assert apart, (a, b)
    wide, high = figure.get_size_inches() * figure.dpi
    for extent in extents.values():
        assert extent.x0 >= 0
        assert extent.y0 >= 0
        assert extent.x1 <= wide
        assert extent.y1 <= high
    said = " ".join(text.get_text() for text in extents)
    assert all(f"{mean:.2f}" in said for mean in diagram.means)


def strokes(diagram):
    """Each line's width in points and its places in ranks from 1, across; in order."""
    (axes,) = drawn(diagram)[0].axes
    lines = axes.get_lines()
    line = next(
        i for i in lines if i.get_xdata()[1] - i.get_xdata()[0] == pytest.approx(ladder.AXIS)
    )
    left, per = line.get_xdata()[0], ladder.AXIS / (len(diagram.methods) - 1)
    return [(i.get_linewidth(), 1 + (np.array(i.get_xdata()) - left) / per) for i in lines]


def test_ranks_bars_and_the_difference_are_to_scale():
    diagram = shown(5, [1.2, 2.4, 3, 3.9, 4.5], bars=((0, 1), (1, 2, 3)), difference=1.5)
    lines = strokes(diagram)
    assert lines[0][1].tolist() == pytest.approx([1, 2.5])  # the difference, from rank 1
    bars = [xs for width, xs in lines if width == ladder.STRONG]
    assert len(bars) == 2
    over = 0.04 * 4 / ladder.AXIS  # the bar's ends stick out a little
    assert bars[0].tolist() == pytest.approx([1.2 - over, 2.4 + over])
    assert bars[1].tolist() == pytest.approx([2.4 - over, 3.9 + over])
    leading = [xs[0] for width, xs in lines if width == 0.8]
    assert leading == pytest.approx(diagram.means)


def test_a_difference_longer_than_the_line_is_said():
    said = [text.get_text() for text in drawn(shown(3, difference=4.31))[1]]
    assert "critical difference 4.31, longer than the line" in said
    assert max(strokes(shown(3, difference=4.31))[0][1]) == pytest.approx(3)


def test_the_better_half_stands_on_the_left_in_its_order():
    _, extents = drawn(shown(5))
    places = {text.get_text(): extent for text, extent in extents.items()}
    left = [places[f"method-{at}  {at + 1:.2f}"] for at in range(3)]
    right = [places[f"{at + 1:.2f}  method-{at}"] for at in (4, 3)]
    for side in (left, right):
        assert [e.y0 for e in side] == sorted((e.y0 for e in side), reverse=True)
    assert max(e.x1 for e in left) < min(e.x0 for e in right)
