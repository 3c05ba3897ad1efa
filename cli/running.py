"""What the measuring commands share: data and network by name, and a run's folder opened, filled and closed."""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import options, printing

if TYPE_CHECKING:
    from camcore.networks import Network
    from evaluators.records import Writer
    from evaluators.runs import Missing, Plan
    from evaluators.types import Cell, Dataset, Item, MapProtocol, Sample


def protocol(command: str, chosen: dict[str, Any]) -> Any:
    """The command's protocol of ``--protocol`` or ``--as``, with ``--set`` and the options that stand for a field."""
    from evaluators import protocols

    if chosen["style"] and chosen["protocol"]:
        raise click.UsageError("--as names a protocol of its own; leave out --protocol")
    return options.checked(protocols.load, chosen["style"] or chosen["protocol"] or "paper", chosen["overrides"], command)


def load(chosen: dict[str, Any], preprocessing: str, task: str = "localization", split: str = "") -> "tuple[Dataset, Network, str]":
    """The data set, the network that classifies it, and the device."""
    from camcore import networks
    from evaluators import datasets

    device = options.pick_device(chosen["device"])
    dataset = datasets.load(chosen["data"], task, split)
    if chosen["blacklist"]:
        dataset = datasets.without(dataset, chosen["blacklist"])
    network = networks.load(chosen["model"] or dataset.model, chosen["weights"], preprocessing, device, chosen["download"])
    if len(dataset.classes) != network.classes:
        raise ValueError(
            f"{network.name} with {network.weights} tells {network.classes} classes apart, but {dataset.root} has "
            f"{len(dataset.classes)}; choose a matching --model or --weights"
        )
    return dataset, network, device


def trained(weights: str | None) -> str | None:
    """The network that the run beside a weights file trained, if there is one."""
    from evaluators import records

    described = Path(weights).with_name("run.json") if weights else None
    if described is None or not described.is_file():
        return None
    found = records.load(described.parent)
    return found.get("model") if str(found.get("command", "")).startswith(("train ", "segment train")) else None


def plan(chosen: dict[str, Any], network: "Network", protocol: "MapProtocol", cells: "Sequence[Cell]", device: str) -> "Plan":
    """The plan of maps for `cells`, batch size and threads as chosen."""
    from evaluators import runs

    return options.checked(
        runs.plan, network, protocol, cells, chosen["methods"], device,
        batch_size=chosen["batch_size"] or options.BATCH.get(device.split(":")[0], options.BATCH["cpu"]),
        workers=chosen["workers"] or os.cpu_count() or 1,
    )  # fmt: skip


def pick(dataset: "Dataset[Item]", sample: int | None, limit: int | None, seed: int) -> "tuple[Item, ...]":
    """`sample` images drawn at random, in the data set's order, then the first `limit` of them."""
    import numpy as np

    samples = dataset.samples
    if sample and sample < len(samples):
        drawn = np.random.default_rng(seed).choice(len(samples), sample, replace=False)
        samples = tuple(samples[i] for i in sorted(drawn))
    return samples[:limit]


def identity(command: str, dataset: "Dataset", network: "Network", protocol: "MapProtocol", seed: int) -> dict[str, Any]:
    """What must not change between two invocations into one folder."""
    from evaluators import records

    return {
        "command": command,
        "data": {"fingerprint": dataset.fingerprint},
        "model": network.name,
        "weights_sha256": network.sha256,
        "preprocessing": network.preprocessing.name,
        "protocol": records.plain(protocol),
        "seed": seed,
    }


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def environment() -> dict[str, Any]:
    """What computed: the command line, versions, commit and source, and when it began."""
    from evaluators import environment

    return {
        "command_line": sys.argv[1:],
        "versions": environment.versions(),
        "commit": environment.commit(),
        "source": environment.source(),
        "start": now(),
        "end": None,
    }


def invocation(chosen: dict[str, Any], plan: "Plan", dataset: "Dataset") -> dict[str, Any]:
    """One call of a measuring command as ``run.json`` keeps it."""
    from camcore import maps

    return {
        "options": dict(chosen),
        "dataset": {"name": dataset.name, "root": str(dataset.root)},
        "weights": plan.network.weights,
        "plugins": maps.versions(chosen["methods"]),
        "batch_size": plan.batch_size,
        "workers": plan.workers,
        "device": plan.device,
        **environment(),
    }


Measure = Callable[["Sequence[Sample]", "Missing", "Writer", Callable[[], Any]], None]


def record(
    out: Path,
    description: dict[str, Any],
    samples: "Sequence[Sample]",
    cells: "Sequence[Cell]",
    measure: Measure,
    kind: str = "records",
    unsaved: "Missing | None" = None,
) -> None:
    """Let `measure` write the records that `out` lacks, with progress; what it did is entered into ``run.json``.

    `unsaved` are further things an image lacks (its maps as files).
    """
    from evaluators import records

    held, extra = records.done(out, kind), unsaved or {}
    missing = {s.image_id: {c for c in cells if s.image_id not in held.get(c, ())} for s in samples}
    todo = [s for s in samples if missing[s.image_id] or extra.get(s.image_id)]
    if len(todo) < len(samples):
        click.echo(f"{len(samples) - len(todo)} of {len(samples)} images done before")
    with records.Writer(out / kind) as writer, printing.progress(len(samples), len(samples) - len(todo)) as bar:
        try:
            measure(todo, missing, writer, bar.update)
        finally:
            writer.flush()
            counts = {"images": len(samples), "records_written": writer.total}
            records.update(out, description, {"end": now(), "counts": counts})


def announce(dataset: "Dataset", plan: "Plan", images: int, cells: int) -> None:
    """Two lines before the wait: what is measured, on what, and how."""
    network, protocol = plan.network, plan.protocol
    click.echo(f"{dataset.name}: {images} images; {network.name} ({network.weights}, {network.preprocessing.name} preprocessing)")
    click.echo(f"protocol {protocol.name}: {protocol.view} view, gradient {protocol.gradient}; {cells} cells")


def fit(job: Any, out: Path, description: dict[str, Any]) -> list[dict[str, Any]]:
    """Train to the end with progress; what was done is entered into ``run.json``. Returns the log's rows."""
    from evaluators import records, training

    with printing.progress(job.steps, 0, "step") as bar:

        def tick(steps: int, line: str) -> None:
            bar.set_postfix_str(line, refresh=False)
            bar.update(steps)

        try:
            return training.fit(job, out, tick)
        finally:
            records.update(out, description, {"end": now(), "counts": {"steps": int(bar.n)}})


def begin_training(
    command: str, out: Path, chosen: dict[str, Any], dataset: "Dataset", start: Any, recipe: Any, job: Any, **identity: Any
) -> dict[str, Any]:
    """Open a training run's folder, say what is trained, and return the run's description; see `identity`."""
    from evaluators import records

    own = {
        "command": command,
        "data": {"fingerprint": dataset.fingerprint},
        **identity,
        "model": start.name,
        "init": {"sha256": start.sha256},
        "recipe": records.plain(recipe),
        "seed": chosen["seed"],
    }
    place = {"dataset": {"name": dataset.name, "root": str(dataset.root)}, "weights": start.init, "device": job.device}
    click.echo(f"{start.name} from {start.init}; {job.steps} steps of {recipe.batch}, {recipe.precision} on {job.device}")
    return records.begin(out, own, {"options": dict(chosen), **place, "workers": job.workers, **environment()})
