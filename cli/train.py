"""`camx train`: the networks that the evaluators look into."""

import os
from pathlib import Path
from typing import Any

import click

from cli import options, printing, running


@click.group("train")
def command() -> None:
    """Train the network whose maps are measured; `camx train WHAT --help` shows the recipe."""


@command.command("defects")
@click.option("--data", default="mini", show_default=True, help="DAGM folder, or a manifest FILE.csv of image,defective,mask,split.")
@click.option(
    "--split",
    default="official",
    show_default=True,
    help="official, TRAIN/TEST drawn (--seed) such as 3550/400, or a folder with train.txt and test.txt.",
)
@click.option("--model", help="ResNet of `camx list models`, or FILE.py.  [default: resnet50; the miniature's own on the miniature]")
@click.option("--init", help="First weights: torchvision's name of them, a file, or none.  [default: IMAGENET1K_V1 where there are such]")
@click.option("--download", is_flag=True, help="Let torchvision fetch weights that are not in its cache.")
@click.option("--epochs", type=click.IntRange(min=1), default=15, show_default=True)
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Images a step.")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), default=0.001, show_default=True, help="First learning rate.")
@click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), default=0.9, show_default=True)
@click.option("--weight-decay", type=click.FloatRange(min=0), default=0.0, show_default=True)
@click.option("--decay-at", type=int, multiple=True, default=(5, 10), show_default=True, help="Epochs after which the rate falls; repeats.")
@click.option("--decay", type=click.FloatRange(min=0, min_open=True), default=0.1, show_default=True, help="What it is multiplied by.")
@click.option(
    "--balance",
    type=click.Choice(["none", "loss", "sample"]),
    default="none",
    show_default=True,
    help="Against rare defects: weigh the loss, or draw both classes equally often.",
)
@click.option("--flip", is_flag=True, help="Mirror images at random.")
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of the training images held out to choose the best epoch; 0 chooses by the training loss.",
)
@click.option("--precision", type=click.Choice(["auto", "float32", "bf16"]), default="auto", show_default=True, help="auto: bf16 on CUDA.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ...")
@click.option("--workers", type=click.IntRange(min=1), help="Threads that decode.  [default: the cores]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of everything drawn at random.")
@options.config
@options.out("train-defects")
@options.debug
def defects(out: Path, **chosen: Any) -> None:  # fmt: skip
    """Train a classifier of good and defective images on image labels alone: the paper's ResNet50 by default.

    Writes best.safetensors and last.safetensors, which `camx defects --weights` reads, and log.csv. Stopped anywhere,
    the same command goes on and ends with the same weights. The test images are reported, never learned from.

    \b
    camx train defects --data DAGM2007                               the paper's recipe, ImageNet weights
    camx train defects --data mine.csv --balance loss --flip         pictures of your own, few of them defective
    camx train defects --init none --epochs 12 --lr 0.05 --flip      the miniature, from nothing
    """
    from camcore import networks
    from evaluators import datasets, defect_training, splits, training

    dataset = options.checked(splits.apply, datasets.load(chosen["data"], "defects"), chosen["split"], chosen["seed"])
    device = options.pick_device(chosen["device"])
    start = networks.start(chosen["model"] or dataset.model, chosen["init"], 2, chosen["seed"], chosen["download"])
    recipe = defect_training.Recipe(
        chosen["epochs"], chosen["batch_size"], chosen["lr"], chosen["momentum"], chosen["weight_decay"], chosen["decay_at"],
        chosen["decay"], chosen["balance"], chosen["flip"], chosen["validation"], training.precision(chosen["precision"], device),
    )  # fmt: skip
    workers = chosen["workers"] or os.cpu_count() or 1
    job = defect_training.job(start, dataset.samples, recipe, chosen["seed"], device, workers)
    counts = {split: sum(s.split == split for s in dataset.samples) for split in ("train", "test")}
    ill = {split: sum(s.label for s in dataset.samples if s.split == split) for split in counts}
    click.echo(f"{dataset.name}: " + ", ".join(f"{counts[split]} {split} images, {ill[split]} defective" for split in counts))
    description = running.begin_training("train defects", out, chosen, dataset, start, recipe, job)
    rows = running.fit(job, out, description)
    shown = [key for key in rows[-1] if key not in ("step",)]
    printing.table([[f"{row[k]:.4g}" for k in shown] for row in rows], shown)
    drawn = f" --split {chosen['split']} --seed {chosen['seed']}" if chosen["split"] != "official" else ""
    click.echo(f"\nbest: {out / 'best.safetensors'}   last: {out / 'last.safetensors'}")
    click.echo(f"next: camx defects --data {chosen['data']}{drawn} --weights {out / 'last.safetensors'}")


