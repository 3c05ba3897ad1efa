"""What the page plots of runs: accuracy by required overlap and by threshold, curves, cost."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from camx.camcore import plugins
from camx.evaluators import nulls, records
from camx.evaluators.report.plots import Curve, Plot, Point, curves, scatter
from camx.evaluators.results.runs import Measured
from camx.evaluators.tasks import occlude
from camx.evaluators.tasks.defects import masks
from camx.evaluators.types import Cell

SHOWN = 6  # lines of a plot
OVERLAPS = np.linspace(0, 1, 51)
POINTS = 101  # of a deletion curve, at most
Costs = Mapping[Cell, float]  # milliseconds an image
Made = tuple[Plot, pd.DataFrame]  # a plot and its numbers


def titled(cells: Sequence[Cell]) -> dict[Cell, str]:
    """What people call cells: ``LayerCAM S5`` for ``layercam S5``."""
    titles = {name: title for name, title, _ in plugins.describe("camx.camcore.methods")}
    parts = {c: (titles.get(c.method, c.method), c.layer, c.variant) for c in cells}
    return {cell: " ".join(filter(None, words)) for cell, words in parts.items()}


def best_cells(measured: Measured, metric: str, count: int = SHOWN) -> list[Cell]:
    """Each method's best plain cell of a single layer by a metric, the best methods first.

    Of the cells that were measured on as many images as any.
    """
    numbers = measured.numbers.xs(metric, level="metric")
    numbers = numbers[numbers["n"] == numbers["n"].max()]
    held: dict[str, tuple[float, Cell]] = {}
    for cell in measured.cells:
        if len(cell.layers) != 1 or cell.variant or cell.key not in numbers.index:
            continue
        value = float(numbers.loc[cell.key, "value"])
        if cell.method not in held or value > held[cell.method][0]:
            held[cell.method] = value, cell
    ordered = sorted(held.values(), key=lambda pair: -pair[0])
    return [cell for _, cell in ordered[:count]]


def overlap(measured: Measured) -> Made | None:
    """The share of images whose box overlaps a true one by at least so much (its IoU)."""
    frame = records.read(measured.folder, [*records.KEY, "iou"])
    cells = best_cells(measured, "gtknown")
    if not cells:
        return None
    lines, names = [], titled(cells)
    for cell in cells:
        ious = _of(frame, cell)["iou"].to_numpy()
        shares = tuple(100 * float((ious >= o).mean()) for o in OVERLAPS)
        lines.append(Curve(names[cell], tuple(OVERLAPS.tolist()), shares))
    title = "Localization by the overlap that counts as found"
    note = f"{measured.run.about()}; each method at its best layer; 0.5 is GT-known localization"
    plot = curves("overlap", title, ("IoU of at least", "images (%)"), lines, note)
    return plot, table(plot, lines)


def thresholds(measured: Measured) -> Made | None:
    """The mean IoU of defect masks by the threshold of the map."""
    columns = [*records.KEY, "split", "inside", "outside"]
    frame = records.read(measured.folder, columns)
    frame = frame[frame["split"] == "test"]
    cells = best_cells(measured, "mIoU")
    if not cells or frame.empty:
        return None
    grid = masks.grid(measured.run.protocol["thresholds"])
    lines, names = [], titled(cells)
    for cell in cells:
        group = _of(frame, cell)
        inside, outside = (np.stack(group[side].to_list()) for side in ("inside", "outside"))
        hit, union = masks.ious(inside, outside, grid)
        means = tuple((100 * (hit / union).mean(0)).tolist())
        lines.append(Curve(names[cell], tuple(grid.tolist()), means))
    title = "Defects by the threshold of the map"
    note = f"{measured.run.about()}; the best threshold of each is the one of Table VII"
    labels = ("threshold, of the maximum", "mean IoU (%)")
    plot = curves("thresholds", title, labels, lines, note)
    return plot, table(plot, lines)


def perturbation(measured: Measured, metric: str) -> Made | None:
    """The label's mean probability while pixels go, or come, from the map's highest on."""
    frame = records.read(measured.folder, [*records.KEY, "scores"], occlude.CURVES[metric])
    lines, names = [], titled(measured.cells)
    for cell in (cell for cell in measured.cells if cell.method not in nulls.NAMES):
        rows = [np.asarray(scores) for scores in _of(frame, cell)["scores"] if len(scores) > 1]
        if rows:
            shares = np.linspace(0, 1, min(POINTS, max(map(len, rows))))
            drawn = [np.interp(shares, np.linspace(0, 1, len(row)), row) for row in rows]
            means = 100 * np.mean(drawn, axis=0)
            lines.append(Curve(names[cell], tuple(100 * shares), tuple(means.tolist())))
    if not lines:
        return None
    verb, better = ("removed", "lower") if metric == "deletion" else ("shown", "higher")
    title = f"{metric.capitalize()} curves ({better} is better)"
    labels = (f"pixels {verb} (%)", "probability of the label (%)")
    plot = curves(metric, title, labels, lines[:SHOWN], measured.run.about())
    return plot, table(plot, lines)


def cost(measured: Measured, metric: str, milliseconds: Costs, where: str) -> Made | None:
    """Quality against cost: a metric over the milliseconds that a cell's map of an image takes."""
    points, names = [], titled(list(milliseconds))
    for cell, cost in milliseconds.items():
        key = (*cell.key, metric)
        if key in measured.numbers.index:
            value, low, high, _ = (float(v) for v in measured.numbers.loc[key])
            ends = (None, None) if np.isnan(low) else (low, high)
            points.append(Point(names[cell], cost, value, *ends))
    if not points:
        return None
    title = f"Quality against cost: {metric}"
    note = f"{measured.run.about()}; {where}; the line is the Pareto front"
    labels = ("milliseconds an image (logarithmic)", f"{metric} (%)")
    plot = scatter(f"cost-{measured.run.command}", title, labels, points, note)
    return plot, table(plot, points)


def recorded_costs(measured: Measured) -> dict[Cell, float]:
    """Milliseconds an image by cell, of the FPS that a run of defects recorded."""
    held = {}
    for cell in measured.cells:
        key = (*cell.key, "FPS")
        if key in measured.numbers.index and cell.method not in nulls.NAMES:
            held[cell] = 1000 / float(measured.numbers.loc[key, "value"])
    return held


def table(plot: Plot, points: Sequence[Curve | Point]) -> pd.DataFrame:
    """A plot's numbers."""
    rows = []
    for of in points:
        if isinstance(of, Curve):
            rows += [(plot.id, of.name, x, y) for x, y in zip(of.xs, of.ys)]
        else:
            rows.append((plot.id, of.name, of.x, of.y))
    return pd.DataFrame(rows, columns=["plot", "name", "x", "y"])


def _of(frame: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """The rows of a cell."""
    same = np.logical_and.reduce([frame[k] == v for k, v in zip(records.CELL, cell.key)])
    return frame[same]
