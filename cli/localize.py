"""`camx localize`: weakly supervised localization, methods x layers, one record per image and cell."""

import os
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import options, printing

if TYPE_CHECKING:
    from evaluators.types import Cell, Dataset, Protocol

# The methods that one forward and one backward pass feed.
METHODS = ("gradcam", "gradcampp", "normgrad", "layercam", "layercam-normal")


@click.command("localize")
@click.option("--protocol", default="single", show_default=True, help="A name of `camx list protocols`, or FILE.yaml.")
@options.measuring
@options.out("localize")
@click.pass_context
def command(ctx: click.Context, out: Path, **chosen: Any) -> None:
    """Measure how often the maps' boxes find the object: loc1, loc5 and GT-known localization.

    \b
    camx localize                                             the embedded miniature
    camx localize --data ILSVRC_ROOT --model vgg16 --weights vgg16.pth
    camx localize --method layercam --layer S5 --layer S5+S4+S3
    """
    from camcore import networks
    from evaluators import datasets, protocols, records, runs

    protocol = options.checked(protocols.load, chosen["protocol"], chosen["overrides"])
    device = options.pick_device(chosen["device"])
    dataset = datasets.load(chosen["data"])
    network = networks.load(chosen["model"] or dataset.model, chosen["weights"], protocol.preprocessing, device, chosen["download"])
    _check_classes(dataset, network)
    cells, cams = options.checked(cells_of, network, chosen["methods"] or METHODS, chosen["layers"] or tuple(network.layers))
    plan = runs.Plan(
        network, protocol, cells, cams,
        batch_size=chosen["batch_size"] or options.BATCH[device.split(":")[0]],
        workers=chosen["workers"] or os.cpu_count() or 1, device=device,
    )  # fmt: skip
    samples = dataset.samples[: chosen["limit"]]
    description = records.begin(out, identity(dataset, network, protocol, chosen["seed"]), invocation(chosen, plan))
    held = records.done(out)
    missing = {s.image_id: {c for c in cells if s.image_id not in held.get(c, ())} for s in samples}
    todo = [s for s in samples if missing[s.image_id]]
    _announce(dataset, network, protocol, cells, len(samples), len(todo))
    with records.Writer(out / "records") as writer, printing.progress(len(samples), len(samples) - len(todo)) as bar:
        try:
            runs.measure(plan, todo, missing, writer, bar.update)
        finally:
            writer.flush()
            finish(out, description, writer.total, len(samples))
    summary(out, cells)


def cells_of(network: Any, methods: tuple[str, ...], layers: tuple[str, ...]) -> "tuple[tuple[Cell, ...], dict[str, Any]]":
    """Every method on every layer or fusion, and the methods' functions. Raises `ValueError` for an unknown one, before anything runs."""
    from camcore import maps
    from evaluators.types import Cell

    for layer in layers:
        for part in layer.split("+"):
            network.layer(part)
    found = maps.methods(methods)
    return tuple(Cell(method, layer) for method in found for layer in dict.fromkeys(layers)), found


def _check_classes(dataset: "Dataset", network: Any) -> None:
    if len(dataset.classes) != network.classes:
        raise ValueError(
            f"{network.name} with {network.weights} tells {network.classes} classes apart, but {dataset.root} has "
            f"{len(dataset.classes)}; choose a matching --model or --weights"
        )


def identity(dataset: "Dataset", network: Any, protocol: "Protocol", seed: int) -> dict[str, Any]:
    """What must not change between two invocations into one folder."""
    from evaluators import records

    data = {"name": dataset.name, "root": str(dataset.root), "fingerprint": dataset.fingerprint}
    return {
        "command": "localize",
        "data": data,
        "model": network.name,
        "weights_sha256": network.sha256,
        "protocol": records.plain(protocol),
        "seed": seed,
    }


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def invocation(chosen: dict[str, Any], plan: Any) -> dict[str, Any]:
    """One call of the command as ``run.json`` keeps it."""
    from evaluators import environment

    return {
        "command_line": sys.argv[1:],
        "options": dict(chosen),
        "weights": plan.network.weights,
        "preprocessing": plan.network.preprocessing.name,
        "batch_size": plan.batch_size,
        "workers": plan.workers,
        "device": plan.device,
        "versions": environment.versions(),
        "commit": environment.commit(),
        "source": environment.source(),
        "start": _now(),
        "end": None,
    }


def finish(out: Path, description: dict[str, Any], written: int, images: int) -> None:
    """Enter what this invocation did into ``run.json``."""
    from evaluators import records

    description["invocations"][-1] |= {"end": _now(), "counts": {"images": images, "records_written": written}}
    records.save(out, description)


def _announce(dataset: Any, network: Any, protocol: Any, cells: Any, images: int, todo: int) -> None:
    done = f", {images - todo} of them done before" if todo < images else ""
    click.echo(f"{dataset.name}: {images} images{done}; {network.name} ({network.weights}, {network.preprocessing.name} preprocessing)")
    click.echo(f"protocol {protocol.name}: {protocol.view} view, gradient {protocol.gradient}; {len(cells)} cells")


def summary(out: Path, cells: "tuple[Cell, ...]") -> None:
    """Print each cell of this call, over all the run's images, with the paper's value beside it."""
    from evaluators import localize, records, tables

    frame = records.read(out)
    numbers = localize.reduce(frame)
    top1, top5 = localize.classification(frame)
    paper = {(e.cell, e.metric): e.paper for n in tables.names() for e in tables.load(n).entries if e.cell}
    layers = list(dict.fromkeys(c.layer for c in cells))
    rows = []
    for method in dict.fromkeys(c.method for c in cells):
        for metric in localize.METRICS:
            line = [method if metric == "loc1" else "", metric]
            for layer in layers:
                cell = next(c for c in cells if (c.method, c.layer) == (method, layer))
                known = paper.get((cell, metric))
                line.append(f"{numbers.loc[cell, metric]:.2f}" + (f" ({known:.2f})" if known else " " * 8))
            rows.append(line)
    click.echo(f"\n{frame['image_id'].nunique()} images, top-1 {top1:.2f} %, top-5 {top5:.2f} %. Percent; in brackets the paper's value.\n")
    printing.table(rows, ("method", "metric", *layers))
    blank = numbers.loc[list(cells), "degenerate"].mean()
    click.echo(f"\nempty or constant maps: {blank:.2f} %. Records: {out / 'records'}; what determined them: {out / 'run.json'}")
