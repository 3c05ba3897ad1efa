"""Plots as numbers: where points, lines, ticks and labels lie; the page's template draws them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 44  # what the axes' words take
TICKS = 6  # at most, an axis
STYLES = 6  # of lines and points: a colour and a dash or a shape each, in the page's style sheet
LARGER = 1 + 1e-9  # than what rounding takes
CROWDED = 13  # pixels between two labels


@dataclass(frozen=True)
class Curve:
    """A line: its name and points."""

    name: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]


@dataclass(frozen=True)
class Point:
    """A point with its 95 % interval upwards, and whether nothing is both cheaper and better."""

    name: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None
    front: bool = False


@dataclass(frozen=True)
class Tick:
    at: float
    words: str


@dataclass(frozen=True)
class Mark:
    """A drawn curve or point, in pixels."""

    name: str
    style: int
    path: str
    x: float = 0.0
    y: float = 0.0
    label: float = 0.0  # the height of its name
    words: str = ""


@dataclass(frozen=True)
class Plot:
    """A plot ready to be drawn, and its title, axes and source in words."""

    id: str
    title: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    kind: str
    note: str = ""
    csv: str = ""
    front: str = ""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Axis:
    """From values to pixels, linearly or by the logarithm."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        low, high, value = (
            (math.log10(v) for v in (self.low, self.high, value))
            if self.logarithmic
            else (self.low, self.high, value)
        )
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> tuple[Tick, ...]:
        return tuple(Tick(self.at(value), f"{value:g}") for value in self._values())

    def _values(self) -> Iterable[float]:
        if self.logarithmic:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = [m * 10.0**d for d in decades for m in (1, 2, 5)]
            inside = [v for v in steps if self.low <= v * LARGER and v <= self.high * LARGER]
            if len(inside) > 2:
                return inside
        step = nice((self.high - self.low) / (TICKS - 1))
        first = math.ceil(self.low / step - 1e-9)
        count = int((self.high - first * step) / step + 1e-9) + 1
        return [round((first + i) * step, 10) for i in range(count)]


def nice(step: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... at or above a step; 1 for none."""
    if step <= 0:
        return 1.0
    decade = 10.0 ** math.floor(math.log10(step))
    return next(m * decade for m in (1, 2, 5, 10) if m * decade >= step * (1 - 1e-9))


def _axes(xs: Sequence[float], ys: Sequence[float], logarithmic: bool) -> tuple[Axis, Axis]:
    """The axes that hold all values; the upright one from 0."""
    x_low, x_high = min(xs), max(xs)
    if logarithmic:
        x_low, x_high = x_low / 1.3, x_high * 1.6
    elif x_high == x_low:
        x_high = x_low + 1
    step = nice(max(max(ys), 1e-9) / (TICKS - 1))
    y_high = step * math.ceil(max(max(ys), 1e-9) / step - 1e-9)
    across = Axis(x_low, x_high, LEFT, WIDTH - RIGHT, logarithmic)
    return across, Axis(0.0, y_high, HEIGHT - BOTTOM, TOP)


def curves(
    id: str, title: str, labels: tuple[str, str], lines: Sequence[Curve], note: str = ""
) -> Plot:
    """A line a curve; `labels` are the axes'."""
    xs = [x for line in lines for x in line.xs]
    across, up = _axes(xs, [y for line in lines for y in line.ys], False)
    marks = []
    for number, line in enumerate(lines):
        places = [f"{across.at(x)},{up.at(y)}" for x, y in zip(line.xs, line.ys)]
        marks.append(Mark(line.name, number % STYLES, "M" + "L".join(places)))
    return Plot(id, title, *labels, across.ticks(), up.ticks(), tuple(marks), "curves", note)


def scatter(
    id: str, title: str, labels: tuple[str, str], points: Sequence[Point], note: str = ""
) -> Plot:
    """A point each, its interval, its name beside it, and the front of the best; x by logarithm."""
    held = front(points)
    tops = [max(p.y, p.high or p.y) for p in held]
    across, up = _axes([p.x for p in held], tops, True)
    heights = _apart([up.at(p.y) for p in held])
    marks = []
    for number, (point, label) in enumerate(zip(held, heights)):
        x, y = across.at(point.x), up.at(point.y)
        bar = ""
        if point.low is not None and point.high is not None:
            bar = f"M{x},{up.at(max(point.low, 0))}V{up.at(point.high)}"
        words = f"{point.name}: {point.y:.2f}, {point.x:.3g} ms"
        marks.append(Mark(point.name, number % STYLES, bar, x, y, label, words))
    best = sorted((p for p in held if p.front), key=lambda p: p.x)
    step = "".join(
        f"M{across.at(p.x)},{up.at(p.y)}" if not i else f"H{across.at(p.x)}V{up.at(p.y)}"
        for i, p in enumerate(best)
    )
    step += f"H{WIDTH - RIGHT}" if best else ""
    axes = across.ticks(), up.ticks()
    return Plot(id, title, *labels, *axes, tuple(marks), "scatter", note, front=step)


def front(points: Sequence[Point]) -> list[Point]:
    """The points, those marked that no other beats: as cheap and better, or as good and cheaper."""

    def beaten(p: Point) -> bool:
        return any(q.x <= p.x and q.y >= p.y and (q.x, q.y) != (p.x, p.y) for q in points)

    return [Point(p.name, p.x, p.y, p.low, p.high, not beaten(p)) for p in points]


def _apart(heights: Sequence[float]) -> list[float]:
    """Heights of labels, moved down until no two overlap."""
    placed = dict[int, float]()
    for place in sorted(range(len(heights)), key=lambda i: heights[i]):
        above = max(placed.values(), default=-CROWDED)
        placed[place] = max(heights[place], above + CROWDED)
    return [placed[i] for i in range(len(heights))]
