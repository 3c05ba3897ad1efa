"""Marks on a sheet: pictures, boxes, outlines and words, placed in inches from its top left."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Line

from camx.evaluators.pictures import CASING, DPI, PREDICTED, SMALL, TRUE
from camx.evaluators.pictures.words import FAMILY, legible
from camx.evaluators.types import Box

FINE = 0.65  # of a box's line, that round a mask, which may be small
WIDTH, CASED = 1.3, 2.7  # points: a line, and the black below it
ON, OFF, EDGE = 4.6, 3.4, 0.7  # points of a dash: white, open, black before and after the white
PAD = 0.025  # inches round a badge's words


class Area(NamedTuple):
    """A rectangle of the sheet: inches from its left and top, and its sides."""

    x: float
    y: float
    width: float
    height: float

    def holding(self, height: int, width: int) -> "Area":
        """The largest area in this one, in its middle, that has a picture's proportions."""
        scale = min(self.width / width, self.height / height)
        wide, high = width * scale, height * scale
        return Area(
            self.x + (self.width - wide) / 2, self.y + (self.height - high) / 2, wide, high
        )  # fmt: skip


def sheet(width: float, height: float) -> Axes:
    """An empty figure of so many inches, as axes whose units are inches from its top left.

    All is placed by number, so that nothing need be drawn twice to find its place.
    """
    axes = Figure(figsize=(width, height), dpi=DPI).add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.axis("off")
    return axes


def figure_of(sheet: Axes) -> Figure:
    """The figure that a sheet is the whole of."""
    figure = sheet.figure
    assert isinstance(figure, Figure), "a sheet is no part of a figure"
    return figure


def picture(axes: Axes, area: Area, pixels: np.ndarray) -> None:
    """Pixels ``(H,W,3) uint8`` filling an area."""
    extent = (area.x, area.x + area.width, area.y + area.height, area.y)
    axes.imshow(pixels, extent=extent, aspect="auto")


def shrunk(pixels: np.ndarray, area: Area) -> np.ndarray:
    """A picture or map no larger than its area's pixels in print: a camera's are many more."""
    high, wide = (max(1, round(side * DPI)) for side in (area.height, area.width))
    if pixels.shape[0] <= high and pixels.shape[1] <= wide:
        return pixels
    size = min(wide, pixels.shape[1]), min(high, pixels.shape[0])
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def true_box(axes: Axes, area: Area, size: tuple[int, int], box: Box) -> None:
    """A true box, of a picture of `size` (width, height), in its area.

    What is below shows between its dashes, a predicted box in the same place too.
    """
    _cased(axes, _corners(area, size, box), dashed=True)


def predicted_box(axes: Axes, area: Area, size: tuple[int, int], box: Box) -> None:
    """The box of a map."""
    _cased(axes, _corners(area, size, box), dashed=False)


def outline(axes: Axes, area: Area, mask: np.ndarray) -> None:
    """The edge of a true mask ``(H,W) bool``, in the style of true boxes."""
    around = np.pad(mask.astype(np.uint8), 1)  # so that an edge at the border is one
    scale = 4  # quarters of a pixel: along the pixels' edges, not through their middles
    wide = cv2.resize(around, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    per = area.width / mask.shape[1], area.height / mask.shape[0]
    for contour in cv2.findContours(wide, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]:
        places = (contour[:, 0] + 0.5) / scale - 1
        _cased(axes, places * per + (area.x, area.y), dashed=True, scale=FINE)


def _corners(area: Area, size: tuple[int, int], box: Box) -> np.ndarray:
    x0, y0, x1, y1 = box
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)
    return corners * (area.width / size[0], area.height / size[1]) + (area.x, area.y)


def _strokes(dashed: bool, scale: float = 1) -> list[tuple[str, float, Any]]:
    """Colour, width and dashes of a line's strokes: the black below, and itself."""
    if not dashed:
        return [(CASING, scale * CASED, "-"), (PREDICTED, scale * WIDTH, "-")]
    black = (EDGE / CASED, ((ON + 2 * EDGE) / CASED, (OFF - 2 * EDGE) / CASED))  # of its width
    white = (0, (ON / WIDTH, OFF / WIDTH))
    return [(CASING, scale * CASED, black), (TRUE, scale * WIDTH, white)]


def _cased(axes: Axes, places: np.ndarray, dashed: bool, scale: float = 1) -> None:
    """A closed line through ``places (N,2)``, on a wider black one."""
    line = Line(np.concatenate([places, places[:1]]), closed=True)
    for colour, width, dash in _strokes(dashed, scale):
        axes.add_patch(
            PathPatch(
                line, fill=False, edgecolor=colour, lw=width, linestyle=dash, capstyle="butt",
                joinstyle="miter",
            )
        )  # fmt: skip


def sample(axes: Axes, x: float, y: float, length: float, true: bool) -> None:
    """A piece of a box's line, for the legend."""
    for colour, width, dash in _strokes(true):
        caps: Any = {"solid_capstyle": "butt", "dash_capstyle": "butt"}
        axes.add_line(Line2D([x, x + length], [y, y], color=colour, lw=width, ls=dash, **caps))


def patch(axes: Axes, area: Area, colour: Sequence[float] | str) -> None:
    """A coloured rectangle with a thin frame, for the legend."""
    axes.add_patch(Rectangle(area[:2], *area[2:], facecolor=colour, edgecolor=CASING, lw=0.5))


def words(axes: Axes, x: float, y: float, text: str, size: float = SMALL, **how: Any) -> None:
    """A line of text whose upper left is at a place; a dollar is a dollar."""
    how = {"va": "top", "ha": "left", "family": FAMILY, **how}
    axes.text(x, y, legible(text), fontsize=size, parse_math=False, **how)


def badge(axes: Axes, x: float, y: float, text: str, colour: str = PREDICTED, **how: Any) -> None:
    """Words on a patch of black, in a light colour, readable on any picture."""
    under = {"facecolor": CASING, "edgecolor": "none", "alpha": 0.75, "pad": 1.5}
    words(axes, x, y, text, color=colour, bbox=under, **how)
