"""Text that fits the window: how wide that is, columns cut into blocks, and words wrapped."""

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import click

NARROW = 8  # no column of words is made narrower
GAP = 2  # between columns
Rows = Sequence[Sequence[str]]


def window() -> int | None:
    """The columns of the window, as COLUMNS says or the terminal; None in a pipe."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def bold() -> bool:
    """Whether standard output is a terminal that can print bold."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def filled(text: str, window: int | None) -> str:
    """A sentence in lines as wide as the window; a path or a name is never cut."""
    if not window:
        return text
    return textwrap.fill(text, window, break_long_words=False, break_on_hyphens=False)


def width(text: str) -> int:
    """Of its longest line, as it is seen."""
    return max(map(len, click.unstyle(text).splitlines()), default=0)


def aligned(
    headers: Sequence[str], rows: Rows, sides: Sequence[str], form: str = "simple", **how: Any
) -> str:
    """An aligned table in one of tabulate's forms; `sides` are ``left`` or ``right`` by column."""
    from tabulate import tabulate

    align = list(sides) if rows else None
    return tabulate(rows, headers, tablefmt=form, disable_numparse=True, colalign=align, **how)


def _picked(row: Sequence[str], columns: Sequence[int]) -> list[str]:
    return [row[column] for column in columns]


def blocks(
    headers: Sequence[str], rows: Rows, sides: Sequence[str], names: int, window: int
) -> str:
    """The table in blocks that each repeat the first `names` columns, as many more as fit.

    A block has one of the others at least; where that is too wide, the names are wrapped.
    """

    def block(columns: Sequence[int], **how: Any) -> str:
        cells = [_picked(row, columns) for row in rows]
        return aligned(_picked(headers, columns), cells, _picked(sides, columns), **how)

    first, cut = list(range(names)), list[list[int]]()
    for column in range(names, len(headers)):
        if not cut or width(block([*first, *cut[-1], column])) > window:
            cut.append([])
        cut[-1].append(column)
    texts = []
    for rest in cut or [[]]:
        text = block([*first, *rest])
        if (over := width(text) - window) > 0:
            widths = [_width(headers, rows, column) for column in first]
            caps = [*narrowed(widths, sum(widths) - over), *[None] * len(rest)]
            text = block([*first, *rest], maxcolwidths=caps)
        texts.append(text)
    return "\n\n".join(texts)


def wrapped(
    headers: Sequence[str], rows: Rows, sides: Sequence[str], _names: int, window: int
) -> str:
    """The table with the words of its widest columns wrapped."""
    widths = [_width(headers, rows, column) for column in range(len(headers))]
    caps = narrowed(widths, window - GAP * (len(headers) - 1))
    heads = [cap - GAP for cap in caps]
    return aligned(headers, rows, sides, maxcolwidths=caps, maxheadercolwidths=heads)


def _width(headers: Sequence[str], rows: Rows, column: int) -> int:
    """Of a column as tabulate makes it, which keeps a gap beside a header."""
    cells = [len(click.unstyle(row[column])) for row in rows]
    return max(len(headers[column]) + GAP, *cells)


def narrowed(widths: Sequence[int], room: int) -> list[int]:
    """Widths whose sum is `room` at most, the widest made narrower first, none below `NARROW`."""
    caps = list(widths)
    while sum(caps) > room and max(caps) > NARROW:
        caps[caps.index(max(caps))] -= 1
    return caps
