"""`camx demo`: the whole of camx on the embedded miniature, in one command."""

import shutil
from pathlib import Path

import click

from cli import options

SCORED = 80  # images that Score-CAM, at two hundred masked passes an image, gets in the demonstration
FUSED = tuple(dict.fromkeys(["S5", "S4", "S3", "S2", "S1", *("+".join(["S5", "S4", "S3", "S2", "S1"][:n]) for n in range(1, 6))]))


@click.command("demo")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("results"), show_default=True, help="Folder of the results."
)
@options.debug
@click.pass_context
def command(ctx: click.Context, out: Path) -> None:
    """Measure, tabulate and draw on the miniature; starts afresh when camx's own source changed."""
    from cli import explain, localize, tables

    click.echo("1/4  localization: Tables I-IV and XII, the paper's protocol\n")
    ctx.invoke(localize.command, out=fresh(out / "localize"), quiet=True)
    click.echo(f"\n2/4  Score-CAM's rows of Tables I and II: one view, {SCORED} images drawn at random\n")
    single = fresh(out / "localize-scorecam")
    ctx.invoke(localize.command, protocol="single", methods=("scorecam",), layers=FUSED, sample=SCORED, out=single, quiet=True)
    click.echo("\n3/4  tables\n")
    ctx.invoke(tables.command, runs=out, out=out / "tables", data="mini")
    click.echo("\n4/4  pictures\n")
    ctx.invoke(explain.command, out=out / "explain")
    click.echo(f"\ntables: {out / 'tables'}   pictures: {out / 'explain'}   records: {out / 'localize' / 'records'}")


def fresh(run: Path) -> Path:
    """The folder for a demonstration run: `run`, emptied if older source made it, or one beside it.

    Only a run on the miniature is ever emptied; a run on anybody's own data is left alone.
    """
    from evaluators import datasets, environment, records

    if not (run / "run.json").is_file():
        return run
    found = records.load(run)
    if found["data"]["fingerprint"] != datasets.load("mini").fingerprint:
        return fresh(records.free(run))
    if {i["source"] for i in found["invocations"]} != {environment.source()}:
        click.echo(f"camx changed since {run} was measured: starting afresh")
        shutil.rmtree(run)
    return run
