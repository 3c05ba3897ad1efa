"""Tables as data, put into words last: aligned within the window, or as Markdown, LaTeX or CSV."""

import csv
import io
import sys
from collections.abc import Callable, Hashable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

from camx.cli import fitting, options

FORMATS = ("text", "markdown", "latex", "csv")
FORM, WRITTEN = "camx.form", "camx.written"  # in a context's meta: the form and its stream
INTERVAL = "[95 % interval]"  # in what a table says of its numbers
BOUNDS = "95 % interval"  # the header of a column of them
BEST = "best of its column"
OPENED, CLOSED = "\ue000", "\ue001"  # stand for \textbf{ and }, which would be escaped
Key = TypeVar("Key", bound=Hashable)
Style = Callable[[str], str]  # of the best value's text


@dataclass(frozen=True)
class Number:
    """A measured number of a table: ours, its interval, the paper's; each where there is one.

    `digits` are those of the interval's ends; `mark` follows the value; `best` is whether it is the
    best of its column.
    """

    value: float | None = None
    paper: float | None = None
    interval: tuple[float, float] | None = None
    mark: str = ""
    digits: int = 0
    best: bool = False

    def words(self, style: Style = str, folded: bool = False) -> str:
        """``value [low, high] (paper)``; without the interval if it is `folded` away."""
        words = []
        if self.value is not None:
            text = f"{self.value:.2f}"
            words.append(f"{style(text) if self.best else text}{self.mark}")
            if self.interval and not folded:
                low, high = (f"{end:.{self.digits}f}" for end in self.interval)
                words.append(f"[{low}, {high}]")
        if self.paper is not None:
            words.append(f"({self.paper:.2f})")
        return " ".join(words)


def number(
    value: float | None,
    paper: float | None = None,
    interval: tuple[float, float] | None = None,
    n: float | None = None,
    mark: str = "",
    digits: int = 0,
    best: bool = False,
) -> Number:
    """A number of `n` images; one image, and a number without any, have no interval.

    A few hundred images tell no hundredths, so their interval has `digits`, by default none.
    """
    if value is None or not interval or n is None or interval[0] != interval[0]:
        interval = None
    return Number(value, paper, interval, mark, digits if n is None or n < 1000 else 2, best)


@dataclass(frozen=True)
class Tabular:
    """A table: cells are `Number`s, texts or None, the first `names` columns say what a row is.

    `told` says what the numbers are, `notes` stand below, `kept` is where the intervals are that a
    window has no room for. Of texts alone, not of `numbers`, all columns are to the left.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    names: int = 1
    title: str = ""
    told: str = ""
    notes: Sequence[str] = ()
    numbers: bool = True
    kept: str = "the files of `camx tables`"

    @property
    def cells(self) -> list[Number]:
        return [cell for row in self.rows for cell in row if isinstance(cell, Number)]

    @property
    def heading(self) -> str:
        return ". ".join(filter(None, (self.title, self.told)))

    @property
    def sides(self) -> list[str]:
        side = "right" if self.numbers else "left"
        return ["left", *[side] * (len(self.headers) - 1)]

    @property
    def has_best(self) -> bool:
        return any(cell.best for cell in self.cells)

    def words(self, style: Style = str, folded: bool = False) -> list[list[str]]:
        """The cells as text; None is empty."""
        return [[_words(cell, style, folded) for cell in row] for row in self.rows]

    def folded(self) -> "Tabular":
        """The table without its intervals, those of numbers and those in columns of their own."""
        kept = [i for i, header in enumerate(self.headers) if header != BOUNDS]
        rows = [[_words_or(row[i]) for i in kept] for row in self.rows]
        told = " ".join(self.told.replace(INTERVAL, "").split())
        return replace(self, headers=[self.headers[i] for i in kept], rows=rows, told=told)


def _words(cell: object, style: Style, folded: bool) -> str:
    if isinstance(cell, Number):
        return cell.words(style, folded)
    return "" if cell is None else str(cell)


def _words_or(cell: object) -> object:
    return replace(cell, interval=None) if isinstance(cell, Number) else cell


def write(table: Tabular) -> None:
    """Write a table in the form that ``--format`` names, to standard output."""
    ctx = click.get_current_context(silent=True)
    meta: dict[str, Any] = ctx.meta if ctx else {}
    form, stream = meta.get(FORM, ("text", None))
    if form == "text":
        return click.echo(_text(table))
    if meta.get(options.QUIET):
        return
    if meta.setdefault(WRITTEN, []):
        click.echo(file=stream)
    meta[WRITTEN].append(table.title)
    click.echo({"markdown": _markdown, "latex": _latex, "csv": _csv}[form](table), file=stream)
    if form == "csv":
        for note in table.notes:
            click.echo(note)


def _text(table: Tabular) -> str:
    """Aligned; where it is wider than the window its intervals go first, then it is cut."""
    window, bold = fitting.window(), fitting.bold()
    style: Style = (lambda text: click.style(text, bold=True)) if bold else "{}^".format
    whole = fitting.aligned(table.headers, table.words(style), table.sides)
    wide, folds = fitting.width(whole), table.folded()
    tight = bool(window and wide > window)
    lines = []
    if tight and folds != table:
        table = folds
        lines = [f"95 % intervals: in a window of {wide} columns, or in {table.kept}"]
    cells = table.words(style)
    fit = fitting.blocks if table.numbers else fitting.wrapped
    if tight and window:
        whole = fit(table.headers, cells, table.sides, table.names, window)
    legend = [f"bold: {BEST}" if bold else f"^ {BEST}"] if table.has_best else []
    said = [fitting.filled(text, window) for text in (table.heading, *table.notes) if text]
    heading = [f"\n{said.pop(0)}"] if table.heading else []
    return "\n".join([*heading, whole, *legend, *lines, *said])


def _markdown(table: Tabular) -> str:
    def escaped(text: str) -> str:
        return text.replace("|", r"\|").replace("*", r"\*")

    words = table.words(f"{OPENED}{{}}{CLOSED}".format)
    cells = [[escaped(word) for word in row] for row in words]
    headers = [escaped(header) for header in table.headers]
    text = fitting.aligned(headers, cells, table.sides, "pipe")
    text = text.replace(OPENED, "**").replace(CLOSED, "**")
    return "\n\n".join(filter(None, [escaped(table.heading), text, *map(escaped, table.notes)]))


def _latex(table: Tabular) -> str:
    """booktabs' rules, the heading and the notes as comments."""
    cells = table.words(f"{OPENED}{{}}{CLOSED}".format)
    text = fitting.aligned(table.headers, cells, table.sides, "latex_booktabs")
    text = text.replace(OPENED, r"\textbf{").replace(CLOSED, "}")
    comment = [f"% {line}" for line in filter(None, (table.heading, *table.notes))]
    return "\n".join([*comment[:1], text, *comment[1:]] if table.heading else [text, *comment])


