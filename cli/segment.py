"""`camx segment`: a segmentation network trained on pseudo labels, its masks, and how good they are."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import click

from cli import options, printing, running


@click.group("segment")
def command() -> None:
    """Train DeepLab-LargeFOV on pseudo labels, predict masks, and measure them: Tables IX to XI."""


_data = options.stack(
    click.option("--data", default="mini", show_default=True, help="VOCdevkit folder, or a name of `camx list datasets`."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ..."),
    click.option("--limit", type=click.IntRange(min=1), help="Only the first N images."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of everything drawn at random."),
    options.config,
    options.debug,
)
_crf = click.option("--crf", is_flag=True, help="Also refine the masks by a dense CRF (pip install 'camx[crf]').")


@command.command("train")
@click.option("--labels", type=click.Path(path_type=Path), required=True, help="Folder of pseudo labels <image>.png; see `camx pseudo`.")
@click.option("--split", default="train_aug", show_default=True, help="List of images.")
@click.option("--model", help="A name of `camx list segmenters`.  [default: deeplab-vgg16; the miniature's own on the miniature]")
@click.option("--init", help="First weights: torchvision's name of them, a file, or none.  [default: the network's own]")
@click.option("--download", is_flag=True, help="Let torchvision fetch weights that are not in its cache.")
@click.option("--iterations", type=click.IntRange(min=1), help="Steps.  [default: 16000; 150 on the miniature]")
@click.option("--batch-size", type=click.IntRange(min=1), default=10, show_default=True, help="Images a step.")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), help="First learning rate.  [default: 0.001; 0.02 on the miniature]")
@click.option("--power", type=click.FloatRange(min=0), default=0.9, show_default=True, help="The rate falls as (1 - step/steps) ** power.")
@click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), default=0.9, show_default=True)
@click.option("--weight-decay", type=click.FloatRange(min=0), default=0.0005, show_default=True)
@click.option("--crop", type=click.IntRange(min=17), help="Side of the square shown.  [default: the network's, 321]")
@click.option("--scale", "scales", type=float, multiple=True, default=(0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3), show_default=True)
@click.option("--mirror/--no-mirror", default=True, show_default=True)
@click.option("--log-every", type=click.IntRange(min=1), help="Steps to a line of the log.  [default: a sixteenth of all]")
@click.option("--precision", type=click.Choice(["auto", "float32", "bf16"]), default="auto", show_default=True, help="auto: bf16 on CUDA.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads that decode.  [default: the cores]")
@_data
@options.out("segment")
def train(out: Path, **chosen: Any) -> None:
    """Train a segmentation network on pseudo labels alone, never on true masks.

    \b
    camx segment train --labels results/pseudo/labels/layercam_S5                                the miniature
    camx segment train --labels LABELS --data VOCdevkit --model deeplab-resnet101 --download     the paper's second network
    """
    from camcore import networks
    from evaluators import datasets, indices, segment, segment_training, segmenting, training

    mini = chosen["data"] == "mini"
    device = options.pick_device(chosen["device"])
    dataset = datasets.load(chosen["data"], "segmentation", chosen["split"])
    pairs = segmenting.pairs(chosen["labels"], dataset)[: chosen["limit"]]
    classes = len(dataset.classes)
    name = chosen["model"] or ("mini-largefov" if mini else "deeplab-vgg16")
    start = networks.start(name, chosen["init"], classes + 1, chosen["seed"], chosen["download"], networks.SEGMENTERS)
    iterations = chosen["iterations"] or (150 if mini else 16000)
    recipe = segment_training.Recipe(
        iterations, chosen["batch_size"], chosen["lr"] or (0.02 if mini else 0.001), chosen["power"], chosen["momentum"],
        chosen["weight_decay"], chosen["crop"] or start.input_size, chosen["scales"], chosen["mirror"],
        chosen["log_every"] or max(1, iterations // 16), training.precision(chosen["precision"], device),
    )  # fmt: skip
    workers = chosen["workers"] or os.cpu_count() or 1
    read = partial(indices.read_mask, classes=classes)
    job = segment_training.job(start, pairs, read, recipe, chosen["seed"], device, workers)
    labels = {key: segment.about(chosen["labels"]).get(key) for key in ("method", "layer", "variant")}
    if None in labels.values():
        labels = segment.cell_of(chosen["labels"])._asdict()
    labels = {"fingerprint": segmenting.fingerprint(pairs), **labels}
    click.echo(f"{dataset.name}: pseudo labels of {len(pairs)} of {len(dataset.samples)} images, {chosen['labels']}")
    description = running.begin_training("segment train", out, chosen, dataset, start, recipe, job, labels=labels)
    rows = running.fit(job, out, description)
    click.echo(f"loss {rows[0]['train_loss']:.3f} at first, {rows[-1]['train_loss']:.3f} at last; weights: {out / 'last.safetensors'}")


@command.command("predict")
@click.option("--weights", type=click.Path(path_type=Path), required=True, help="What `camx segment train` wrote: last.safetensors.")
@click.option("--model", help="A name of `camx list segmenters`.  [default: that of the run beside the weights]")
@click.option("--split", default="val", show_default=True, help="List of images.")
@click.option("--scale", "scales", type=float, multiple=True, help="Sizes averaged; repeats.  [default: the network's]")
@click.option("--flip", is_flag=True, help="Average the mirrored image in.")
@click.option("--pad-to", type=click.IntRange(min=0), help="Pixels a side that an image is padded to.  [default: the network's]")
@click.option("--long-side", type=click.IntRange(min=0), help="Pixels of the longer side; 0 as it is.  [default: the network's]")
@click.option("--archive", type=click.Path(dir_okay=False, path_type=Path), help="Also pack the masks for the test server: FILE.tgz.")
@_crf
@_data
@options.out("segment-predict")
def predict(out: Path, **chosen: Any) -> None:
    """Write each image's mask as a palette PNG, OUT/masks/<image>.png; with --crf also OUT/masks-crf."""
    from camcore import networks, plugins
    from evaluators import crf, datasets, records, segmenting

    model = chosen["model"] or running.trained(str(chosen["weights"]))
    if not model:
        raise click.UsageError(f"--model is needed: no run.json beside {chosen['weights']} names the network")
    device = options.pick_device(chosen["device"])
    dataset = datasets.load(chosen["data"], "segmentation", chosen["split"])
    network = networks.load(model, str(chosen["weights"]), "paper", device, package=networks.SEGMENTERS)
    if network.classes != len(dataset.classes) + 1:
        raise ValueError(f"{chosen['weights']} tells {network.classes} classes apart, but {dataset.root} needs {len(dataset.classes) + 1}")
    shapes = {
        "scales": chosen["scales"] or None,
        "flip": chosen["flip"] or None,
        "long_side": chosen["long_side"],
        "pad_to": chosen["pad_to"],
    }
    given = {key: value for key, value in shapes.items() if value is not None}  # 0 is an answer
    shown = segmenting.Shown(**{**plugins.load(networks.SEGMENTERS, "build", model).module.TEST, **given})
    scenes = dataset.samples[: chosen["limit"]]
    beside = chosen["weights"].with_name("run.json")
    labels = records.load(beside.parent).get("labels", {}) if beside.is_file() else {}
    identity = {
        "command": "segment predict",
        "data": {"fingerprint": dataset.fingerprint},
        "model": network.name,
        "weights_sha256": network.sha256,
        "shown": records.plain(shown),
        "seed": chosen["seed"],
    }
    place = {"dataset": {"name": dataset.name, "root": str(dataset.root)}, "weights": str(chosen["weights"]), "device": device}
    description = records.begin(out, identity, {"options": dict(chosen), **place, **running.environment()}, held="masks/*.png")
    folders = [out / "masks", out / "masks-crf"][: 1 + chosen["crf"]]
    about = {**{key: labels.get(key) for key in ("method", "layer", "variant") if key in labels}, "network": network.name}
    for folder in folders:
        segmenting.describe(folder, about)
    click.echo(f"{dataset.name}: {len(scenes)} images; {network.name} ({chosen['weights']})")
    with printing.progress(len(scenes), 0) as bar:
        done = segmenting.write_masks(network, shown, scenes, folders, crf.refine if chosen["crf"] else None, bar.update)
    records.update(out, description, {"end": running.now(), "counts": {"images": len(scenes), "segmented": done}})
    if chosen["archive"]:
        click.echo(f"archive: {chosen['archive']} ({segmenting.archive(folders[-1], chosen['archive'])} masks)")
    click.echo(f"masks: {', '.join(map(str, folders))}")


