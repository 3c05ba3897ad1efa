"""`camx tables`: the paper's tables from recorded runs, and paired tests between their cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camx.cli import options, printing, tabular
from camx.cli.shared import EXAMPLE, RunsOptions, shipped
from camx.cli.tabular import BOUNDS, Tabular
from camx.evaluators import files
from camx.evaluators.fields import Accepts, Checked, flag, text

if TYPE_CHECKING:
    from camx.evaluators.results.tables import Table
    from camx.evaluators.tasks import Task

TESTS = "exact McNemar of hits, sign flips of means"


@dataclass(frozen=True, kw_only=True)
class TableOptions(Checked):
    """Which tables, and what of them."""

    tables: tuple[str, ...] = text(
        many="I", default=(), option="--table", metavar="TABLE", names="tables",
        help="Only this table: a name of `camx list tables`, or FILE.yaml; repeats.",
    )  # fmt: skip
    pairs: bool = flag(help="Instead, test every two cells of each table against each other.")


@click.command("tables")
@options.typed(RunsOptions, TableOptions)
@click.option(
    "--compare", nargs=2, metavar="A B", type=options.Value(Accepts(str, "a method"), "methods"),
    help="Instead, test two methods against each other, cell by cell.",
)  # fmt: skip
@click.option(
    "--enter", nargs=4, metavar="TABLE ROW COLUMN VALUE",
    help="Keep a number that only a test server knows, such as IX 'LayerCAM VGG16' test 61.4.",
)  # fmt: skip
@tabular.form
@options.out("tables")
@options.common
def command(
    runs: RunsOptions,
    wanted: TableOptions,
    compare: tuple[str, str] | None,
    enter: tuple[str, str, str, str] | None,
    out: Path,
) -> None:
    """Write table_NN.csv and cells.csv: every measured cell beside the paper's value.

    Each cell is filled from one run: `paper` protocol first, then most images, then the newest.

    \b
    camx tables --compare layercam gradcam     is the difference real? (paired tests, per cell)
    camx tables --pairs --table III            which of gamma's settings differ at all?
    camx tables --format latex > tables.tex    for a paper; markdown and csv too
    camx tables --enter IX "LayerCAM VGG16" test 61.4
    """
    from camx.evaluators.results import filling, tables

    if enter:
        if runs.runs == shipped():
            raise click.UsageError(f"--enter keeps a number with runs of yours, not with {EXAMPLE}")
        name, row, column, number = enter
        value = options.checked(_number, number)
        options.checked(filling.enter, runs.runs, name, row, column, value)
        where = runs.runs / filling.ENTERED
        click.echo(f"entered: Table {name}, {row}, {column}: {number} ({where})")
    if compare and compare[0] == compare[1]:
        raise click.UsageError(f"--compare names {compare[0]!r} twice; it takes two methods")
    if compare:
        return versus(runs, out, *compare)
    loaded = [options.checked(tables.load, name) for name in wanted.tables or tables.names()]
    if wanted.pairs:
        return every_pair(runs, out, loaded)
    filled = filling.cells(loaded, runs.runs, runs.data)
    for table in loaded:
        rows = filling.printed(table, filled)
        comparable = not table.data or rows["paper"].notna().any()
        if rows["measured"].notna().any() and comparable:
            printing.paper_table(table, filled)
    beside = [] if wanted.tables else by_layer(runs, out)
    if not filled["measured"].notna().any() and not beside:
        names = ", ".join(table.name for table in loaded)
        makes = f"`camx {loaded[0].task.name}` makes one. Nothing was written"
        raise ValueError(f"no run below {runs.runs} measures a cell of {names}; {makes}")
    paths = [*filling.write(loaded, filled, out), *beside]
    files.sweep(out, files.STALE)
    click.echo("\nwrote " + ", ".join(map(str, paths)))


def by_layer(runs: RunsOptions, out: Path) -> list[Path]:
    """Print and write methods by layers of each run whose cells no table of the paper's holds."""
    from camx.evaluators.results import layers
    from camx.evaluators.results.runs import by_task

    tasks = {task.name: task for task in recorded_tasks(runs.runs)}
    paths = []
    for name, group in by_task(tasks.values(), runs.runs, runs.data).items():
        for measured in group:
            cells, task = layers.further(measured, tasks[name]), tasks[name]
            frame = layers.table(measured, task, cells)
            if len(frame):
                paths.append(layers.write(frame, measured, runs.runs, out))
                printing.by_layer(frame, task, measured.run)
    return paths


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number; --enter takes TABLE ROW COLUMN VALUE") from None


