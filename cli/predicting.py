"""What `camx predict` does: settle network, rule and class, then predict, or export."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camx.camcore import maps, networks, views
from camx.camcore.networks import Network
from camx.cli import explain, options, printing, training
from camx.cli.measuring import BATCH
from camx.cli.predict import AUTO, TASKS, PredictOptions
from camx.cli.shared import MINIATURE, NetworkOptions, pick_device
from camx.evaluators import (
    datasets,
    determinism,
    explanations,
    grids,
    holding,
    plan,
    predictions,
    protocols,
    ranks,
    records,
    skips,
    stopping,
)
from camx.evaluators.files import write_whole
from camx.evaluators.loop import Measurement
from camx.evaluators.predictions import Prediction, inputs, thresholds
from camx.evaluators.predictions.rules import PROTOCOLS, Rule
from camx.evaluators.predictions.thresholds import Wanted
from camx.evaluators.records import Identity, Invocation, Run
from camx.evaluators.skips import Skips
from camx.evaluators.types import Cell, Dataset, Sample

if TYPE_CHECKING:
    import pandas as pd

MINIATURES = {"localize": "mini-vgg", "defects": "mini-defects"}  # networks of the miniature
KINDS = {"localize": "localization", "defects": "defects"}  # of data sets, by task
DEFECTIVE = 1  # the class of a network that tells defects
SHOWN = 5  # classes that are counted in the last lines


@dataclass(frozen=True)
class Settled:
    """What a command line comes to.

    `label` is the class of all maps, None for first choices; `views` are those of a batch where
    they are told, by the command line or the run that the threshold is of.
    """

    network: Network
    cell: Cell
    rule: Rule
    label: int | None
    names: tuple[str, ...]
    views: int | None


def run(
    asked_network: NetworkOptions, asked: PredictOptions, places: Sequence[Path], out: Path
) -> None:
    """Predict the pictures at the places, and write the export that is asked for."""
    samples = inputs.pictures(places, out)[: asked.limit]
    device = pick_device(asked_network.device)
    settled = settle(asked_network, asked, device, bool(places))
    rule, network = settled.rule, settled.network
    how = f"{network.weights}, {network.preprocessing.name} preprocessing"
    click.echo(f"{network.name} ({how}); {settled.cell}, class {_class(settled)}")
    told = f" ({rule.origin})" if rule.origin else ""
    click.echo(f"{rule.task}, protocol {rule.protocol.name}; threshold {rule.threshold:g}{told}")
    if not places and not asked.export:
        samples = miniature(rule.task, out)[: asked.limit]
    if samples:
        write(settled, asked, asked_network, samples, out, device)
    if asked.export:
        export(settled, out)


def _class(settled: Settled) -> str:
    """Which class the maps are of, for people."""
    if settled.label is None:
        return "the network's first choice"
    return _named(settled.names, settled.label)


def _named(names: Sequence[str], label: int) -> str:
    return f"{label} ({names[label]})" if label < len(names) else str(label)


def miniature(task: str, out: Path) -> list[Sample]:
    """The miniature's pictures, of defects those that are tested, as if nobody had marked them."""
    samples = datasets.load(MINIATURE, KINDS[task]).samples
    return inputs.pictures([s.path for s in samples if s.split in ("", "test")], out)


def settle(
    asked_network: NetworkOptions, asked: PredictOptions, device: str, pictured: bool
) -> Settled:
    """The network, the cell, the rule and the class that are asked for."""
    source = records.load(asked.source) if asked.source else None
    trained = None if asked_network.model else training.trained(asked_network.weights)
    task = asked.task or (source and source.command) or ""
    model = asked_network.model or (trained and trained.model)
    if source and not (model or asked_network.weights):
        model = source.model
    if not model:
        model = explain.DEFAULT if pictured else MINIATURES.get(task, "mini-vgg")
    if not task and (model == "mini-defects" or (trained and trained.command == "train defects")):
        task = "defects"

    def load(preprocessing: str) -> Network:
        weights, download = asked_network.weights, asked_network.download
        return networks.load(model, weights, preprocessing, device, download)

    network = load("paper")
    cell = options.checked(_cell, network, asked)
    with options.usage(ValueError):
        rule, batch = _rule(network, cell, asked, task, source, asked_network.weights)
    if rule.protocol.preprocessing != "paper":
        network = load(rule.protocol.preprocessing)
    names, beside = explanations.names_of(network), records.beside(asked_network.weights)
    if beside and len(beside.classes) == network.classes:
        names = beside.classes
    label = _label(network, asked, rule.task, names)
    return Settled(network, cell, rule, label, tuple(names), asked.batch_size or batch)


