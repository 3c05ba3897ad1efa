"""`camx tables`: the paper's tables from recorded runs."""

from pathlib import Path

import click

from cli import options, printing


@click.command("tables")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Where to look for run.json files."
)
@options.out("tables")
@click.option("--table", "names", multiple=True, help="Only this table: a name of `camx list tables`, or FILE.yaml; repeats.")
@click.option("--data", help="Only runs on this data set: its name or folder.  [default: that of the newest run]")
@options.debug
def command(runs: Path, out: Path, names: tuple[str, ...], data: str | None) -> None:
    """Write table_NN.csv and cells.csv: every measured cell beside the paper's value.

    Each cell is filled from one run: `paper` protocol first, then most images, then the newest.
    """
    from evaluators import tables

    chosen = [options.checked(tables.load, name) for name in names or tables.names()]
    filled = tables.cells(chosen, runs, data)
    for table in chosen:
        show(table, filled)
    paths = tables.write(chosen, filled, out)
    if not filled["measured"].notna().any():
        click.echo(f"no run below {runs} measures a cell of these tables yet; `camx localize` makes one", err=True)
    click.echo("wrote " + ", ".join(map(str, paths)))


def show(table, filled) -> None:
    """One table on the terminal: ours, the 95 % interval, and the paper's value in brackets."""
    own = filled[filled["table"] == table.name]
    columns = list(dict.fromkeys(own["column"]))
    rows = []
    for (row, metric), group in own.groupby(["row", "metric"], sort=False):
        cells = {c.column: c for c in group.itertuples()}
        rows.append([row, metric, *(_cell(cells[c]) for c in columns)])
    click.echo(f"\nTable {table.name}. {table.title}. Ours [95 % interval] (paper)")
    printing.table(rows, ("", "metric", *columns))
    click.echo("")


def _cell(cell) -> str:
    paper = f"({cell.paper:.2f})" if cell.paper == cell.paper and cell.paper is not None else "(-)"
    if cell.measured is None or cell.measured != cell.measured:
        return paper
    return f"{cell.measured:.2f} [{cell.ci_low:.1f}, {cell.ci_high:.1f}] {paper}"
