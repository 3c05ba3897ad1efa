"""`camx demo`: the whole of camx on the embedded miniature, in one command."""

import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path

import click

from camx.cli import options
from camx.cli.shared import MINIATURE
from camx.evaluators.fields import Checked, whole

METHODS = {"vgg16-gap": "cam", "acol": "acol", "adl": "cam"}  # of Table V's trained networks
STAGES = ("S5", "S4", "S3", "S2", "S1")
LAYERS = (*STAGES, *("+".join(STAGES[:n]) for n in range(2, 6)))  # columns of Tables I and II

PLACES = {
    "tables": "tables", "claims": "claims", "pictures": "figures", "records": "*/records",
    "all of it, to look at": "report/index.html",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DemoOptions(Checked):
    """How large the demonstration is."""

    images: int | None = whole(1, default=None, help="At most so many images a step.")
    score_images: int = whole(
        1, default=30, help="Images that Score-CAM gets, at two hundred masked passes an image."
    )
    trained_images: int | None = whole(
        1, default=200, help="At most so many images that Table V's trained networks are shown."
    )
    epochs: int | None = whole(
        1, default=None, help="Epochs of their trainings.  [default: their recipes']"
    )
    cmwp_images: int = whole(1, default=40, help="Images that c-MWP gets, for Table V.")
    timed: int = whole(1, default=20, help="Iterations that the FPS of Table VII is the mean of.")
    occluded: int = whole(1, default=60, help="Images that are occluded.")
    curves: int = whole(1, default=8, help="Images that get a deletion curve.")
    shown: int = whole(0, default=24, help="Images of the report's gallery.")
    settings: int = whole(
        0, 9, default=2, help="Settings of Table X whose labels train a network: S5, S5+S4, ..."
    )
    iterations: int = whole(1, default=25, help="Steps of each of those trainings.")


@click.command("demo")
@options.typed(DemoOptions)
@options.out("")
@options.common
@click.pass_context
def command(ctx: click.Context, demo: DemoOptions, out: Path) -> None:
    """Measure, tabulate and draw on the miniature; starts afresh when camx's own source changed."""
    from camx.cli import defects, localize, measuring, occlude, pseudo

    limited = {"limit": demo.images, "summary": False}
    step(1, "localization: Tables I-IV and XII, the paper's protocol")
    ctx.invoke(localize.command, out=fresh(out / "localize", "paper"), **limited)
    step(2, f"Score-CAM's rows of Tables I and II: one view, {demo.score_images} images")
    ctx.invoke(
        localize.command, protocol="single", layers=LAYERS, sample=demo.score_images,
        methods=("scorecam", "layercam"),  # the one beside the other, for the claims
        out=fresh(out / "localize-scorecam", "single"), summary=False,
    )  # fmt: skip
    step(3, f"Table V: three networks trained and measured, c-MWP on {demo.cmwp_images} images")
    specialists(ctx, out, demo)
    ctx.invoke(
        localize.command, methods=("cmwp",), layers=("S4",), sample=demo.cmwp_images,
        out=fresh(out / "localize", "paper"), **limited,
    )  # fmt: skip
    step(4, "values of the maps of each stage: one view")
    folder = fresh(out / "values", "single")
    ctx.invoke(measuring.command("values"), protocol="single", out=folder, **limited)
    step(5, f"image occlusion: Table VI, {demo.occluded} images drawn at random; deletion curves")
    folder = fresh(out / "occlude", "paper")
    ctx.invoke(occlude.command, sample=demo.occluded, out=folder, summary=False)
    folder = fresh(out / "deletion", "single")
    ctx.invoke(
        occlude.command, metric="deletion", protocol="single", sample=demo.curves, out=folder,
        summary=False,
    )  # fmt: skip
    step(6, "defects: Tables VII and VIII")
    folder = fresh(out / "defects", "paper", "defects")
    sheet = out / "defects.png"
    ctx.invoke(defects.command, iterations=demo.timed, out=folder, sheet=sheet, **limited)
    step(7, "pseudo labels: Table XIII, and those behind Table X")
    labels = fresh(out / "pseudo", "paper", "segmentation")
    ctx.invoke(pseudo.command, tables=("XIII", "X"), out=labels, **limited)
    step(8, f"segmentation networks trained on {demo.settings} of them: Table X")
    segmentation(ctx, out, demo, labels)
    results(ctx, out, demo)


def results(ctx: click.Context, out: Path, demo: DemoOptions) -> None:
    """What was measured as tables, claims, pictures and a page."""
    from camx.cli import claims, explain, figures, report, tables

    step(9, "tables")
    ctx.invoke(tables.command, runs=out, out=out / "tables", data=MINIATURE)
    step(10, "the paper's claims")
    ctx.invoke(claims.command, runs=out, out=out / "claims", data=MINIATURE)
    step(11, "pictures: the paper's figures, and maps of three images")
    ctx.invoke(figures.command, runs=out, out=out / "figures", images=(), formats=("png",))
    ctx.invoke(explain.command, model=("mini-vgg",), out=out / "explain")
    step(12, "the report")
    ctx.invoke(report.command, runs=out, out=out / "report", images=demo.shown, data=MINIATURE)
    click.echo("\n" + "   ".join(f"{what}: {out / where}" for what, where in PLACES.items()))


def step(number: int, title: str) -> None:
    click.echo(f"\n{number}/12  {title}\n")


def segmentation(ctx: click.Context, out: Path, demo: DemoOptions, labels: Path) -> None:
    """Train a segmentation network on the labels of each setting, and measure its masks."""
    from camx.cli import segment

    folder = fresh(out / "segment", "paper", "segmentation", run="evaluate")
    evaluate = segment.command.commands["evaluate"]
    for count in range(1, demo.settings + 1):
        layer = "+".join(STAGES[:count])
        trained, masks = folder / f"train-{layer}", folder / f"predict-{layer}"
        source, steps = labels / "labels" / f"layercam_{layer}", demo.iterations
        ctx.invoke(segment.train, labels=source, iterations=steps, out=trained)
        weights = trained / "last.safetensors"
        ctx.invoke(segment.predict, weights=weights, limit=demo.images, out=masks)
        ctx.invoke(
            evaluate,
            masks=masks / "masks",
            out=folder / "evaluate",
            limit=demo.images,
            summary=False,
        )


def specialists(ctx: click.Context, out: Path, demo: DemoOptions) -> None:
    """Train Table V's networks and measure their maps."""
    from camx.cli import localize, train

    networks = fresh(out / "wsol", "", "classification", run=f"train-{next(iter(METHODS))}")
    for arch, method in METHODS.items():
        ctx.invoke(train.wsol, arch=arch, epochs=demo.epochs, out=networks / f"train-{arch}")
        weights, shown = networks / f"train-{arch}/last.safetensors", networks / f"localize-{arch}"
        ctx.invoke(
            localize.command, weights=str(weights), methods=(method,), out=shown, summary=False,
            limit=min(filter(None, (demo.trained_images, demo.images)), default=None),
        )  # fmt: skip


def fresh(folder: Path, protocol: str, data: str = "localization", run: str = ".") -> Path:
    """The folder for a demonstration: `folder`, emptied if older source made it, or the next free.

    `run` is where in it the measured run is. Only a run of the same protocol and network on the
    miniature, with weights that camx ships or begun from them, is ever emptied; any other is left
    alone.
    """
    from camx.camcore import weights
    from camx.evaluators import datasets, environment, files, records

    backbone = weights.shipped("mini-vgg.safetensors")
    mini = datasets.load(MINIATURE, data, "val" if data == "segmentation" else "")
    beside = (folder.with_name(f"{folder.name}-{n}") for n in itertools.count(2))
    for free in itertools.chain([folder], beside):
        held = free / run
        files.sweep_beside(free)  # what a kill left of a folder that was being removed
        if not (held / "run.json").is_file():
            if not (held / "records").is_dir():
                return free
            continue
        made = records.load(held)
        same = (made.fingerprint, made.protocol["name"], made.identity["seed"])
        begun = made.identity.get("init", {}).get("sha256") == weights.sha256(backbone)
        begins = (str(i.get("weights") or "shipped ") for i in made.invocations)
        ours = made.model in (mini.model, None) and (
            begun or all(file.startswith("shipped ") for file in begins)
        )
        if ours and same == (mini.fingerprint, protocol, 0):
            if {invocation["source"] for invocation in made.invocations} != {environment.source()}:
                click.echo(f"camx changed since {free} was measured: starting afresh")
                shutil.rmtree(free.rename(files.temporary(free)))  # whole or not at all
            return free
    raise AssertionError("unreachable: the count is endless")