def _cell(network: Network, asked: PredictOptions) -> Cell:
    """The cell of method, layer and variant. `ValueError` for a name that is none."""
    read_at = maps.method_layers(asked.method, network)
    layer = asked.layer or next(iter(read_at or network.layers))
    variants = (asked.variant,) if asked.variant else ()
    (cell,) = plan.product(network, plan.Selection((asked.method,), (layer,), variants))
    return cell


def _rule(
    network: Network, cell: Cell, asked: PredictOptions, task: str, source: Run | None,
    weights: str | None,
) -> tuple[Rule, int | None]:  # fmt: skip
    """How maps become masks, and the batch size of the run that the threshold is of.

    `ValueError` where no run has a threshold for the cell, or what is asked for is no protocol.
    """
    auto = asked.threshold == AUTO or source or (task == "defects" and not asked.threshold)
    if not auto:
        protocol, number = _protocol(asked, task or "localize"), asked.number
        value = protocol.threshold if number is None else number
        return Rule(task or "localize", protocol, value), None
    if asked.number is not None:
        raise ValueError("--from is for --threshold auto, but --threshold is a number")
    tasks = (task,) if task else TASKS
    fields = {name: records.plain(_protocol(asked, name)) for name in tasks if asked.given}
    wanted = Wanted(network.name, network.sha256, network.table(), cell, tasks, fields)
    if source:
        run = thresholds.named(source, wanted)
    else:
        run = thresholds.first(thresholds.candidates(asked.runs, weights), wanted)
    return thresholds.rule(run, cell), run.last.get("batch_size")


def _protocol(asked: PredictOptions, task: str) -> Any:
    """The protocol of a task that is asked for; of `localize` it has the threshold, too."""
    fields: dict[str, Any] = asked.fields()
    if asked.number is not None and task == "localize":
        fields["threshold"] = asked.number
    return protocols.load(asked.protocol or "single", task, PROTOCOLS[task], fields)


def _label(network: Network, asked: PredictOptions, task: str, names: Sequence[str]) -> int | None:
    """The class that all maps are of. `UsageError` for one that the network has not."""
    if asked.named is not None:
        return options.checked(explanations.index_of, asked.named, network.classes, names)
    if task != "defects":
        return None
    if network.classes == 2:
        return DEFECTIVE
    what = f"{network.name} tells {network.classes} classes apart; which of them is the defects'?"
    raise click.UsageError(f"--class is needed: {what}")


def write(
    settled: Settled, asked: PredictOptions, network: NetworkOptions,
    samples: Sequence[Sample], out: Path, device: str,
) -> None:  # fmt: skip
    """Predict the pictures that are not done; say what came out."""
    job = _job(settled, asked, samples, out, device)
    prediction = Prediction(job, settled.rule, asked.overlays, asked.save_maps)
    with holding.held(out):
        made = records.begin(out, *_described(settled, asked, network, job))
        before, todo = skips.read(out), predictions.left(prediction)
        done = len(samples) - len(todo)
        click.echo(f"{len(samples)} pictures{f', {done} of them done before' if done else ''}")
        with (
            records.Writer(out / "records", made.mark) as writer,
            printing.progress(len(samples), done, "picture") as bar,
        ):
            try:
                with stopping.patiently():
                    predictions.predict(prediction, todo, writer, bar.update)
            finally:
                writer.flush()
                if before or job.skips.rows:
                    skips.write(out, job.skips.standing(before, job.lacking("records")))
                skipped = {"skipped": len(job.skips.rows)} if job.skips.rows else {}
                made.finish(images=len(samples), records_written=writer.total, **skipped)
        table = predictions.summed(prediction, settled.names)
    if line := job.skips.told(out, len(samples)):
        click.echo(line, err=True)
    for line in told(table, settled, prediction):
        click.echo(line)