@command.command("evaluate")
@click.option("--masks", type=click.Path(path_type=Path), required=True, help="Folder of masks <image>.png, camx's or anybody's.")
@click.option("--crf", is_flag=True, help="The masks are of a CRF: they fill the table's CRF line.")
@click.option("--quiet", is_flag=True, help="Print no table at the end.")
@click.option("--name", default="", help="What to call them in a table, such as DGCN-LayerCAM.  [default: what made them]")
@click.option("--split", default="val", show_default=True, help="List of images.")
@_data
@options.out("segment-evaluate")
def evaluate(out: Path, **chosen: Any) -> None:
    """Measure masks against the true ones: mIoU of one confusion matrix over all images; 255 does not count."""
    from evaluators import confusion, datasets, measures, records, segment, segmenting, tables

    masks = chosen["masks"]
    if not masks.is_dir():
        raise FileNotFoundError(f"{masks}: no such folder of masks")
    dataset = datasets.load(chosen["data"], "segmentation", chosen["split"])
    cell, classes = segment.cell_of(masks, chosen["name"]), len(dataset.classes)
    scenes = dataset.samples[: chosen["limit"]]
    identity = {
        "command": "segment",
        "data": {"fingerprint": dataset.fingerprint},
        "model": "masks",
        "protocol": {"name": "paper"},
        "preprocessing": "no",
        "seed": chosen["seed"],
    }
    # Several networks' masks may be measured into one folder, to be compared; each under its name, and in one version.
    pngs = [(path, path) for path in sorted(masks.glob("*.png"))]
    versions = {f"{'CRF ' * chosen['crf']}{' '.join(filter(None, cell))}": segmenting.fingerprint(pngs)}
    place = {"dataset": {"name": dataset.name, "root": str(dataset.root)}, "device": "cpu", "plugins": versions}
    description = records.begin(out, identity, {"options": dict(chosen), **place, **running.environment()})
    loop = partial(segmenting.measure, masks, cell, classes)
    kind = segment.KINDS["mIoU-crf" if chosen["crf"] else "mIoU"]
    running.record(out, description, scenes, [cell], loop, kind)
    if chosen["quiet"]:
        return
    metric = "mIoU-crf" if chosen["crf"] else "mIoU"
    found = measures.outcomes(out, "segment")
    number = measures.numbers(found, "segment").loc[(*cell, metric)]
    each = confusion.ious(sum(measures.of_cell(found, cell, metric)))
    rows = [(name, f"{100 * value:.2f}") for name, value in zip(("background", *dataset.classes), each)]
    printing.table(rows, ("class", "IoU"))
    paper = [e.paper for n in ("IX", "X", "XI") for e in tables.load(n).entries if (e.cell, e.metric) == (cell, "mIoU") and e.paper]
    known = f" (paper: {paper[0]:.2f})" if paper and metric == "mIoU" else ""
    interval = f"[{number['low']:.1f}, {number['high']:.1f}]"
    click.echo(f"\n{' '.join(filter(None, cell))}: {metric} {number['value']:.2f} {interval}{known}, n={number['n']:.0f}")
    click.echo(f"records: {out / kind}")