def versus(runs: RunsOptions, out: Path, a: str, b: str) -> None:
    """Print and write each test between methods `a` and `b`, a task at a time."""
    import pandas as pd

    from camx.evaluators.results import compare
    from camx.evaluators.results.runs import by_task

    frames: list[pd.DataFrame] = []
    methods: set[str] = set()
    tasks = {task.name: task for task in recorded_tasks(runs.runs)}
    for name, group in by_task(tasks.values(), runs.runs, runs.data).items():
        methods |= {cell.method for measured in group for cell in measured.cells}
        holding = [m for m in group if {a, b} <= {cell.method for cell in m.cells}]
        holding.sort(key=lambda m: max(m.rank(cell) for cell in m.cells if cell.method in (a, b)))
        tested = (compare.compare(m.folder, a, b, tasks[name], runs.seed) for m in holding)
        first = next((frame.assign(command=name) for frame in tested if len(frame)), None)
        frames += [] if first is None else [first]
    if not frames:
        what = f"no run below {runs.runs} holds both {a!r} and {b!r} at one layer"
        raise ValueError(f"{what}; methods recorded: {', '.join(sorted(methods)) or 'none'}")
    frame = pd.concat(frames, ignore_index=True)
    two = "{:.2f}".format
    rows = [
        (r.command, r.layer, r.variant, r.metric, two(r.a_value), two(r.b_value), *_test(r), r.n)
        for r in frame.itertuples()
    ]
    heads = ("command", "layer", "variant", "metric", a, b, "difference", BOUNDS, "p", "n")
    printing.table(rows, heads, names=4)
    path = out / f"compare_{a}_{b}.csv"
    files.write_text(path, frame.to_csv(index=False))
    click.echo(f"\n{TESTS}; p is not corrected for many tests. wrote {path}")


def recorded_tasks(runs: Path) -> "list[Task]":
    """camx's tasks and those of a user's that made a run; one that is gone is said."""
    from camx.evaluators import tasks
    from camx.evaluators.results.runs import foreign, shipped

    loaded = shipped()
    for reference, folder in sorted(foreign(runs).items()):
        try:
            loaded.append(tasks.load(reference))
        except (ValueError, FileNotFoundError) as error:
            click.echo(f"warning: {folder} is left out, for its task is gone: {error}", err=True)
    return loaded


def _test(row: Any) -> tuple[str, str, str]:
    """The difference and its interval, signed, and the p-value."""
    interval = f"[{row.ci_low:+.2f}, {row.ci_high:+.2f}]"
    return f"{row.difference:+.2f}", interval, f"{row.p_value:.2g}"


def every_pair(runs: RunsOptions, out: Path, loaded: "Sequence[Table]") -> None:
    """Write ``pairs_NN.csv`` for each table; say how many pairs differ; print a single table."""
    from camx.evaluators.results import compare, tables
    from camx.evaluators.results.runs import by_task

    candidates = by_task((table.task for table in loaded), runs.runs, runs.data)
    for table in loaded:
        frame = compare.pairs(table, candidates[table.task.name], runs.seed)
        if frame.empty:
            continue
        path = out / tables.file_name(table).replace("table_", "pairs_")
        files.write_text(path, frame.to_csv(index=False))
        real = int((frame["p_holm"] < 0.05).sum())
        how = f"{TESTS}; Holm-corrected, p < 0.05"
        click.echo(f"Table {table.name}: {real} of {len(frame)} pairs differ ({how}). wrote {path}")
        if len(loaded) == 1 or not tabular.textual():
            tests = frame.itertuples()
            rows = [(r.metric, r.a, r.b, *_test(r), f"{r.p_holm:.2g}", r.n) for r in tests]
            heads = ("metric", "a", "b", "a - b", BOUNDS, "p", "p (Holm)", "n")
            title = "" if tabular.textual() else f"Table {table.name}, pairs. {how}"
            tabular.write(Tabular(heads, rows, 3, title))