@command.command("voc")
@click.option("--data", default="mini", show_default=True, help="VOCdevkit folder.")
@click.option("--split", default="train_aug", show_default=True, help="List of images that are learned from.")
@click.option("--model", help="A name of `camx list models`.  [default: vgg16-cam; the miniature's own on the miniature]")
@click.option("--init", help="First weights: torchvision's name of them, a file, or none.  [default: the network's own]")
@click.option("--download", is_flag=True, help="Let torchvision fetch weights that are not in its cache.")
@click.option("--epochs", type=click.IntRange(min=1), default=15, show_default=True)
@click.option("--batch-size", type=click.IntRange(min=1), default=5, show_default=True, help="Images a step.")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), default=0.001, show_default=True, help="First learning rate.")
@click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), default=0.9, show_default=True)
@click.option("--weight-decay", type=click.FloatRange(min=0), default=0.0005, show_default=True)
@click.option(
    "--decay-at",
    type=click.FloatRange(0, 1),
    default=2 / 3,
    show_default="two thirds",
    help="Share of the training after which the rate falls.",
)
@click.option("--decay", type=click.FloatRange(min=0, min_open=True), default=0.1, show_default=True, help="What it is multiplied by.")
@click.option("--side", type=click.IntRange(min=0), default=0, help="Pixels of the image's short side.  [default: the network's input]")
@click.option("--flip/--no-flip", default=True, show_default=True, help="Mirror images at random.")
@click.option("--precision", type=click.Choice(["auto", "float32", "bf16"]), default="auto", show_default=True, help="auto: bf16 on CUDA.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ...")
@click.option("--workers", type=click.IntRange(min=1), help="Threads that decode.  [default: the cores]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of everything drawn at random.")
@options.config
@options.out("train-voc")
@options.debug
def voc(out: Path, **chosen: Any) -> None:  # fmt: skip
    """Train a classifier of the classes an image holds, on image labels alone: the paper's VGG16 in CAM's form.

    Writes best.safetensors and last.safetensors, which `camx pseudo --weights` reads, and log.csv with the multi-label
    mAP on val. Stopped anywhere, the same command goes on and ends with the same weights.
    """
    from camcore import networks
    from evaluators import classifier_training, datasets, training

    device = options.pick_device(chosen["device"])
    learn = datasets.load(chosen["data"], "segmentation", chosen["split"])
    val = datasets.load(chosen["data"], "segmentation", "val")
    start = networks.start(chosen["model"] or learn.model, chosen["init"], len(learn.classes), chosen["seed"], chosen["download"])
    recipe = classifier_training.Recipe(
        chosen["epochs"], chosen["batch_size"], chosen["lr"], chosen["momentum"], chosen["weight_decay"], chosen["decay_at"],
        chosen["decay"], chosen["side"], chosen["flip"], training.precision(chosen["precision"], device),
    )  # fmt: skip
    workers = chosen["workers"] or os.cpu_count() or 1
    job = classifier_training.job(start, learn.samples, val.samples, recipe, chosen["seed"], device, workers)
    click.echo(f"{learn.name}: {len(learn.samples)} images of {chosen['split']}, {len(val.samples)} of val, {len(learn.classes)} classes")
    description = running.begin_training("train voc", out, chosen, learn, start, recipe, job)
    rows = running.fit(job, out, description)
    shown = [key for key in rows[-1] if key != "step"]
    printing.table([[f"{row[k]:.4g}" for k in shown] for row in rows], shown)
    click.echo(f"\nlast: {out / 'last.safetensors'}   camx pseudo --weights {out / 'last.safetensors'}")
