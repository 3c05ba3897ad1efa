"""`camx segment`: a segmentation network trained on pseudo labels, its masks and their mIoU."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camx.cli import measuring, options, printing, several, submission, training
from camx.cli.shared import MINIATURE, pick_device
from camx.cli.training import TrainingOptions
from camx.evaluators.fields import Checked, flag, path, text, whole
from camx.evaluators.tasks.segment import recipe as segment_recipe

if TYPE_CHECKING:
    from camx.camcore.networks import Network
    from camx.evaluators.types import Dataset

PAPER_MODEL, MINIATURE_MODEL = "deeplab-vgg16", "mini-largefov"
MINIATURE_RECIPE = {"iterations": 150, "lr": 0.02}


@several.together
@click.group("segment", cls=options.Group)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Train DeepLab-LargeFOV on pseudo labels, predict masks, and measure them: Tables IX to XI."""
    several.alone(ctx)


command.add_command(measuring.command("segment", "evaluate"))


@dataclass(frozen=True, kw_only=True)
class TrainOptions(TrainingOptions):
    """What `camx segment train` is told besides."""

    model: str | None = text(
        default=None,
        names="segmenters",
        help="Network: a name of `camx list segmenters`, or FILE.py.  [default: the paper's; the "
        "miniature's own on the miniature]",
    )
    labels: Path = path(help="Folder of pseudo labels <image>.png; see `camx pseudo`.")
    data: str = text(
        default=MINIATURE,
        names="datasets",
        help="VOCdevkit folder, or a name of `camx list datasets`.",
    )
    split: str = text(default="train_aug", help="List of images.")
    limit: int | None = whole(1, default=None, help="Only the first N images.")


