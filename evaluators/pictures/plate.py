"""A plate: pictures in rows and columns below a heading that says what they are and how to read it.

Where one photograph is behind all of them, it stands in the heading, once, and the maps have the
rest of the width.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from camx.evaluators.pictures import COLUMN, PAGE, PLAIN, SMALL, heading, marks, panel
from camx.evaluators.pictures.heading import Heading
from camx.evaluators.pictures.marks import Area
from camx.evaluators.pictures.panel import Panel
from camx.evaluators.pictures.words import LEADING, POINTS, ending, height, lines

MARGIN, GAP = 0.06, 0.06  # inches: round the sheet, between pictures
LEAST = 0.75  # inches a picture is wide; for more columns than a page holds the sheet is wider
FLAT, TALL = 0.9, 1.5  # a row is at least so many inches high, for its title; at most so many
# times as high as wide: a strip of a picture is no strip of a plate


@dataclass(frozen=True)
class Plate:
    """Pictures in rows and columns, each with a title; a second line of a title is small.

    about       what stands below the title: network, protocol, file
    panels      by row and column; a place without one stays empty
    photograph  the picture behind all the panels, where it is one
    colours     what colours of masks mean
    bar         what the ends of the palette are
    """

    title: str
    about: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    panels: Mapping[tuple[int, int], Panel] = field(repr=False)
    photograph: Panel | None = field(default=None, repr=False)
    colours: Mapping[str, Sequence[float]] = field(default_factory=dict)
    bar: tuple[str, str] = ("0", "each map's maximum")


def draw(plate: Plate) -> Figure:
    """The plate as a figure, which `pictures.write` writes."""
    count, label = len(plate.columns), MARGIN
    if any(plate.rows):
        label += height(2, PLAIN)
    least = label + count * (LEAST + GAP)
    width = max(COLUMN if count <= 2 else PAGE, least)
    wide = (width - label - MARGIN - GAP * (count - 1)) / count
    rows = [max(wide * _proportion(plate, row), FLAT) for row in range(len(plate.rows))]
    high, place = heading.laid(_heading(plate), width - 2 * MARGIN)
    titles = [_title(column, wide) for column in plate.columns]
    head = max(sum(height(1, size) for _, size, _ in title) for title in titles)
    top = MARGIN + high + GAP + head
    axes = marks.sheet(width, top + sum(rows) + GAP * len(rows) + MARGIN)
    place(axes, MARGIN, MARGIN)
    lefts = [label + column * (wide + GAP) for column in range(count)]
    for x, title in zip(lefts, titles):
        y = top - head
        for text, size, weight in title:
            marks.words(axes, x + wide / 2, y, text, size, weight=weight, ha="center")
            y += height(1, size)
    y, drawn = top + 0.02, panel.Drawn()
    for row, tall in enumerate(rows):
        _row_title(axes, plate.rows[row], label, y, tall)
        for column, x in enumerate(lefts):
            if shown := plate.panels.get((row, column)):
                panel.draw(axes, Area(x, y, wide, tall), shown, drawn)
        y += tall + GAP
    return marks.figure_of(axes)


def _proportion(plate: Plate, row: int) -> float:
    """A row's height of its pictures' width."""
    panels = [shown for (at, _), shown in plate.panels.items() if at == row]
    sides = [shown.size[1] / shown.size[0] for shown in panels] or [1.0]
    return min(max(sides), TALL)


def _title(text: str, wide: float) -> list[tuple[str, float, str]]:
    """A column's title as lines: words, their size and weight."""
    title, _, small = text.partition("\n")
    rows = [(line, PLAIN, "bold") for line in lines(title, wide, PLAIN, "bold")]
    return rows + [(line, SMALL, "normal") for line in lines(small, wide, SMALL)]


def _row_title(axes: Axes, text: str, right: float, y: float, tall: float) -> None:
    """A row's title, read from below, to the left of its pictures."""
    title, _, small = text.partition("\n")
    rows = [(row, PLAIN, "bold") for row in lines(title, tall, PLAIN, "bold", 1 if small else 2)]
    rows += [(ending(small, tall, SMALL), SMALL, "normal")] if small else []
    x = right - 0.02
    for row, size, weight in reversed(rows):
        where = {"rotation": 90, "ha": "right", "va": "center"}
        marks.words(axes, x, y + tall / 2, row, size, weight=weight, **where)
        x -= size * LEADING / POINTS


def _heading(plate: Plate) -> Heading:
    """The plate's heading, with a key to what its panels show."""
    panels = [*plate.panels.values(), *filter(None, [plate.photograph])]
    true = "true box" if any(shown.truths for shown in panels) else ""
    if any(shown.outline is not None for shown in panels):
        true = "edge of the true mask"
    maps = any(shown.heatmap is not None for shown in panels)
    bar = plate.bar if maps else None
    said = plate.title, plate.about, true, _predicted(panels), plate.colours, bar
    return Heading(*said, plate.photograph)


def _predicted(panels: Iterable[Panel]) -> str:
    """What the key says of a map's box."""
    boxed = [shown for shown in panels if shown.predicted]
    scored = any(shown.iou is not None for shown in boxed)
    return "predicted box" * bool(boxed) + ", with its IoU" * scored
