"""`camx demo`: the whole of camx on the embedded miniature, in one command."""

import itertools
import shutil
from pathlib import Path

import click

from cli import options

SCORED = 60  # images that Score-CAM, at two hundred masked passes an image, gets in the demonstration
OCCLUDED = 100  # images that are occluded in the demonstration
STAGES = ("S5", "S4", "S3", "S2", "S1")
LAYERS = (*STAGES, *("+".join(STAGES[:n]) for n in range(2, 6)))  # the columns of Tables I and II


@click.command("demo")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("results"), show_default=True, help="Folder of the results."
)
@options.debug
@click.pass_context
def command(ctx: click.Context, out: Path) -> None:
    """Measure, tabulate and draw on the miniature; starts afresh when camx's own source changed."""
    from cli import claims, defects, explain, localize, occlude, tables

    click.echo("1/7  localization: Tables I-IV and XII, the paper's protocol\n")
    ctx.invoke(localize.command, out=fresh(out / "localize", "paper"), quiet=True)
    click.echo(f"\n2/7  Score-CAM's rows of Tables I and II: one view, {SCORED} images drawn at random\n")
    single = fresh(out / "localize-scorecam", "single")
    methods = ("scorecam", "layercam")  # the one beside the other, for the claims
    ctx.invoke(localize.command, protocol="single", methods=methods, layers=LAYERS, sample=SCORED, out=single, quiet=True)
    click.echo(f"\n3/7  image occlusion: Table VI, {OCCLUDED} images drawn at random\n")
    ctx.invoke(occlude.command, sample=OCCLUDED, out=fresh(out / "occlude", "paper"), quiet=True)
    click.echo("\n4/7  defects: Tables VII and VIII\n")
    ctx.invoke(defects.command, out=fresh(out / "defects", "paper", "defects"), sheet=out / "defects.png", quiet=True)
    click.echo("\n5/7  tables\n")
    ctx.invoke(tables.command, runs=out, out=out / "tables", data="mini")
    click.echo("\n6/7  the paper's claims\n")
    ctx.invoke(claims.command, runs=out, out=out / "claims", data="mini")
    click.echo("\n7/7  pictures\n")
    ctx.invoke(explain.command, out=out / "explain")
    click.echo(f"\ntables: {out / 'tables'}   claims: {out / 'claims'}   pictures: {out / 'explain'}   records: {out}/*/records")


def fresh(run: Path, protocol: str, task: str = "localization") -> Path:
    """The folder for a demonstration run: `run`, emptied if older source made it, or the next one beside it.

    Only a run of the same protocol on the miniature is ever emptied; any other is left alone.
    """
    from evaluators import datasets, environment, records

    mini = datasets.load("mini", task)
    for folder in itertools.chain([run], (run.with_name(f"{run.name}-{n}") for n in itertools.count(2))):
        if not (folder / "run.json").is_file() and not (folder / "records").is_dir():
            return folder
        found = records.load(folder) if (folder / "run.json").is_file() else {}
        own = (mini.fingerprint, mini.model, protocol, 0)
        if found and own == (found["data"]["fingerprint"], found["model"], found["protocol"]["name"], found["seed"]):
            if {i["source"] for i in found["invocations"]} != {environment.source()}:
                click.echo(f"camx changed since {folder} was measured: starting afresh")
                old = folder.rename(folder.with_name(f".{folder.name}-old"))  # whole or not at all
                shutil.rmtree(old)
            return folder
    raise AssertionError("unreachable: the count is endless")
