"""What commands print: aligned tables, numbers with their intervals, and progress on a terminal."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camx.cli import options, tabular
from camx.cli.tabular import INTERVAL, Number, Tabular, number
from camx.evaluators import ranks

if TYPE_CHECKING:
    import pandas as pd

    from camx.evaluators.records import Run
    from camx.evaluators.results.tables import Table
    from camx.evaluators.tasks import Metric, Task
    from camx.evaluators.types import Cell


def table(
    rows: Iterable[Iterable[object]], headers: Iterable[str], numbers: bool = True, names: int = 1
) -> None:
    """A table, numbers to the right but in the first column; None, and a row's end, is empty."""
    heads = list(headers)
    cells = [[*row, *[None] * len(heads)][: len(heads)] for row in map(list, rows)]
    tabular.write(Tabular(heads, cells, names, numbers=numbers))


def start(*facts: str, err: bool = False) -> None:
    """Say at once what begins, before the seconds that importing torch takes; else nothing."""
    if "torch" not in sys.modules:
        command = click.get_current_context().command_path
        click.echo(f"{command}: {', '.join(filter(None, facts))}; loading torch ...", err=err)


def progress(total: int, done: int, unit: str = "image") -> Any:
    """tqdm's bar with an estimate on a terminal; silent in a pipe and under ``--quiet``.

    Of several processes the first one's is shown: its own part.
    """
    from tqdm import tqdm

    ctx, world = click.get_current_context(silent=True), ranks.world()
    hidden = True if not world.first or (ctx and ctx.meta.get(options.QUIET)) else None
    words = f"1 of {world.count} processes" if world.count > 1 else None
    return tqdm(
        total=total, initial=done, unit=unit, disable=hidden, desc=words, dynamic_ncols=True
    )


def counted(n: Any) -> str:
    """How many images a column of counts says: ``n=400``, or ``n=2 to 400``."""
    return f"n={n.min():.0f}" + (f" to {n.max():.0f}" if n.min() != n.max() else "")


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
    leading = _best_cells(cells, metrics, numbers)
    rows = []
    for cell in cells:
        line: list[object] = [cell.method, cell.layer, cell.variant]
        counts = []
        for metric in metrics:
            key = (*cell.key, metric.name)
            row = numbers.loc[key] if key in numbers.index else None
            paper = papers.get((task.command, cell, metric.name))
            if row is None:
                line.append(number(None, paper))
                continue
            interval = (row["low"], row["high"]) if metric.interval else None
            best = key in leading
            line.append(number(row["value"], paper, interval, row["n"], digits=1, best=best))
            counts += [row["n"]] if metric.unit == "%" else []  # a timing counts turns, not images
        rows.append([*line, f"{counts[0] if counts else 0:.0f}"])
    units = dict.fromkeys("percent" if m.unit == "%" else m.unit for m in metrics)
    told = f"In {', '.join(units)}; {INTERVAL}{' (paper)' if papers else ''}"
    headers = ("method", "layer", "variant", *(metric.name for metric in metrics), "n")
    held_in = [(m, cell, (*cell.key, m.name)) for m in metrics for cell in cells]
    measured = [
        (m, str(cell), numbers.loc[key]) for m, cell, key in held_in if key in numbers.index
    ]
    notes = no_better([(m, name, row["value"], row["low"]) for m, name, row in measured])
    tabular.write(Tabular(headers, rows, 3, told=told, notes=notes))
    click.echo()
    for metric in metrics:
        if metric.meaning:
            which = "" if metric.better == "neither" else f" ({metric.better} is better)"
            click.echo(f"{metric.name}: {metric.meaning}{which}")


def _best_cells(
    cells: Sequence["Cell"], metrics: "Sequence[Metric]", numbers: "pd.DataFrame"
) -> set[tuple[str, ...]]:
    """The best of each metric, by cell and metric.

    Who competes with whom says `nulls.competing`.
    """
    from camx.evaluators import nulls

    leading = set[tuple[str, ...]]()
    for metric in metrics:
        for group in nulls.competing({cell: cell for cell in cells}):
            keys = [(*cell.key, metric.name) for cell in group]
            values: dict[tuple[str, ...], float] = {}
            values |= {key: numbers.loc[key]["value"] for key in keys if key in numbers.index}
            leading |= metric.best(values)
    return leading


def no_better(rows: "Sequence[tuple[Metric, str, float, float]]") -> list[str]:
    """Lines that say which rows' interval begins below what a map that knows nothing gets.

    `rows` are metric, name, value and the interval's low end.
    """
    from camx.evaluators import nulls

    lines = []
    for metric in dict.fromkeys(row[0] for row in rows if row[0].better == "higher"):
        of_metric = {name: (value, low) for m, name, value, low in rows if m == metric}
        blind = {name: of_metric.pop(name)[0] for name in nulls.NAMES if name in of_metric}
        if not blind or not metric.interval:
            continue
        best = max(blind, key=lambda name: blind[name])
        if names := [name for name, (_, low) in of_metric.items() if low <= blind[best]]:
            what = f"{metric.name}: not above {best} ({blind[best]:.2f})"
            lines.append(f"{what}: {', '.join(names)}")
    return lines


