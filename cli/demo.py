"""`camx demo`: the whole of camx on the embedded miniature, in one command."""

import shutil
from pathlib import Path

import click

from cli import options


@click.command("demo")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("results"), show_default=True, help="Folder of the results."
)
@options.debug
@click.pass_context
def command(ctx: click.Context, out: Path) -> None:
    """Measure, tabulate and draw on the miniature; starts afresh when camx's own source changed."""
    from cli import explain, localize, tables

    runs = fresh(out / "localize")
    ctx.invoke(localize.command, out=runs)
    ctx.invoke(tables.command, runs=out, out=out / "tables", data="mini")
    ctx.invoke(explain.command, out=out / "explain")
    click.echo(f"\ntables: {out / 'tables'}   pictures: {out / 'explain'}   records: {runs / 'records'}")


def fresh(run: Path) -> Path:
    """The folder for a demonstration run: `run`, emptied if older source made it, or one beside it.

    Only a run on the miniature is ever emptied; a run on anybody's own data is left alone.
    """
    from evaluators import datasets, environment, records

    if not (run / "run.json").is_file():
        return run
    found = records.load(run)
    if found["identity"]["data"]["fingerprint"] != datasets.load("mini").fingerprint:
        return fresh(records.free(run))
    if {i["source"] for i in found["invocations"]} != {environment.source()}:
        click.echo(f"camx changed since {run} was measured: starting afresh")
        shutil.rmtree(run)
    return run
