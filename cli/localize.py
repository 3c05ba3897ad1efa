"""`camx localize`: weakly supervised localization, one record per image and cell."""

import os
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import options, printing

if TYPE_CHECKING:
    from camcore.networks import Network
    from evaluators.runs import Plan
    from evaluators.tables import Table
    from evaluators.types import Cell, Dataset, Protocol, Sample

STYLES = ("pytorch-grad-cam", "torch-cam")


@click.command("localize")
@click.option("--protocol", help="A name of `camx list protocols`, or FILE.yaml.  [default: paper]")
@click.option("--as", "style", type=click.Choice(STYLES), help="Make maps as that package does, to explain its numbers.")
@click.option(
    "--table",
    "names",
    multiple=True,
    help="Measure the cells of this table, or FILE.yaml; repeats.  [default: all that cost no extra pass]",
)
@options.measuring
@click.option(
    "--variant", "variants", multiple=True, help="For --layer: gamma=3, scale=none|sqrt|tan; repeats.  [default: gamma=2 where fused]"
)
@click.option("--sample", type=click.IntRange(min=1), help="Only N images drawn at random (--seed).")
@click.option("--blacklist", type=click.Path(path_type=Path), help="File of images to leave out: names, or numbers in validation order.")
@click.option("--save-maps", is_flag=True, help="Also write each map as maps/<image>_<method>_<layer>.png.")
@click.option("--quiet", is_flag=True, help="Print no table at the end.")
@options.out("localize")
def command(out: Path, **chosen: Any) -> None:
    """Measure how often the maps' boxes find the object: loc1, loc5 and GT-known localization.

    \b
    camx localize                                              Tables I-IV and XII on the miniature
    camx localize --protocol single                            one view instead of ten: quick
    camx localize --data ILSVRC --weights vgg16.pth            the paper's experiment
    camx localize --method layercam --layer S5 --layer S5+S4   two cells only
    camx localize --table I --table V                          with Score-CAM and c-MWP
    """
    from camcore import networks
    from evaluators import datasets, protocols, records, runs

    if chosen["style"] and chosen["protocol"]:
        raise click.UsageError("--as names a protocol of its own; leave out --protocol")
    protocol = options.checked(protocols.load, chosen["style"] or chosen["protocol"] or "paper", chosen["overrides"])
    device = options.pick_device(chosen["device"])
    dataset = datasets.load(chosen["data"])
    if chosen["blacklist"]:
        dataset = datasets.without(dataset, chosen["blacklist"])
    network = networks.load(chosen["model"] or dataset.model, chosen["weights"], protocol.preprocessing, device, chosen["download"])
    _check_classes(dataset, network)
    cells, tables = options.checked(choose, network, protocol, **{k: chosen[k] for k in ("methods", "layers", "variants", "names")})
    plan = options.checked(
        runs.plan, network, protocol, cells, chosen["methods"], device,
        batch_size=chosen["batch_size"] or options.BATCH.get(device.split(":")[0], options.BATCH["cpu"]),
        workers=chosen["workers"] or os.cpu_count() or 1,
    )  # fmt: skip
    samples = pick(dataset, chosen["sample"], chosen["limit"], chosen["seed"])
    description = records.begin(out, identity(dataset, network, protocol, chosen["seed"]), invocation(chosen, plan, dataset))
    held = records.done(out)
    missing = {s.image_id: {c for c in cells if s.image_id not in held.get(c, ())} for s in samples}
    maps = (out / "maps", runs.unsaved(out / "maps", samples, cells)) if chosen["save_maps"] else None
    todo = [s for s in samples if missing[s.image_id] or (maps and maps[1][s.image_id])]
    _announce(dataset, plan, len(samples), len(todo))
    with records.Writer(out / "records") as writer, printing.progress(len(samples), len(samples) - len(todo)) as bar:
        try:
            runs.measure(plan, todo, missing, writer, bar.update, maps)
        finally:
            writer.flush()
            finish(out, description, writer.total, len(samples))
    if not chosen["quiet"]:
        summary(out, cells, tables)


def choose(
    network: "Network",
    protocol: "Protocol",
    methods: tuple[str, ...],
    layers: tuple[str, ...],
    variants: tuple[str, ...],
    names: tuple[str, ...],
) -> "tuple[tuple[Cell, ...], list[Table]]":
    """The cells asked for, and the tables they come from.

    With nothing asked for: all that one pass feeds of the shipped tables, or, for a network without the
    tables' layers or in another package's style, the gradient methods on all layers.
    """
    from evaluators import cells, tables

    nothing = not (methods or layers or variants or names)
    chosen = [tables.load(name) for name in names or (tables.names() if nothing and not protocol.style else ())]
    found = cells.of_tables([t for t in chosen if t.command == "localize"], network, costly=bool(names))
    if names and not found:
        raise ValueError(f"no cell of table {', '.join(names)} suits {network.name}, whose layers are {', '.join(network.layers)}")
    if methods or layers or variants or not found:
        found += cells.product(network, methods, layers, variants, protocol.style)
    measured = set(found)
    return tuple(dict.fromkeys(found)), [t for t in chosen if any(e.cell in measured for e in t.entries)]