def paper_table(declared: "Table", filled: "pd.DataFrame") -> None:
    """One table of the paper's: ours, the 95 % interval, the paper's value; then its runs."""
    from camx.evaluators.results import filling

    rows = filling.printed(declared, filled, declared.shown)
    runs = list(dict.fromkeys(rows["run"].dropna()))
    marks = {run: "*" * n for n, run in enumerate(runs)}
    quoted = {entry.row for entry in declared.entries if entry.quoted}
    names = {row: f"{row} (quoted)" if row in quoted else row for row in rows["row"]}
    leading = _best_entries(declared, rows)
    words = {p: _filled(r, marks, p in leading) for p, r in _by_place(rows).items()}
    metrics, columns = (list(dict.fromkeys(rows[key])) for key in ("metric", "column"))
    fps = "; FPS and throughput in images a second" if "FPS" in metrics else ""
    lines: list[list[object]]
    if columns == [""]:  # the metrics stand beside each other
        lines = [[name, *(words.get((row, m, "")) for m in metrics)] for row, name in names.items()]
        headers, leads = ["", *metrics], 1
    else:
        order = dict.fromkeys(zip(rows["row"], rows["metric"]))
        lines = [[names[r], m, *(words.get((r, m, c)) for c in columns)] for r, m in order]
        headers, leads = ["", "metric", *columns], 2
    notes = [*_no_better(declared, rows)]
    notes += [f"{marks[run]}{_about(run, rows[rows['run'] == run])}" for run in runs]
    title = f"Table {declared.name}. {declared.title}"
    told = f"Percent{fps}: ours {INTERVAL} (paper)"
    tabular.write(Tabular(headers, lines, leads, title, told, notes))


def _by_place(rows: "pd.DataFrame") -> dict[tuple[str, str, str], Any]:
    return {(r.row, r.metric, r.column): r for r in rows.itertuples()}


def _best_entries(declared: "Table", rows: "pd.DataFrame") -> set[tuple[str, str, str]]:
    """The best of each metric and column, by row, metric and column.

    Nulls do not compete, nor the images as they are, which stand for no method.
    """
    of_metric = {e.metric: e.task.metric(e.metric) for e in declared.entries}
    maps = {e.row for e in declared.entries if e.cell and e.cell.layers}
    blind = {name for e in declared.entries for name in e.task.nulls}
    leading = set()
    for (metric, _), group in rows.groupby(["metric", "column"], sort=False):
        competing = group[~group["row"].isin(blind)]
        if maps:
            unmapped = competing["n"].notna() & ~competing["row"].isin(maps)
            competing = competing[~unmapped]
        values = {place: r.measured for place, r in _by_place(competing).items()}
        leading |= of_metric[metric].best(values)
    return leading


def _no_better(declared: "Table", rows: "pd.DataFrame") -> list[str]:
    """What `no_better` says of a table's rows, by their columns where they have several."""
    of_metric = {e.metric: e.task.metric(e.metric) for e in declared.entries}
    blind, wide = declared.task.nulls, set(rows["column"]) != {""}
    measured = [r for r in rows.itertuples() if r.measured == r.measured]
    shown = [(r, f"{r.row} {r.column}" if wide and r.row not in blind else r.row) for r in measured]
    return no_better([(of_metric[r.metric], name, r.measured, r.ci_low) for r, name in shown])


def _filled(row: Any, marks: dict[str, str], best: bool) -> Number:
    import pandas as pd

    # What was entered by hand has no n: no images are behind it.
    value, paper, n = (None if pd.isna(v) else v for v in (row.measured, row.paper, row.n))
    return number(value, paper, (row.ci_low, row.ci_high), n, marks.get(row.run, ""), best=best)


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
    """A run's own table: methods down, layers across, the metrics shown."""
    fixed = ("metric", "method", "variant", "n")
    places = [c for c in frame if c not in fixed and not c.endswith((" low", " high"))]
    variants = bool(frame["variant"].any())
    leading = _best_lines(frame, task, places)
    lines = []
    for at, row in enumerate(frame.to_dict("records")):
        metric = task.metrics[row["metric"]]
        if not metric.shown:
            continue
        ends = {p: (row[f"{p} low"], row[f"{p} high"]) for p in places}
        values = [
            None
            if row[p] != row[p]
            else number(
                row[p], None, end if metric.interval else None, row["n"], best=(at, p) in leading
            )
            for p, end in ends.items()
        ]
        lines.append([row["metric"], row["method"], *[row["variant"]] * variants, *values])
    headers = ("metric", "method", *["variant"] * variants, *places)
    title = f"{run.folder}: {run.about()}"
    tabular.write(Tabular(headers, lines, 2 + variants, title, INTERVAL))


def _best_lines(frame: "pd.DataFrame", task: "Task", places: Sequence[str]) -> set[tuple[int, str]]:
    """The best of each metric and layer, by line and layer; see `nulls.competing`."""
    from camx.evaluators import nulls
    from camx.evaluators.results import layers

    leading = set()
    for name, group in frame.groupby("metric", sort=False):
        for place in places:
            cells = {at: layers.cell(row, place) for at, row in group.iterrows()}
            for rivals in nulls.competing(cells):
                values = {(at, place): group[place][at] for at in rivals}
                leading |= task.metrics[name].best(values)
    return leading
