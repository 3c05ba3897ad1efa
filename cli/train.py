"""`camx train`: the networks that the evaluators look into."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from camx.cli import options, printing, several, submission, training
from camx.cli.shared import MINIATURE, pick_device
from camx.cli.training import TrainingOptions
from camx.evaluators.fields import choice, text
from camx.evaluators.tasks.defects import recipe as defect_recipe
from camx.evaluators.tasks.localize import recipe as wsol_recipe
from camx.evaluators.tasks.pseudo import recipe as scene_recipe


@several.together
@click.group("train", cls=options.Group)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Train the network whose maps are measured; `camx train WHAT --help` shows the recipe."""
    several.alone(ctx)


@dataclass(frozen=True, kw_only=True)
class DefectOptions(TrainingOptions):
    """What `camx train defects` is told besides."""

    data: str = text(
        default=MINIATURE,
        names="datasets",
        help="DAGM folder, or a manifest FILE.csv of image,defective,mask,split.",
    )
    split: str = text(
        default="official",
        help="official, TRAIN/TEST drawn (--seed) such as 3550/400, or a folder with train.txt and "
        "test.txt.",
    )


@several.together
@command.command("defects")
@options.typed(DefectOptions)
@options.overrides(defect_recipe.Recipe)
@options.config
@options.out("train-defects")
@submission.offered()
@options.common
def defects(asked: DefectOptions, given: Mapping[str, Any], out: Path) -> None:
    """Train a classifier of good and defective images: the paper's ResNet50 by default.

    Writes best.safetensors and last.safetensors, which `camx defects --weights` reads, and log.csv.
    Stopped anywhere, the same command goes on and ends with the same weights. The test images are
    reported, never learned from.

    \b
    camx train defects --data DAGM2007                             the paper's, ImageNet weights
    camx train defects --data mine.csv --balance loss --flip       pictures of your own
    camx train defects --init none --epochs 12 --lr 0.05 --flip    the miniature, from nothing
    """
    printing.start(asked.data, f"split {asked.split}")
    from camx.camcore import networks
    from camx.evaluators import datasets, ranks, splits
    from camx.evaluators.tasks.defects import trainer

    recipe = options.checked(defect_recipe.Recipe, **given)
    read = datasets.load(asked.data, "defects")
    data = options.checked(splits.apply, read, asked.split, asked.seed)
    device = ranks.world().device(pick_device(asked.device))
    model = asked.model or data.model
    start = networks.start(
        model, asked.init, 2, asked.seed, asked.download, preprocessing=asked.preprocessing
    )
    with ranks.joined(device) as joined:
        training.divided(recipe, asked, joined)
        job = trainer.job(start, data.samples, recipe, **asked.machine(device), ranks=joined)
        labels = {k: [s.label for s in data.samples if s.split == k] for k in ("train", "test")}
        counts = [f"{len(of)} {split} images, {sum(of)} defective" for split, of in labels.items()]
        click.echo(f"{data.name}: {', '.join(counts)}")
        said = {**vars(asked), **given}
        rows = training.train("train defects", out, said, data, start, recipe, job, joined)
    training.log(rows, out)
    drawn = {} if asked.split == "official" else {"split": asked.split, "seed": asked.seed}
    training.announce_next("defects", asked, out, data=asked.data, **drawn)


@dataclass(frozen=True, kw_only=True)
class SceneOptions(TrainingOptions):
    """What `camx train voc` is told besides."""

    data: str = text(default=MINIATURE, names="datasets", help="VOCdevkit folder.")
    split: str = text(default="train_aug", help="List of images that are learned from.")


