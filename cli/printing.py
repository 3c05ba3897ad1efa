"""What commands print: aligned tables, numbers with their intervals, and progress on a terminal."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camx.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from camx.evaluators.records import Run
    from camx.evaluators.results.tables import Table
    from camx.evaluators.tasks import Metric, Task
    from camx.evaluators.types import Cell


def table(rows: Iterable[Iterable[object]], headers: Iterable[str], numbers: bool = True) -> None:
    """An aligned text table, numbers to the right but in the first column; None is empty."""
    from tabulate import tabulate

    cells = [["" if c is None else str(c) for c in row] for row in rows]
    headers = list(headers)
    side = "right" if numbers else "left"
    align = ["left", *[side] * (len(headers) - 1)] if cells else None
    click.echo(tabulate(cells, headers, tablefmt="simple", disable_numparse=True, colalign=align))


def start(*facts: str, err: bool = False) -> None:
    """Say at once what begins, before the seconds that importing torch takes; else nothing."""
    if "torch" not in sys.modules:
        command = click.get_current_context().command_path
        click.echo(f"{command}: {', '.join(filter(None, facts))}; loading torch ...", err=err)


def progress(total: int, done: int, unit: str = "image") -> Any:
    """tqdm's bar with an estimate on a terminal; silent in a pipe and under ``--quiet``."""
    from tqdm import tqdm

    ctx = click.get_current_context(silent=True)
    hidden = True if ctx and ctx.meta.get(options.QUIET) else None
    return tqdm(total=total, initial=done, unit=unit, disable=hidden, dynamic_ncols=True)


def counted(n: Any) -> str:
    """How many images a column of counts says: ``n=400``, or ``n=2 to 400``."""
    return f"n={n.min():.0f}" + (f" to {n.max():.0f}" if n.min() != n.max() else "")


def number(
    value: float | None,
    paper: float | None = None,
    interval: tuple[float, float] | None = None,
    n: float | None = None,
    mark: str = "",
    digits: int = 0,
) -> str:
    """``value [low, high] (paper)``, each where there is one; `mark` follows the value.

    A few hundred images tell no hundredths, so their interval has `digits`, by default none.
    """
    words = []
    if value is not None:
        words.append(f"{value:.2f}{mark}")
        if interval and n is not None and interval[0] == interval[0]:  # one image has none
            digits = digits if n < 1000 else 2
            words.append(f"[{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]")
    if paper is not None:
        words.append(f"({paper:.2f})")
    return " ".join(words)


def cells(
    task: "Task", cells: Sequence["Cell"], numbers: "pd.DataFrame", shown: Sequence[str], run: "Run"
) -> None:
    """Cells down, metrics across: ours, the 95 % interval, the paper's value in brackets.

    The paper's stands there only if the run is of its kind.
    """
    from camx.evaluators.results import tables

    names = [name for name in tables.names() if name in task.tables]
    papers = tables.papers([t for t in map(tables.load, names) if t.comparable(run)], run.model)
    held = set(numbers.index.get_level_values("metric"))
    metrics = [task.metrics[name] for name in shown if name in held]
    rows = []
    for cell in cells:
        line, counts = [cell.method, cell.layer, cell.variant], []
        for metric in metrics:
            key = (*cell.key, metric.name)
            row = numbers.loc[key] if key in numbers.index else None
            paper = papers.get((task.command, cell, metric.name))
            if row is None:
                line.append(number(None, paper))
                continue
            interval = (row["low"], row["high"]) if metric.interval else None
            line.append(number(row["value"], paper, interval, row["n"], digits=1))
            counts += [row["n"]] if metric.unit == "%" else []  # a timing counts turns, not images
        rows.append([*line, f"{counts[0] if counts else 0:.0f}"])
    units = dict.fromkeys("percent" if m.unit == "%" else m.unit for m in metrics)
    click.echo(f"\nIn {', '.join(units)}; [95 % interval]{' (paper)' if papers else ''}\n")
    table(rows, ("method", "layer", "variant", *(metric.name for metric in metrics), "n"))
    held_in = [(m, cell, (*cell.key, m.name)) for m in metrics for cell in cells]
    measured = [
        (m, str(cell), numbers.loc[key]) for m, cell, key in held_in if key in numbers.index
    ]
    no_better([(m, name, row["value"], row["low"]) for m, name, row in measured])
    click.echo()
    for metric in metrics:
        if metric.meaning:
            which = "" if metric.better == "neither" else f" ({metric.better} is better)"
            click.echo(f"{metric.name}: {metric.meaning}{which}")


