"""What commands print: aligned tables, and progress on a terminal."""

import sys
from collections.abc import Iterable
from typing import Any

import click
from tabulate import tabulate


def table(rows: Iterable[Iterable[object]], headers: Iterable[str], numbers: bool = True) -> None:
    """An aligned text table, all columns but the first to the right if they hold numbers; None is an empty cell."""
    cells = [["" if c is None else str(c) for c in row] for row in rows]
    aligned = ["left"] + ["right" if numbers else "left"] * (len(list(headers)) - 1)
    click.echo(tabulate(cells, list(headers), tablefmt="simple", disable_numparse=True, colalign=aligned if cells else None))


def progress(total: int, done: int, unit: str = "image"):
    """tqdm's bar with an estimate on a terminal; silent in a pipe."""
    from tqdm import tqdm

    return tqdm(total=total, initial=done, unit=unit, disable=not sys.stderr.isatty(), dynamic_ncols=True)


def counted(n: Any) -> str:
    """How many images a column of counts says: ``n=400``, or ``n=2 to 400``."""
    return f"n={n.min():.0f}" if n.min() == n.max() else f"n={n.min():.0f} to {n.max():.0f}"