def _csv(table: Tabular) -> str:
    """A column for each value, its interval's ends and the paper's; the heading is a comment."""
    names = [header or "row" for header in table.headers]
    columns = [_spread(name, cells) for name, cells in zip(names, _columns(table))]
    spread = {name: cells for column in columns for name, cells in column.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(spread)
    writer.writerows(zip(*spread.values()))
    heading = [f"# {table.heading}"] if table.heading else []
    return "\n".join([*heading, text.getvalue().rstrip("\n")])


def _columns(table: Tabular) -> list[list[object]]:
    return [[row[i] for row in table.rows] for i in range(len(table.headers))]


def _spread(header: str, cells: Sequence[object]) -> dict[str, list[str]]:
    """A column as CSV's columns: ``S5``, ``S5 low``, ``S5 high``, ``S5 (paper)``."""
    if not any(isinstance(cell, Number) for cell in cells):
        return {header: [_words(cell, str, False) for cell in cells]}
    numbers = [cell if isinstance(cell, Number) else Number() for cell in cells]
    parts: dict[str, list[float | None]] = {header: [n.value for n in numbers]}
    for end, name in enumerate(("low", "high")):
        parts[f"{header} {name}"] = [n.interval and n.interval[end] for n in numbers]
    parts[f"{header} (paper)"] = [n.paper for n in numbers]
    words = {name: ["" if v is None else f"{v:.2f}" for v in vs] for name, vs in parts.items()}
    return {name: column for name, column in words.items() if name == header or any(column)}


def _form(ctx: click.Context, _parameter: click.Parameter, value: str) -> None:
    """But for text, standard output holds tables alone; what else is said goes to stderr."""
    if value != "text" and not ctx.resilient_parsing:  # as a TAB parses
        ctx.meta[FORM] = value, sys.stdout
        if not ctx.meta.get(options.QUIET):
            ctx.with_resource(redirect_stdout(sys.stderr))


def textual() -> bool:
    """Whether tables are written as text among what else is said."""
    ctx = click.get_current_context(silent=True)
    return not ctx or FORM not in ctx.meta


form = click.option(
    "--format", type=options.Choice(FORMATS), default="text", show_default=True,
    expose_value=False, callback=_form,
    help="How tables are written; but for text, standard output holds nothing else.",
)  # fmt: skip