@several.together
@command.command("voc")
@options.typed(SceneOptions)
@options.overrides(scene_recipe.Recipe)
@options.config
@options.out("train-voc")
@submission.offered()
@options.common
def voc(asked: SceneOptions, given: Mapping[str, Any], out: Path) -> None:
    """Train a classifier of the classes an image holds: the paper's VGG16 in CAM's form by default.

    Writes best.safetensors and last.safetensors, which `camx pseudo --weights` reads, and log.csv
    with the multi-label mAP on val. Stopped anywhere, the same command goes on and ends with the
    same weights.
    """
    printing.start(asked.data, f"split {asked.split}")
    from camx.camcore import networks
    from camx.evaluators import datasets, ranks
    from camx.evaluators.tasks.pseudo import trainer

    recipe = options.checked(scene_recipe.Recipe, **given)
    device = ranks.world().device(pick_device(asked.device))
    learn = datasets.load(asked.data, "segmentation", asked.split)
    val = datasets.load(asked.data, "segmentation", "val")
    model, classes = asked.model or learn.model, len(learn.classes)
    start = networks.start(
        model, asked.init, classes, asked.seed, asked.download, preprocessing=asked.preprocessing
    )
    with ranks.joined(device) as joined:
        training.divided(recipe, asked, joined)
        parts = learn.samples, val.samples
        job = trainer.job(start, *parts, recipe, **asked.machine(device), ranks=joined)
        images = f"{len(learn.samples)} images of {asked.split}, {len(val.samples)} of val"
        click.echo(f"{learn.name}: {images}, {classes} classes")
        said = {**vars(asked), **given}
        rows = training.train("train voc", out, said, learn, start, recipe, job, joined)
    training.log(rows, out)
    training.announce_next("pseudo", asked, out, data=asked.data)


# The networks of Table V, and the miniature's, which stand for them.
WITH_BOXES = (MINIATURE, "ilsvrc")  # data sets by class that `camx localize` measures on
ARCHES = {"vgg16-gap": "mini-vgg-gap", "acol": "mini-acol", "adl": "mini-adl"}


@dataclass(frozen=True, kw_only=True)
class WsolOptions(TrainingOptions):
    """What `camx train wsol` is told besides."""

    data: str = text(
        default=MINIATURE,
        names="datasets",
        help="ILSVRC folder with train/<wnid>/*.JPEG, or any folder of images by class.",
    )
    arch: str = choice(*ARCHES, default="vgg16-gap", help="Network, and how it is trained.")
    recipe: str | None = text(
        default=None,
        help=f"A name of {', '.join([*ARCHES, *ARCHES.values()])}, or FILE.yaml of the fields "
        "below.  [default: the network's]",
    )


@several.together
@command.command("wsol")
@options.typed(WsolOptions)
@options.overrides(wsol_recipe.Recipe)
@options.config
@options.out("train-wsol")
@submission.offered()
@options.common
def wsol(asked: WsolOptions, given: Mapping[str, Any], out: Path) -> None:
    """Train a network that is made to localize, on the one class of each image: Table V's.

    vgg16-gap is CAM's network, acol and adl those of the papers of these names, each by its paper's
    recipe; the options below change single fields of it. Writes best.safetensors (by top-1 on the
    validation images) and last.safetensors, which `camx localize --weights` reads, log.csv and
    curve.png. Stopped anywhere, the same command goes on and ends with the same weights.

    \b
    camx train wsol --arch acol                                  the miniature, in half a minute
    camx train wsol --arch adl --data ILSVRC --download          the paper's, ImageNet weights
    torchrun --nproc-per-node 4 -m camx train wsol --data ILSVRC --accumulate 2
    """
    printing.start(asked.data, f"architecture {asked.arch}")
    from camx.camcore import networks
    from camx.evaluators import datasets, ranks
    from camx.evaluators.tasks.localize import trainer

    miniature = asked.data == MINIATURE
    model = asked.model or (ARCHES[asked.arch] if miniature else asked.arch)
    shipped = model if model in wsol_recipe.names() else asked.arch
    recipe = options.checked(wsol_recipe.load, asked.recipe or shipped, given)
    device = ranks.world().device(pick_device(asked.device))
    data = datasets.load(asked.data, "classification")
    classes = len(data.classes)
    start = networks.start(
        model, asked.init, classes, asked.seed, asked.download, preprocessing=asked.preprocessing
    )
    with ranks.joined(device) as joined:
        job = options.checked(
            trainer.job, start, data.samples, recipe, **asked.machine(device), ranks=joined,
        )  # fmt: skip
        parts = trainer.hold_out(data.samples, recipe.validation, asked.seed)
        images = "{} images to learn from, {} to judge by".format(*map(len, parts))
        click.echo(f"{data.name}: {images}, {classes} classes")
        said = {**vars(asked), **given}
        rows = training.train("train wsol", out, said, data, start, recipe, job, joined)
    training.log(rows, out)
    method = "acol" if hasattr(start.module, "branches") else "cam"
    if data.name in WITH_BOXES and any(sample.split == "val" for sample in data.samples):
        training.announce_next("localize", asked, out, data=asked.data, method=method)
    else:
        training.announce_next("explain", asked, out, method=method)