def no_better(rows: "Sequence[tuple[Metric, str, float, float]]") -> None:
    """Say which rows' interval begins below what a map that knows nothing gets.

    `rows` are metric, name, value and the interval's low end.
    """
    from camx.evaluators import nulls

    for metric in dict.fromkeys(row[0] for row in rows if row[0].better == "higher"):
        of_metric = {name: (value, low) for m, name, value, low in rows if m == metric}
        blind = {name: of_metric.pop(name)[0] for name in nulls.NAMES if name in of_metric}
        if not blind or not metric.interval:
            continue
        best = max(blind, key=lambda name: blind[name])
        if names := [name for name, (_, low) in of_metric.items() if low <= blind[best]]:
            what = f"{metric.name}: not above {best} ({blind[best]:.2f})"
            click.echo(f"{what}: {', '.join(names)}")


def paper_table(declared: "Table", filled: "pd.DataFrame") -> None:
    """One table on the terminal: ours, the 95 % interval, the paper's value; then its runs."""
    from camx.evaluators.results import filling

    rows = filling.printed(declared, filled, declared.shown)
    runs = list(dict.fromkeys(rows["run"].dropna()))
    marks = {run: "*" * n for n, run in enumerate(runs)}
    quoted = {entry.row for entry in declared.entries if entry.quoted}
    names = {row: f"{row} (quoted)" if row in quoted else row for row in rows["row"]}
    words = {(r.row, r.metric, r.column): _filled(r, marks) for r in rows.itertuples()}
    of_metric = {e.metric: e.task.metric(e.metric) for e in declared.entries}
    blind = declared.task.nulls
    metrics, columns = (list(dict.fromkeys(rows[key])) for key in ("metric", "column"))
    fps = "; FPS and throughput in images a second" if "FPS" in metrics else ""
    click.echo(
        f"\nTable {declared.name}. {declared.title}. Percent{fps}: ours [95 % interval] (paper)"
    )
    if columns == [""]:  # the metrics stand beside each other
        lines = [(name, *(words.get((row, m, "")) for m in metrics)) for row, name in names.items()]
        table(lines, ("", *metrics))
    else:
        order = dict.fromkeys(zip(rows["row"], rows["metric"]))
        lines = [(names[r], m, *(words.get((r, m, c)) for c in columns)) for r, m in order]
        table(lines, ("", "metric", *columns))
    measured = [r for r in rows.itertuples() if r.measured == r.measured]
    wide = columns != [""]
    shown = [(r, f"{r.row} {r.column}" if wide and r.row not in blind else r.row) for r in measured]
    no_better([(of_metric[r.metric], name, r.measured, r.ci_low) for r, name in shown])
    for run in runs:
        click.echo(f"{marks[run]}{_about(run, rows[rows['run'] == run])}")


def _filled(row: Any, marks: dict[str, str]) -> str:
    import pandas as pd

    # What was entered by hand has no n: no images are behind it.
    value, paper, n = (None if pd.isna(v) else v for v in (row.measured, row.paper, row.n))
    return number(value, paper, (row.ci_low, row.ci_high), n, marks.get(row.run, ""))


def _about(run: str, rows: "pd.DataFrame") -> str:
    from camx.evaluators import records

    if run == "entered":
        return "entered by hand (camx tables --enter)"
    images = rows[~rows["metric"].isin(("FPS", "throughput"))]["n"]  # those count turns
    made = records.load(Path(run))
    stands = (
        "; the miniature stands for the paper's network and data" if made.kind == "mini" else ""
    )
    return f"{run}: {made.about()}, {counted(images)}{stands}"


def by_layer(frame: "pd.DataFrame", task: "Task", run: "Run") -> None:
    """A run's own table on the terminal: methods down, layers across, the metrics shown."""
    fixed = ("metric", "method", "variant", "n")
    places = [c for c in frame if c not in fixed and not c.endswith((" low", " high"))]
    variants = frame["variant"].any()
    lines = []
    for row in (r for r in frame.to_dict("records") if task.metrics[r["metric"]].shown):
        ends = {p: (row[f"{p} low"], row[f"{p} high"]) for p in places}
        interval = task.metrics[row["metric"]].interval
        values = [
            "" if row[p] != row[p] else number(row[p], None, end if interval else None, row["n"])
            for p, end in ends.items()
        ]
        lines.append([row["metric"], row["method"], *[row["variant"]] * variants, *values])
    click.echo(f"\n{run.folder}: {run.about()}. [95 % interval]")
    table(lines, ("metric", "method", *["variant"] * variants, *places))
