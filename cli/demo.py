"""`camx demo`: the whole of camx on the embedded miniature, in one command."""

import itertools
import shutil
from pathlib import Path

import click

from cli import options

SCORED = 60  # images that Score-CAM, at two hundred masked passes an image, gets in the demonstration
TRAINED = ("S5", "S5+S4", "S5+S4+S3")  # settings of Table X whose labels train a network in the demonstration
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
    from cli import claims, defects, explain, localize, occlude, pseudo, segment, tables

    click.echo("1/9  localization: Tables I-IV and XII, the paper's protocol\n")
    ctx.invoke(localize.command, out=fresh(out / "localize", "paper"), quiet=True)
    click.echo(f"\n2/9  Score-CAM's rows of Tables I and II: one view, {SCORED} images drawn at random\n")
    single = fresh(out / "localize-scorecam", "single")
    methods = ("scorecam", "layercam")  # the one beside the other, for the claims
    ctx.invoke(localize.command, protocol="single", methods=methods, layers=LAYERS, sample=SCORED, out=single, quiet=True)
    click.echo(f"\n3/9  image occlusion: Table VI, {OCCLUDED} images drawn at random\n")
    ctx.invoke(occlude.command, sample=OCCLUDED, out=fresh(out / "occlude", "paper"), quiet=True)
    click.echo("\n4/9  defects: Tables VII and VIII\n")
    ctx.invoke(defects.command, out=fresh(out / "defects", "paper", "defects"), sheet=out / "defects.png", quiet=True)
    click.echo("\n5/9  pseudo labels: Table XIII, and those behind Table X\n")
    labels = fresh(out / "pseudo", "paper", "segmentation")
    ctx.invoke(pseudo.command, names=("XIII", "X"), out=labels, quiet=True)
    click.echo(f"\n6/9  segmentation networks trained on {len(TRAINED)} of them: Table X\n")
    folder = fresh(out / "segment", "paper", "segmentation", run="evaluate")
    for layer in TRAINED:
        ctx.invoke(segment.train, labels=labels / "labels" / f"layercam_{layer}", out=folder / f"train-{layer}")
        ctx.invoke(segment.predict, weights=folder / f"train-{layer}/last.safetensors", out=folder / f"predict-{layer}")
        ctx.invoke(segment.evaluate, masks=folder / f"predict-{layer}/masks", out=folder / "evaluate", quiet=True)
    click.echo("\n7/9  tables\n")
    ctx.invoke(tables.command, runs=out, out=out / "tables", data="mini")
    click.echo("\n8/9  the paper's claims\n")
    ctx.invoke(claims.command, runs=out, out=out / "claims", data="mini")
    click.echo("\n9/9  pictures\n")
    ctx.invoke(explain.command, out=out / "explain")
    click.echo(f"\ntables: {out / 'tables'}   claims: {out / 'claims'}   pictures: {out / 'explain'}   records: {out}/*/records")


def fresh(folder: Path, protocol: str, task: str = "localization", run: str = ".") -> Path:
    """The folder for a demonstration: `folder`, emptied if older source made it, or the next one beside it.

    `run` is where in it the measured run is. Only a run of the same protocol and network on the miniature is ever
    emptied; any other is left alone.
    """
    from evaluators import datasets, environment, records

    split = "val" if run != "." else ""
    mini = datasets.load("mini", task, split)
    for free in itertools.chain([folder], (folder.with_name(f"{folder.name}-{n}") for n in itertools.count(2))):
        held = free / run
        if not (held / "run.json").is_file() and not (held / "records").is_dir():
            return free
        found = records.load(held) if (held / "run.json").is_file() else {}
        own = found and found["model"] in (mini.model, "masks")
        if own and (mini.fingerprint, protocol, 0) == (found["data"]["fingerprint"], found["protocol"]["name"], found["seed"]):
            if {i["source"] for i in found["invocations"]} != {environment.source()}:
                click.echo(f"camx changed since {free} was measured: starting afresh")
                old = free.rename(free.with_name(f".{free.name}-old"))  # whole or not at all
                shutil.rmtree(old)
            return free
    raise AssertionError("unreachable: the count is endless")