def pick(dataset: "Dataset", sample: int | None, limit: int | None, seed: int) -> "tuple[Sample, ...]":
    """`sample` images drawn at random, in the data set's order, then the first `limit` of them."""
    import numpy as np

    samples = dataset.samples
    if sample and sample < len(samples):
        drawn = np.random.default_rng(seed).choice(len(samples), sample, replace=False)
        samples = tuple(samples[i] for i in sorted(drawn))
    return samples[:limit]


def _check_classes(dataset: "Dataset", network: "Network") -> None:
    if len(dataset.classes) != network.classes:
        raise ValueError(
            f"{network.name} with {network.weights} tells {network.classes} classes apart, but {dataset.root} has "
            f"{len(dataset.classes)}; choose a matching --model or --weights"
        )


def identity(dataset: "Dataset", network: "Network", protocol: "Protocol", seed: int) -> dict[str, Any]:
    """What must not change between two invocations into one folder."""
    from evaluators import records

    return {
        "command": "localize",
        "data": {"fingerprint": dataset.fingerprint},
        "model": network.name,
        "weights_sha256": network.sha256,
        "preprocessing": network.preprocessing.name,
        "protocol": records.plain(protocol),
        "seed": seed,
    }


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def invocation(chosen: dict[str, Any], plan: "Plan", dataset: "Dataset") -> dict[str, Any]:
    """One call of the command as ``run.json`` keeps it."""
    from camcore import maps
    from evaluators import environment

    return {
        "command_line": sys.argv[1:],
        "options": dict(chosen),
        "dataset": {"name": dataset.name, "root": str(dataset.root)},
        "weights": plan.network.weights,
        "plugins": maps.versions(chosen["methods"]),
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

    records.update(out, description, {"end": _now(), "counts": {"images": images, "records_written": written}})


def _announce(dataset: "Dataset", plan: "Plan", images: int, todo: int) -> None:
    network, protocol = plan.network, plan.protocol
    done = f", {images - todo} of them done before" if todo < images else ""
    click.echo(f"{dataset.name}: {images} images{done}; {network.name} ({network.weights}, {network.preprocessing.name} preprocessing)")
    click.echo(f"protocol {protocol.name}: {protocol.view} view, gradient {protocol.gradient}; {len(plan.cells)} cells")


def summary(out: Path, cells: "tuple[Cell, ...]", chosen: "list[Table]") -> None:
    """Print what the run's folder now holds of this call's tables, or else of its cells, beside the paper's values."""
    from cli.tables import show
    from evaluators import localize, records, tables

    frame = records.read(out)
    numbers = localize.reduce(frame)
    top1, top5 = localize.classification(frame)
    filled = tables.cells(chosen, out)
    for table in chosen:
        show(table, filled)
    if not chosen:
        _matrix(numbers, cells)
    blank = numbers.loc[[c for c in cells if c in numbers.index], "degenerate"]
    click.echo(
        f"\n{frame['image_id'].nunique()} images, top-1 {top1:.2f} %, top-5 {top5:.2f} %; empty or constant maps {blank.mean():.2f} %"
    )
    click.echo(f"records: {out / 'records'}   what determined them: {out / 'run.json'}")


def _matrix(numbers: Any, cells: "tuple[Cell, ...]") -> None:
    """Methods x metrics down, layers across; in brackets the paper's value."""
    from evaluators import localize, tables
    from evaluators.types import Cell

    paper = {(e.cell, e.metric): e.paper for n in tables.names() for e in tables.load(n).entries if e.cell}
    columns = list(dict.fromkeys((c.layer, c.variant) for c in cells))
    rows = []
    for method in dict.fromkeys(c.method for c in cells):
        for metric in localize.METRICS:
            line: list[str | None] = [method, metric]
            for layer, variant in columns:
                cell = Cell(method, layer, variant)
                known = paper.get((cell, metric))
                found = f"{numbers.loc[cell, metric]:.2f}" + (f" ({known:.2f})" if known else "") if cell in cells else None
                line.append(found)
            rows.append(line)
    click.echo("\nPercent; in brackets the paper's value.\n")
    printing.table(rows, ("method", "metric", *(" ".join(filter(None, c)) for c in columns)))
