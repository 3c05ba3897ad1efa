"""A chart of distributions, stage by stage, with pictures below it: the paper's Figure 4."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from camx.evaluators.pictures import PAGE, PLAIN, SMALL, heading, marks, panel
from camx.evaluators.pictures.heading import Heading
from camx.evaluators.pictures.marks import Area
from camx.evaluators.pictures.panel import Panel
from camx.evaluators.pictures.words import height, lines

QUANTILES = (5, 25, 50, 75, 95)  # percent
MARGIN, GAP, LEFT = 0.06, 0.06, 0.55  # inches; left of an axis, for its numbers
TALL = (1.5, 1.2)  # inches: the upper chart's height, the lower's
BELOW, BETWEEN = 0.42, 0.2  # inches: below the upper for its labels, between the columns
FILL, EDGE = "#9ECAE1", "#000000"


@dataclass(frozen=True)
class Spread:
    """How the variances of many feature maps are distributed.

    count     of feature maps
    zero      the share of them whose variance is exactly 0
    variance  its `QUANTILES` over the others; not a number where there are none
    share     those of the variance's share of the mean square, over the maps where that is not 0
    """

    count: int
    zero: float
    variance: tuple[float, ...]
    share: tuple[float, ...]

    @staticmethod
    def of(variance: np.ndarray, square: np.ndarray) -> "Spread":
        """Of each map's variance and mean square, ``(n,)`` each."""
        varied, alive = variance > 0, square > 0
        shares = variance[alive] / square[alive]
        quantiles = [_quantiles(variance[varied]), _quantiles(shares)]
        return Spread(len(variance), float(1 - varied.mean()), *quantiles)


def _quantiles(values: np.ndarray) -> tuple[float, ...]:
    if not len(values):
        return (float("nan"),) * len(QUANTILES)
    return tuple(map(float, np.percentile(values, QUANTILES)))


@dataclass(frozen=True)
class Chart:
    """Distributions by title and stage, and feature maps by row and stage."""

    title: str
    about: tuple[str, ...]
    stages: tuple[str, ...]
    spreads: Mapping[str, Mapping[str, Spread]] = field(repr=False)
    maps_title: str
    maps: Mapping[tuple[int, int], Panel] = field(repr=False)


def draw(chart: Chart) -> Figure:
    """Columns of charts side by side, the variance above its share; then the feature maps."""
    inside = PAGE - 2 * MARGIN
    high, place = heading.laid(Heading(chart.title, chart.about), inside)
    rows = 1 + max((row for row, _ in chart.maps), default=-1)
    side = min((inside - GAP * (len(chart.stages) - 1)) / len(chart.stages), 1.4)
    first = MARGIN + high + height(1, PLAIN) + 2 * GAP
    second = first + TALL[0] + BELOW
    maps = second + TALL[1] + height(1, SMALL) + 0.2
    titles = height(1 + len(_maps_title(chart)), PLAIN) + GAP if rows else 0
    axes = marks.sheet(PAGE, maps + titles + rows * (side + GAP) + MARGIN)
    place(axes, MARGIN, MARGIN)
    wide = (inside - BETWEEN * (len(chart.spreads) - 1)) / len(chart.spreads)
    for column, (title, spreads) in enumerate(chart.spreads.items()):
        x = MARGIN + column * (wide + BETWEEN)
        marks.words(axes, x, first - height(1, PLAIN) - 0.03, title, PLAIN, weight="bold")
        area = Area(x + LEFT, first, wide - LEFT, TALL[0])
        _variances(axes, area, spreads)
        _shares(axes, area._replace(y=second, height=TALL[1]), spreads)
    if rows:
        _maps(axes, chart, maps, side)
    return marks.figure_of(axes)


def _maps_title(chart: Chart) -> list[str]:
    return lines(chart.maps_title, PAGE - 2 * MARGIN, PLAIN, "bold")


def _maps(axes: Axes, chart: Chart, y: float, side: float) -> None:
    """The feature maps, a stage a column."""
    for line in _maps_title(chart):
        marks.words(axes, MARGIN, y, line, PLAIN, weight="bold")
        y += height(1, PLAIN)
    for column, stage in enumerate(chart.stages):
        x = MARGIN + column * (side + GAP)
        marks.words(axes, x + side / 2, y, stage, PLAIN, ha="center")
        for row in range(1 + max(at for at, _ in chart.maps)):
            if shown := chart.maps.get((row, column)):
                top = y + height(1, PLAIN) + GAP + row * (side + GAP)
                panel.draw(axes, Area(x, top, side, side), shown)


def _variances(sheet: Axes, area: Area, spreads: Mapping[str, Spread]) -> None:
    """Variances on a logarithmic axis, and below each stage the share that is 0."""
    axes = _boxes(sheet, area, {stage: spread.variance for stage, spread in spreads.items()})
    axes.set_yscale("log")
    axes.margins(y=0.08)
    axes.set_ylabel("variance", fontsize=SMALL)
    labels = [f"{stage}\n{100 * spread.zero:.0f} % are 0" for stage, spread in spreads.items()]
    axes.set_xticks(range(len(spreads)), labels, fontsize=SMALL)


def _shares(sheet: Axes, area: Area, spreads: Mapping[str, Spread]) -> None:
    """The variance as a share of the mean square, in [0, 1]."""
    axes = _boxes(sheet, area, {stage: spread.share for stage, spread in spreads.items()})
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("its share of the\nmean square", fontsize=SMALL)
    axes.set_xticks(range(len(spreads)), list(spreads), fontsize=SMALL)


def _boxes(sheet: Axes, area: Area, quantiles: Mapping[str, tuple[float, ...]]) -> Axes:
    """Axes at an area of the sheet with a box for each stage that has numbers."""
    figure = marks.figure_of(sheet)
    wide, high = figure.get_size_inches()
    left, bottom = area.x / wide, 1 - (area.y + area.height) / high
    axes = figure.add_axes((left, bottom, area.width / wide, area.height / high))
    names = ("whislo", "q1", "med", "q3", "whishi")
    drawn = {at: q for at, q in enumerate(quantiles.values()) if not np.isnan(q).any()}
    axes.bxp(
        [dict(zip(names, values)) for values in drawn.values()], positions=list(drawn),
        widths=0.5, showfliers=False, patch_artist=True,
        boxprops={"facecolor": FILL, "edgecolor": EDGE, "lw": 0.8},
        medianprops={"color": EDGE, "lw": 1.5},
    )  # fmt: skip
    axes.set_xlim(-0.6, len(quantiles) - 0.4)
    axes.tick_params(labelsize=SMALL)
    axes.grid(axis="y", lw=0.4, color="#CCCCCC")
    axes.set_axisbelow(True)
    return axes
