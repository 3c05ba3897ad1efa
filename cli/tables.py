"""`camx tables`: the paper's tables from recorded runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import options, printing

if TYPE_CHECKING:
    import pandas as pd

    from evaluators.tables import Table


@click.command("tables")
@options.runs
@options.out("tables")
@click.option("--table", "names", multiple=True, help="Only this table: a name of `camx list tables`, or FILE.yaml; repeats.")
@click.option("--compare", nargs=2, metavar="A B", help="Instead, test two methods against each other, cell by cell.")
@click.option(
    "--enter",
    nargs=4,
    metavar="TABLE ROW COLUMN VALUE",
    help="Keep a number that only a test server knows, such as IX 'LayerCAM VGG16' test 61.4.",
)
@click.option("--pairs", is_flag=True, help="Instead, test every two cells of each table against each other.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the resampling.")
@options.debug
def command(
    runs: Path,
    out: Path,
    names: tuple[str, ...],
    data: str | None,
    compare: tuple[str, str] | None,
    enter: tuple[str, str, str, str] | None,
    pairs: bool,
    seed: int,
) -> None:
    """Write table_NN.csv and cells.csv: every measured cell beside the paper's value.

    Each cell is filled from one run: `paper` protocol first, then most images, then the newest.

    \b
    camx tables --compare layercam gradcam     is the difference real? (paired tests, per cell)
    camx tables --pairs --table III            which of gamma's settings differ at all?
    camx tables --enter IX "LayerCAM VGG16" test 61.4
    """
    from evaluators import tables

    if enter:
        options.checked(tables.enter, runs, *enter[:3], options.checked(_number, enter[3]))
        click.echo(f"entered: Table {enter[0]}, {enter[1]}, {enter[2]}: {enter[3]} ({runs / tables.ENTERED})")
    if compare and compare[0] == compare[1]:
        raise click.UsageError(f"--compare names {compare[0]!r} twice; it takes two methods")
    if compare:
        return versus(runs, out, data, *compare, seed)
    if pairs:
        return every_pair(runs, out, data, [options.checked(tables.load, name) for name in names or tables.names()], seed)

    chosen = [options.checked(tables.load, name) for name in names or tables.names()]
    filled = tables.cells(chosen, runs, data)
    for table in chosen:
        if tables.printed(table, filled)["measured"].notna().any():
            show(table, filled)
    if not filled["measured"].notna().any():
        names_of = ", ".join(t.name for t in chosen)
        raise ValueError(f"no run below {runs} measures a cell of {names_of}; `camx {chosen[0].command}` makes one. Nothing was written")
    paths = tables.write(chosen, filled, out)
    click.echo("\nwrote " + ", ".join(map(str, paths)))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number; --enter takes TABLE ROW COLUMN VALUE") from None


def versus(runs: Path, out: Path, data: str | None, a: str, b: str, seed: int) -> None:
    """Print and write every paired test between methods `a` and `b`, a command at a time, on the preferred run that has both."""
    import itertools

    import pandas as pd

    from evaluators import compare, measures, tables

    frames, known = [], set()
    for command, found in tables.by_command(measures.EVALUATORS, runs, data).items():
        known |= {cell.method for m in found for cell in m.cells}
        holding = [m for m in found if {a, b} <= {cell.method for cell in m.cells}]
        holding.sort(key=lambda m: max(m.rank(cell) for cell in m.cells if cell.method in (a, b)))
        tested = (compare.compare(m.folder, a, b, seed, command) for m in holding)
        frames += list(itertools.islice((f.assign(command=command) for f in tested if len(f)), 1))
    if not frames:
        raise ValueError(
            f"no run below {runs} holds both {a!r} and {b!r} at one layer; methods recorded: {', '.join(sorted(known)) or 'none'}"
        )
    frame = pd.concat(frames, ignore_index=True)
    rows = [
        (r.command, r.layer, r.variant, r.metric, f"{r.a_value:.2f}", f"{r.b_value:.2f}", f"{r.difference:+.2f}",
         f"[{r.ci_low:+.2f}, {r.ci_high:+.2f}]", f"{r.p_value:.2g}", r.n)
        for r in frame.itertuples()
    ]  # fmt: skip
    printing.table(rows, ("command", "layer", "variant", "metric", a, b, "difference", "95 % interval", "p", "n"))
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"compare_{a}_{b}.csv"
    frame.to_csv(path, index=False)
    click.echo(f"\nhits: exact McNemar; means: sign-flip permutation; p is not corrected for many tests. wrote {path}")


def every_pair(runs: Path, out: Path, data: str | None, chosen: "list[Table]", seed: int) -> None:
    """Write ``pairs_NN.csv`` for each table; print how many pairs differ, and the smallest tables whole."""
    from evaluators import compare, tables

    found = tables.by_command((t.command for t in chosen), runs, data)
    out.mkdir(parents=True, exist_ok=True)
    for table in chosen:
        frame = compare.pairs(table, found[table.command], seed)
        if frame.empty:
            continue
        path = out / tables.file_name(table).replace("table_", "pairs_")
        frame.to_csv(path, index=False)
        real = int((frame["p_holm"] < 0.05).sum())
        tests = "exact McNemar of hits, sign flips of means; Holm-corrected, p < 0.05"
        click.echo(f"Table {table.name}: {real} of {len(frame)} pairs differ ({tests}). wrote {path}")
        if len(chosen) == 1:
            rows = [
                (
                    r.metric,
                    r.a,
                    r.b,
                    f"{r.difference:+.2f}",
                    f"[{r.ci_low:+.2f}, {r.ci_high:+.2f}]",
                    f"{r.p_value:.2g}",
                    f"{r.p_holm:.2g}",
                    r.n,
                )
                for r in frame.itertuples()
            ]
            printing.table(rows, ("metric", "a", "b", "a - b", "95 % interval", "p", "p (Holm)", "n"))


def show(table: "Table", filled: "pd.DataFrame") -> None:
    """One table on the terminal: ours, the 95 % interval, and the paper's value in brackets; then its runs."""
    from evaluators import records, tables

    own = tables.printed(table, filled, table.shown)
    columns = list(dict.fromkeys(own["column"]))
    runs = list(dict.fromkeys(own["run"].dropna()))
    quoted = {entry.row for entry in table.entries if entry.quoted}
    marks = {run: "*" * n for n, run in enumerate(runs)}
    cells = {(c.row, c.metric, c.column): c for c in own.itertuples()}
    names = {row: f"{row} (quoted)" if row in quoted else row for row in own["row"]}

    def found(*where: str) -> str | None:
        return _cell(cells[where], marks) if where in cells else None

    metrics = list(dict.fromkeys(own["metric"]))
    unit = "Percent" + "; FPS and throughput in images a second" * ("FPS" in metrics)
    click.echo(f"\nTable {table.name}. {table.title}. {unit}: ours [95 % interval] (paper)")
    if columns == [""]:  # the metrics stand beside each other
        printing.table([(name, *(found(row, m, "") for m in metrics)) for row, name in names.items()], ("", *metrics))
    else:
        lines = [(row, m) for row, m in dict.fromkeys(zip(own["row"], own["metric"]))]
        printing.table([(names[row], m, *(found(row, m, c) for c in columns)) for row, m in lines], ("", "metric", *columns))
    for run in runs:
        if run == "entered":
            click.echo(f"{marks[run]}entered by hand (camx tables --enter)")
            continue
        made, n = records.load(Path(run)), own[(own["run"] == run) & ~own["metric"].isin(("FPS", "throughput"))]["n"]  # those count turns
        how = f"protocol {made['protocol']['name']}, {made['preprocessing']} preprocessing"
        how += f", superpixels {made['protocol']['superpixels']}" if "superpixels" in made["protocol"] else ""
        click.echo(f"{marks[run]}{run}: {made['model']} on {made['dataset']['name']}, {how}, {printing.counted(n)}")


def _cell(cell: Any, marks: dict[str, str]) -> str:
    import pandas as pd

    paper = "(-)" if pd.isna(cell.paper) else f"({cell.paper:.2f})"
    if pd.isna(cell.measured):
        return paper
    if pd.isna(cell.n):  # entered by hand: no images behind it
        return f"{cell.measured:.2f}{marks[cell.run]} {paper}"
    digits = 0 if cell.n < 1000 else 2  # a few hundred images tell no hundredths
    return f"{cell.measured:.2f}{marks[cell.run]} [{cell.ci_low:.{digits}f}, {cell.ci_high:.{digits}f}] {paper}"
