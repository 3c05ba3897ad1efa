"""The learning curve: a training's log as a picture, losses to the left and scores to the right."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from camx.evaluators.files import write_whole

SIZE, DPI = (6.4, 3.6), 120  # inches
COUNTS = ("epoch", "step", "lr")  # columns of the log that are no losses and no scores
# Okabe and Ito's colours, told apart by the colour-blind; the dashes tell them apart in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":")


def draw(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """Write the log's `rows`, one an epoch, as a PNG: a line each loss and each score."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    names = [name for name in rows[0] if name not in COUNTS]
    losses = [name for name in names if name.endswith("loss")]
    scores = [name for name in names if name not in losses]
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    left = figure.subplots()
    sides = [(left, losses, "loss")]
    if scores:
        sides.append((left.twinx(), scores, "score"))
    epochs = [row["epoch"] for row in rows]
    lines: list[Line2D] = []
    for axes, columns, label in sides:
        for name in columns:
            colour, dash = COLOURS[len(lines) % len(COLOURS)], DASHES[len(lines) % len(DASHES)]
            values = [row[name] for row in rows]
            lines += axes.plot(epochs, values, color=colour, ls=dash, marker="o", ms=3, label=name)
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        if label == "score":
            axes.set_ylim(top=1)
    left.set_xlabel("epoch")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(handles=lines, loc="outside lower center", ncols=4)
    left.set_title(title, fontsize=10)
    write_whole(path, lambda temporary: figure.savefig(temporary, format="png"))
