"""A critical-difference diagram: methods on a line of mean ranks, bars over those alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from camx.evaluators.pictures import PLAIN, SMALL, heading, marks
from camx.evaluators.pictures.heading import Heading
from camx.evaluators.pictures.words import height, lines, width

MARGIN, GAP = 0.1, 0.08  # inches
AXIS = 3.4  # inches: the line of ranks
LABEL = 1.9  # inches at most, a method's name
TICK = 0.06  # inches
BAR = 0.09  # inches between two bars
INK, STRONG = "#000000", 2.4  # points: a bar
RANK = "{:.2f}"


@dataclass(frozen=True)
class Ladder:
    """Methods and their mean ranks, the best first; the critical difference; the bars' places."""

    title: str
    about: tuple[str, ...]
    methods: tuple[str, ...]
    means: tuple[float, ...]
    difference: float
    bars: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class _Line:
    """The line of ranks 1 to `most`, from `left` rightwards, at a height `y` of the sheet."""

    left: float
    y: float
    most: int

    def at(self, rank: float) -> float:
        return self.left + AXIS * (rank - 1) / (self.most - 1)


def draw(ladder: Ladder) -> Figure:
    """Ranks from 1, the best, on the left; names left and right, none above another.

    The better half of the names stands on the left, the others on the right, each at the end of a
    line that leads down from its mean rank. A bar joins methods that are not told apart.
    """
    count = len(ladder.methods)
    names = [lines(name, LABEL, PLAIN, most=1)[0] for name in ladder.methods]
    told = (f"{name}  {RANK.format(mean)}" for name, mean in zip(names, ladder.means))
    wide = max(width(text, PLAIN) for text in told) + GAP
    inside = 2 * wide + AXIS
    high, place = heading.laid(Heading(ladder.title, ladder.about), inside)
    row = height(1, PLAIN) * 1.15
    top = MARGIN + high + 2 * GAP + height(1, SMALL)  # of the critical difference's own line
    line = _Line(MARGIN + wide, top + GAP + height(1, SMALL) + 2 * TICK, count)
    first = line.y + BAR * (len(ladder.bars) + 1) + row / 2
    better = (count + 1) // 2
    axes = marks.sheet(inside + 2 * MARGIN, first + row * better + MARGIN)
    place(axes, MARGIN, MARGIN)
    _difference(axes, line, top, ladder.difference)
    _ranks(axes, line)
    for number, bar in enumerate(ladder.bars):
        ends = [line.at(ladder.means[at]) for at in (bar[0], bar[-1])]
        y = line.y + BAR * (number + 1)
        _stroke(axes, (ends[0] - 0.04, ends[1] + 0.04), (y, y), STRONG)
    for at, (name, rank) in enumerate(zip(names, ladder.means)):
        left = at < better
        y = first + row * (at if left else count - 1 - at)
        _name(axes, line, name, rank, y, left)
    return marks.figure_of(axes)


def _difference(axes: Axes, line: _Line, y: float, difference: float) -> None:
    """The critical difference to scale, from rank 1; one that is longer than the line is said."""
    drawn = min(difference, line.most - 1)
    ends = line.at(1), line.at(1 + drawn)
    _stroke(axes, ends, (y, y), 1.0)
    for x in ends[: 2 if drawn == difference else 1]:
        _stroke(axes, (x, x), (y - TICK / 2, y + TICK / 2), 1.0)
    longer = "" if drawn == difference else ", longer than the line"
    said = f"critical difference {RANK.format(difference)}{longer}"
    marks.words(axes, line.left, y - height(1, SMALL) - TICK / 2, said, SMALL)


def _ranks(axes: Axes, line: _Line) -> None:
    _stroke(axes, (line.at(1), line.at(line.most)), (line.y, line.y), 1.0)
    step = -(-(line.most - 1) // 12)  # so that numbers do not meet
    for rank in range(1, line.most + 1, step):
        x = line.at(rank)
        _stroke(axes, (x, x), (line.y - TICK, line.y), 1.0)
        y = line.y - TICK - height(1, SMALL)
        marks.words(axes, x, y, str(rank), SMALL, ha="center")


def _name(axes: Axes, line: _Line, name: str, rank: float, y: float, left: bool) -> None:
    """A method's name and mean rank at the end of its line, whose corner is below its rank."""
    x = line.at(rank)
    end = line.at(1) - GAP / 2 if left else line.at(line.most) + GAP / 2
    _stroke(axes, (x, x, end), (line.y, y, y), 0.8)
    told = f"{name}  {RANK.format(rank)}" if left else f"{RANK.format(rank)}  {name}"
    side, align = (-GAP / 2, "right") if left else (GAP / 2, "left")
    marks.words(axes, end + side, y - height(1, PLAIN) / 2, told, PLAIN, ha=align)


def _stroke(axes: Axes, xs: Sequence[float], ys: Sequence[float], points: float) -> None:
    axes.plot(xs, ys, color=INK, lw=points, solid_capstyle="butt", solid_joinstyle="miter")
