"""`camx tables`: the paper's tables from recorded runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import options, printing

if TYPE_CHECKING:
    import pandas as pd

    from evaluators.tables import Table


@click.command("tables")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Where to look for run.json files."
)
@options.out("tables")
@click.option("--table", "names", multiple=True, help="Only this table: a name of `camx list tables`, or FILE.yaml; repeats.")
@click.option("--data", help="Only runs on this data set: its name or folder.  [default: that of the newest run]")
@click.option("--compare", nargs=2, metavar="A B", help="Instead, test two methods against each other, cell by cell.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the resampling.")
@options.debug
def command(runs: Path, out: Path, names: tuple[str, ...], data: str | None, compare: tuple[str, str] | None, seed: int) -> None:
    """Write table_NN.csv and cells.csv: every measured cell beside the paper's value.

    Each cell is filled from one run: `paper` protocol first, then most images, then the newest.

    \b
    camx tables --compare layercam gradcam     is the difference real? (exact McNemar test)
    """
    from evaluators import tables

    if compare:
        return versus(runs, out, data, *compare, seed)

    chosen = [options.checked(tables.load, name) for name in names or tables.names()]
    filled = tables.cells(chosen, runs, data)
    for table in chosen:
        if tables.printed(table, filled)["measured"].notna().any():
            show(table, filled)
    paths = tables.write(chosen, filled, out)
    if not filled["measured"].notna().any():
        click.echo(f"no run below {runs} measures a cell of these tables yet; `camx localize` makes one", err=True)
    click.echo("\nwrote " + ", ".join(map(str, paths)))


def versus(runs: Path, out: Path, data: str | None, a: str, b: str, seed: int) -> None:
    """Print and write every paired test between methods `a` and `b`, on the preferred run that has both."""
    from evaluators import compare, tables

    found = tables.one_data_set(tables.measured(runs, "localize"), data)
    frame = next((f for f in (compare.compare(m.folder, a, b, seed) for m in found) if len(f)), None)
    if frame is None:
        known = sorted({str(c[0]) for m in found for c in m.numbers.index})
        raise ValueError(f"no run below {runs} holds both {a!r} and {b!r}; methods recorded: {', '.join(known) or 'none'}")
    rows = [
        (r.layer, r.variant, r.metric, f"{r.a_value:.2f}", f"{r.b_value:.2f}", f"{r.difference:+.2f}",
         f"[{r.ci_low:+.2f}, {r.ci_high:+.2f}]", f"{r.p_value:.2g}", r.n)
        for r in frame.itertuples()
    ]  # fmt: skip
    printing.table(rows, ("layer", "variant", "metric", a, b, "difference", "95 % interval", "p", "n"))
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"compare_{a}_{b}.csv"
    frame.to_csv(path, index=False)
    click.echo(f"\nhits: exact McNemar; mean IoU: sign-flip permutation; p is not corrected for many tests. wrote {path}")


def show(table: "Table", filled: "pd.DataFrame") -> None:
    """One table on the terminal: ours, the 95 % interval, and the paper's value in brackets; then its runs."""
    from evaluators import records, tables

    own = tables.printed(table, filled)
    columns = list(dict.fromkeys(own["column"]))
    runs = list(dict.fromkeys(own["run"].dropna()))
    marks = {run: "*" * n for n, run in enumerate(runs)}
    rows = []
    for (row, metric), group in own.groupby(["row", "metric"], sort=False):
        cells = {c.column: c for c in group.itertuples()}
        rows.append([row, metric, *(_cell(cells[c], marks) if c in cells else None for c in columns)])
    click.echo(f"\nTable {table.name}. {table.title}. Percent: ours [95 % interval] (paper)")
    printing.table(rows, ("", "metric", *columns))
    for run in runs:
        made, n = records.load(Path(run)), own[own["run"] == run]["n"].max()
        click.echo(f"{marks[run]}{run}: {made['model']} on {made['data']['name']}, protocol {made['protocol']['name']}, n={n:.0f}")


def _cell(cell: Any, marks: dict[str, str]) -> str:
    paper = "(-)" if cell.paper is None or cell.paper != cell.paper else f"({cell.paper:.2f})"
    if cell.measured is None or cell.measured != cell.measured:
        return paper
    return f"{cell.measured:.2f}{marks[cell.run]} [{cell.ci_low:.0f}, {cell.ci_high:.0f}] {paper}"
