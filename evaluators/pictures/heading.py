"""The heading of a plate: title, how it was made, a key, and the photograph where it is one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from camx.evaluators.pictures import COLUMN, LARGE, SMALL, marks, overlay, panel, words
from camx.evaluators.pictures.marks import Area
from camx.evaluators.pictures.panel import Panel

GAP = 0.1  # inches between the photograph and the words, and between entries of the key
SAMPLE, SWATCH = 0.286, 0.11  # inches of a line's sample, of a colour's
BAR = 0.11, 1.6  # inches high and at most wide
PHOTOGRAPH = {True: (1.3, 1.5), False: (2.4, 1.75)}  # inches at most, in a column and in a page
Item = tuple[float, Callable[[Axes, float, float], None]]  # its height; what draws it at x, y


@dataclass(frozen=True)
class Heading:
    """What stands above a plate's pictures.

    `true` and `predicted` are what the key calls the two kinds of line, where there are any; `bar`
    is what the ends of the palette are, and `colours` what those of masks mean.
    """

    title: str
    about: Sequence[str]
    true: str = ""
    predicted: str = ""
    colours: Mapping[str, Sequence[float]] = field(default_factory=dict)
    bar: tuple[str, str] | None = None
    photograph: Panel | None = None


def laid(heading: Heading, inches: float) -> Item:
    """The heading, so wide, as one thing to draw."""
    left, area = 0.0, Area(0, 0, 0, 0)
    if heading.photograph:
        limits = PHOTOGRAPH[inches < COLUMN]
        area = Area(0, 0, *limits).holding(*heading.photograph.image.shape[:2])
        area = area._replace(x=0, y=0)
        left = area.width + GAP
    items = _items(heading, inches - left)
    high = max(sum(height for height, _ in items), area.height)

    def draw(axes: Axes, x: float, y: float) -> None:
        if heading.photograph:
            panel.draw(axes, area._replace(x=x, y=y), heading.photograph)
        for height, place in items:
            place(axes, x + left, y)
            y += height

    return high, draw


def _items(heading: Heading, inches: float) -> list[Item]:
    """The lines of words, the key and the bar, from above."""
    items = _lines(heading.title, inches, LARGE, "bold", 3)
    for text in heading.about:
        items += _lines(text, inches, SMALL, "normal", 3)
    entries = [_line_entry(text, true) for text, true in _samples(heading)]
    entries += [_colour_entry(text, colour) for text, colour in heading.colours.items()]
    items += _flowing(entries, inches)
    if heading.bar:
        items.append((words.height(1, SMALL) + 0.06, partial(_bar, heading.bar, inches)))
    return items


def _samples(heading: Heading) -> list[tuple[str, bool]]:
    """The kinds of line, and whether each is of what is true."""
    kinds = [(heading.true, True), (heading.predicted, False)]
    return [(text, true) for text, true in kinds if text]


def _lines(text: str, inches: float, size: float, weight: str, most: int) -> list[Item]:
    """Words as lines that fit."""
    height = words.height(1, size)
    return [
        (height, partial(_word, line, size, weight))
        for line in words.lines(text, inches, size, weight, most)
    ]


def _word(text: str, size: float, weight: str, axes: Axes, x: float, y: float) -> None:
    marks.words(axes, x, y, text, size, weight=weight)


def _line_entry(text: str, true: bool) -> Item:
    """An entry of the key for a kind of line; its first number is its width."""

    def draw(axes: Axes, x: float, y: float) -> None:
        marks.sample(axes, x, y + words.height(1, SMALL) / 2, SAMPLE, true)
        marks.words(axes, x + SAMPLE + 0.05, y, text)

    return SAMPLE + 0.05 + words.width(text, SMALL), draw


def _colour_entry(text: str, colour: Sequence[float]) -> Item:
    """An entry of the key for a colour."""

    def draw(axes: Axes, x: float, y: float) -> None:
        marks.patch(axes, Area(x, y + 0.01, SWATCH, SWATCH), colour)
        marks.words(axes, x + SWATCH + 0.04, y, text)

    return SWATCH + 0.04 + words.width(text, SMALL), draw


def _flowing(entries: Sequence[Item], inches: float) -> list[Item]:
    """Entries side by side, in as many rows as they need."""
    rows: list[list[tuple[float, Item]]] = []
    x = inches
    for entry in entries:
        if not rows or x + entry[0] > inches:
            rows.append([])
            x = 0.0
        rows[-1].append((x, entry))
        x += entry[0] + GAP

    def draw(row: list[tuple[float, Item]], axes: Axes, x: float, y: float) -> None:
        for offset, (_, place) in row:
            place(axes, x + offset, y + 0.03)

    return [(words.height(1, SMALL) + 0.03, partial(draw, row)) for row in rows]


def _bar(ends: tuple[str, str], inches: float, axes: Axes, x: float, y: float) -> None:
    """The palette as it lies over a photograph, dark at the bar's foot and light at its top."""
    low, high = (words.width(text, SMALL) + 0.04 for text in ends)
    long, y = min(BAR[1], inches - low - high), y + 0.05
    levels = np.tile(np.linspace(0, 1, 256), (16, 1))
    grey = np.linspace(255, 0, 16).astype(np.uint8)[:, None, None]
    picture = overlay(np.broadcast_to(grey, (16, 256, 3)), levels)
    middle = y + BAR[0] / 2
    marks.words(axes, x, middle, ends[0], va="center")
    marks.picture(axes, Area(x + low, y, long, BAR[0]), picture)
    marks.words(axes, x + low + long + 0.04, middle, ends[1], va="center")