@several.together
@command.command("train")
@options.typed(TrainOptions)
@options.overrides(segment_recipe.Recipe)
@options.config
@options.out("segment")
@submission.offered()
@options.common
def train(asked: TrainOptions, given: Mapping[str, Any], out: Path) -> None:
    """Train a segmentation network on pseudo labels alone, never on true masks.

    \b
    camx segment train --labels results/pseudo/labels/layercam_S5                      the miniature
    camx segment train --labels LABELS --data VOCdevkit --model deeplab-resnet101 --download
    """
    printing.start(asked.data, f"labels {asked.labels}")
    from camx.camcore import networks
    from camx.evaluators import datasets, ranks, voc_masks
    from camx.evaluators.tasks import segment
    from camx.evaluators.tasks.segment import predict as predicting
    from camx.evaluators.tasks.segment import trainer

    miniature = asked.data == MINIATURE
    defaults = MINIATURE_RECIPE if miniature else {}
    recipe = options.checked(segment_recipe.Recipe, **{**defaults, **given})
    device = ranks.world().device(pick_device(asked.device))
    dataset = datasets.load(asked.data, "segmentation", asked.split)
    pairs = predicting.pairs(asked.labels, dataset)[: asked.limit]
    classes = len(dataset.classes)
    start = networks.start(
        asked.model or (MINIATURE_MODEL if miniature else PAPER_MODEL),
        asked.init, classes + 1, asked.seed, asked.download, networks.SEGMENTERS,
        asked.preprocessing,
    )  # fmt: skip
    settled = {"crop": start.input_size, "log_every": max(1, recipe.iterations // 16), **given}
    recipe = replace(recipe, **settled)
    read = partial(voc_masks.read_mask, classes=classes)
    about = voc_masks.about(asked.labels)
    if not {"method", "layer", "variant"} <= set(about):
        about = dict(zip(("method", "layer", "variant"), segment.cell_of(asked.labels).key))
    labels = {key: about[key] for key in ("method", "layer", "variant")}
    labels["fingerprint"] = predicting.fingerprint(label for _, label in pairs)
    count = f"{len(pairs)} of {len(dataset.samples)} images"
    click.echo(f"{dataset.name}: pseudo labels of {count}, {asked.labels}")
    said = {**vars(asked), **given}
    with ranks.joined(device) as joined:
        training.divided(recipe, asked, joined)
        job = trainer.job(start, pairs, read, recipe, **asked.machine(device), ranks=joined)
        rows = training.train(
            "segment train", out, said, dataset, start, recipe, job, joined, labels=labels
        )
    first, last = (row["train_loss"] for row in (rows[0], rows[-1]))
    weights = out / "last.safetensors"
    click.echo(f"loss {first:.3f} at first, {last:.3f} at last; weights: {weights}")
    training.announce_next("segment predict", asked, out, data=asked.data)


@dataclass(frozen=True, kw_only=True)
class PredictOptions(Checked):
    """What `camx segment predict` is told."""

    weights: Path = path(help="What `camx segment train` wrote: last.safetensors.")
    model: str | None = text(
        default=None,
        names="segmenters",
        help="A name of `camx list segmenters`.  [default: that of the run beside the weights]",
    )
    data: str = text(
        default=MINIATURE,
        names="datasets",
        help="VOCdevkit folder, or a name of `camx list datasets`.",
    )
    split: str = text(default="val", help="List of images.")
    limit: int | None = whole(1, default=None, help="Only the first N images.")
    archive: Path | None = path(default=None, help="Also pack them for the test server: FILE.tgz.")
    crf: bool = flag(help="Also refine the masks by a dense CRF (the extra crf).")
    device: str = text(default="auto", help="auto, cpu, cuda, cuda:1, ...")
    seed: int = whole(0, default=0, help="Seed of everything drawn at random.")


def _segmenter(
    asked: PredictOptions, dataset: "Dataset[Any]", device: str
) -> "tuple[Network, Mapping[str, Any]]":
    """The network, that of the run beside the weights unless named; how it is shown an image."""
    from camx.camcore import networks

    run = None if asked.model else training.trained(asked.weights, networks.SEGMENTERS)
    model = run.model if run else asked.model
    if not model:
        what = f"no run.json beside {asked.weights} names the network"
        raise click.UsageError(f"--model is needed: {what}")
    package, weights = networks.SEGMENTERS, str(asked.weights)
    network = networks.load(model, weights, "paper", device, package=package)
    needed = len(dataset.classes) + 1
    if network.classes != needed:
        what = f"tells {network.classes} classes apart, but {dataset.root} needs {needed}"
        raise ValueError(f"{weights} {what}")
    return network, networks.spec(model, package).test


@command.command("predict")
@options.typed(PredictOptions)
@options.overrides(segment_recipe.Shown)
@options.config
@options.out("segment-predict")
@options.common
def predict(asked: PredictOptions, given: Mapping[str, Any], out: Path) -> None:
    """Write each image's mask as a palette PNG, OUT/masks/<image>.png; --crf adds OUT/masks-crf."""
    printing.start(asked.data, f"weights {asked.weights}")
    from camx.evaluators import datasets, holding, records, stopping, voc_masks
    from camx.evaluators.tasks.segment import crf
    from camx.evaluators.tasks.segment import predict as predicting

    trained = records.beside(asked.weights)
    device = pick_device(asked.device)
    dataset = datasets.load(asked.data, "segmentation", asked.split)
    network, defaults = _segmenter(asked, dataset, device)
    shown = segment_recipe.Shown(**{**defaults, **given})
    scenes = dataset.samples[: asked.limit]
    key = (dataset.fingerprint, asked.seed, network.name, network.sha256)
    identity = records.Identity("segment predict", *key, further={"shown": records.plain(shown)})
    said, place = records.plain({**vars(asked), **given}), records.place(dataset)
    call = records.Invocation(said, place, device, str(asked.weights))
    folders = [out / "masks", out / "masks-crf"] if asked.crf else [out / "masks"]
    labels = trained.identity.get("labels", {}) if trained else {}
    about = {key: labels[key] for key in ("method", "layer", "variant") if key in labels}
    refine = crf.refine if asked.crf else None
    with holding.held(out):
        run = records.begin(out, identity, call)
        for folder in folders:
            voc_masks.describe(folder, {**about, "network": network.name})
        click.echo(f"{dataset.name}: {len(scenes)} images; {network.name} ({asked.weights})")
        with stopping.patiently(), printing.progress(len(scenes), 0) as bar:
            done = predicting.write_masks(network, shown, scenes, folders, refine, bar.update)
        run.finish(images=len(scenes), segmented=done)
    if asked.archive:
        count = predicting.archive(folders[-1], asked.archive)
        click.echo(f"archive: {asked.archive} ({count} masks)")
    click.echo(f"masks: {', '.join(map(str, folders))}")