def _job(
    settled: Settled, asked: PredictOptions, samples: Sequence[Sample], out: Path, device: str
) -> Measurement[Any, None]:
    """The measurement that the loop is given: one cell of pictures of which nothing is known."""
    rule, network = settled.rule, settled.network
    workers = asked.workers or ranks.world().cores
    usual = BATCH.get(device.split(":")[0], BATCH["cpu"])
    few = len(samples) * views.VIEWS[rule.protocol.view]  # a batch is filled up, which takes time
    making = grids.plan(
        network, rule.protocol, [settled.cell], [asked.method], device,
        settled.views or min(usual, few), workers,
    )  # fmt: skip
    label = inputs.UNKNOWN if settled.label is None else settled.label
    labelled = tuple(replace(sample, label=label) for sample in samples)
    dataset = Dataset("pictures", out, settled.names, labelled, "")
    going_on = Skips(asked.on_error == "skip")
    cells = making.cells
    return Measurement(
        out, dataset, labelled, cells, rule.protocol, None, 0, making, skips=going_on
    )


def _described(
    settled: Settled, asked: PredictOptions, network: NetworkOptions, job: Measurement[Any, None]
) -> tuple[Identity, Invocation]:
    """What every picture of a folder has in common, and this call."""
    made, rule = settled.network, settled.rule
    what = {"method": job.cells[0].method, "layer": job.cells[0].layer}
    what |= {"variant": job.cells[0].variant, "class": _class(settled), **rule.plain()}
    identity = Identity(
        "predict", "", 0, made.name, made.sha256, made.preprocessing.name,
        records.plain(rule.protocol), made.table(), {"prediction": what},
    )  # fmt: skip
    said = records.plain(network) | records.plain(asked)
    place = {"name": "pictures", "root": str(job.out)}
    call = Invocation(said, place, job.plan.device, made.weights)
    call.plugins = maps.versions([asked.method])
    call.batch_size, call.workers = job.plan.batch_size, job.plan.workers
    call.numerics, call.classes = determinism.state(job.plan.device), settled.names
    return identity, call


def told(table: "pd.DataFrame", settled: Settled, prediction: Prediction) -> list[str]:
    """Lines on what came out: classes, empty masks, files."""
    counts = Counter(table["class"]).most_common()
    listed = ", ".join(f"{_named(settled.names, label)}: {n}" for label, n in counts[:SHOWN])
    rest = f", and {len(counts) - SHOWN} classes more" if len(counts) > SHOWN else ""
    lines = [f"classes of {len(table)} pictures: {listed}{rest}"] if settled.label is None else []
    if empty := int((table["area"] == 0).sum()):
        lines.append(f"nothing is marked in {empty} of {len(table)} pictures")
    folders = [str(prediction.job.out / kind) for kind in prediction.files("")]
    return [*lines, f"{', '.join(folders)}   scores: {prediction.job.out / predictions.SCORES}"]


def export(settled: Settled, out: Path) -> None:
    """Write ``network_<method>_<layer>.onnx``, checked by onnxruntime where that is installed."""
    from camx.camcore import exports

    network, cell, rule = settled.network, settled.cell, settled.rule
    protocol = records.plain(rule.protocol)
    try:
        made = exports.exportable(network, cell.method, cell.layers, protocol, settled.label)
        about = {
            "network": network.name, "weights_sha256": network.sha256, "method": cell.method,
            "layer": cell.layer, "class": _class(settled), "class_names": list(settled.names),
            "protocol": protocol, "threshold": rule.plain(),
        }  # fmt: skip
        path = out / f"network_{cell.method}_{cell.layer}.onnx"
        write_whole(path, partial(exports.write, made, about=about))
        apart = exports.difference(made, path)
    except ImportError as error:
        raise ValueError(f"--export onnx: {error}; pip install onnx onnxruntime") from None
    words = ", ".join(f"{name} {value:.1g}" for name, value in apart.items())
    click.echo(f"{path}: onnxruntime and torch differ by at most {words}")
