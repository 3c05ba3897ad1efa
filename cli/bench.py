"""`camx bench`: what maps cost on this machine, beside a bare pass and other packages."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camx.cli import options, printing, tabular
from camx.cli.shared import MINIATURE, pick_device
from camx.evaluators.fields import Checked, flag, path, text, whole

if TYPE_CHECKING:
    import pandas as pd

    from camx.evaluators.bench.turns import Timing


@click.group("bench", cls=options.Group)
def command() -> None:
    """Time what camx does on this machine: medians of runs that alternate in one process."""


@dataclass(frozen=True, kw_only=True)
class BenchOptions(Checked):
    """What each `camx bench` is told."""

    model: str = text(
        default="vgg16",
        names="models",
        help="Network; its weights are drawn, time does not depend on them.",
    )
    device: str = text(default="auto", help="auto, cpu, cuda, cuda:1, ...")
    batch_size: int = whole(1, default=8, help="Views a batch.")
    rounds: int = whole(1, default=5, help="Rounds after one that warms up.")
    seed: int = whole(0, default=0, help="Seed of drawn weights and pictures.")
    json: Path | None = path(default=None, help="Also write all seconds, and what they are of.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.json and self.json.is_dir():
            raise ValueError(f"--json is {self.json}, a folder; accepted: a file")


@dataclass(frozen=True, kw_only=True)
class EngineOptions(BenchOptions):
    """What `camx bench engine` is told besides."""

    channels_last: bool = flag(help="The same again with weights and images channels last.")


@dataclass(frozen=True, kw_only=True)
class PipelineOptions(BenchOptions):
    """What `camx bench pipeline` is told besides."""

    data: str = text(
        default=MINIATURE, names="datasets", help="Folder of a data set, or a name of `camx list`."
    )
    model: str = text(
        default="mini-vgg",
        names="models",
        help="Network, with the weights that camx ships, or else drawn ones.",
    )
    weights: str | None = text(default=None, names="files", help="Its weights, as FILE.")
    protocol: str = text(default="paper", names="protocols", help="How maps are made and scored.")
    batch_size: int = whole(1, default=20, help="Views a batch.")
    limit: int = whole(1, default=64, help="Only the first N images.")
    workers: int | None = whole(
        1, default=None, help="Threads that decode and that score.  [default: the cores]"
    )
    processes: bool = flag(help="End to end again, with worker processes for threads.")


@dataclass(frozen=True, kw_only=True)
class NumericsOptions(PipelineOptions):
    """What `camx bench numerics` is told besides."""

    protocol: str = text(default="single", names="protocols", help="How maps are made and scored.")
    computing: tuple[str, ...] = text(
        many="bf16", default=(), metavar="HOW",
        help="channels-last, tf32, bf16, fp16, or two, as bf16+channels-last; repeats.  [default: "
        "all that the device has but, on a CPU, fp16]",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PeerOptions(BenchOptions):
    """What `camx bench peers` is told besides."""

    frozen: bool = flag(help="Freeze the network's parameters for the others too.")


@command.command("engine")
@options.typed(EngineOptions)
@tabular.form
@options.common
def engine(asked: EngineOptions) -> None:
    """Five methods at all layers against one bare pass forward and backward.

    The bare pass goes back to the shallowest layer, without gradients of parameters. The maps are
    those of a batch, on the layers' grids, by the layers' own gradients and by those of the pools
    after them, where there are any.
    """
    printing.start(asked.model, f"{asked.rounds} rounds")
    from camx.evaluators.bench import engine, subjects

    device = pick_device(asked.device)
    network = subjects.network(asked.model, device, asked.seed)
    how = asked.batch_size, asked.rounds, asked.seed, device, asked.channels_last
    told(f"{network.name}, {len(network.layers)} layers, batch of {asked.batch_size}", device)
    timing = engine.measured(network, *how)
    shown(timing, "image", "x bare")
    kept(asked, timing, "image", device)


@command.command("pipeline")
@options.typed(PipelineOptions)
@tabular.form
@options.common
def pipeline(asked: PipelineOptions) -> None:
    """The maps' and the scoring's share of `camx localize`, in seconds an image.

    Maps alone: no decoding, no scoring. Scoring alone: every cell of the network's tables, in one
    thread, where a run has --workers. End to end: decoding, maps, scoring and writing, at once.
    """
    printing.start(asked.data, f"protocol {asked.protocol}, {asked.rounds} rounds")
    from camx.evaluators.bench import pipeline

    how, device = options.checked(pipeline.protocol, asked.protocol), pick_device(asked.device)
    job = pipeline.job(
        asked.data, asked.model, asked.weights, how, asked.limit, asked.batch_size,
        asked.workers or os.cpu_count() or 1, asked.seed, device, asked.processes,
    )  # fmt: skip
    network, cells = job.plan.network, len(job.cells) + len(job.nulls)
    what = f"{network.name} ({network.weights}), {len(job.samples)} images, {cells} cells"
    told(f"{what}, {job.plan.workers} workers", device)
    timing = pipeline.measured(job, asked.rounds)
    shown(timing, "image", "x end to end")
    kept(asked, timing, "image", device, images=len(job.samples), cells=cells)


@command.command("numerics")
@options.typed(NumericsOptions)
@tabular.form
@options.common
def numerics(asked: NumericsOptions) -> None:
    """What computing in another precision or layout gains, and what it does to maps and boxes.

    Of five methods at all layers, beside the default, float32 with channels first: the time of a
    batch; then, by layer, the share of the maps' pixels that move by more than one grey level, of
    the boxes that are others, their mean IoU with the default's, and the boxes that are right.
    """
    printing.start(asked.data, f"protocol {asked.protocol}, {asked.rounds} rounds")
    import pandas as pd

    from camx.evaluators import loop
    from camx.evaluators.bench import numerics, pipeline

    how, device = options.checked(pipeline.protocol, asked.protocol), pick_device(asked.device)
    each = options.checked(
        numerics.jobs, asked.data, asked.model, asked.weights, how, asked.limit, asked.batch_size,
        asked.workers or os.cpu_count() or 1, asked.computing, asked.seed, device,
    )  # fmt: skip
    job = each[numerics.DEFAULT]
    network, count = job.plan.network, len(job.samples)
    told(f"{network.name} ({network.weights}), {count} images, {len(job.cells)} cells", device)
    first = next(loop.batches(job, job.samples, lambda: None))
    timing = numerics.measured(each, asked.rounds, first)
    shown(timing, "image", "x default")
    rows = pd.DataFrame(numerics.rows(each))
    click.echo("")
    moved(rows)
    effects = numerics.effects(rows).reset_index().to_dict("records")
    kept(asked, timing, "image", device, images=count, cells=len(job.cells), effects=effects)


def moved(rows: "pd.DataFrame") -> None:
    """A table of what became of maps and boxes, and a line on the network's first choices."""
    from camx.evaluators.bench import numerics

    effects = numerics.effects(rows)
    lines = [
        (*key, f"{e.pixels:.3f}", f"{e.box:.2f}", f"{e.overlap / 100:.4f}", f"{e.default:.2f}",
         f"{e.hit:.2f}") for key, e in zip(effects.index, effects.itertuples())
    ]  # fmt: skip
    heads = "computing", "layer", "pixels, %", "boxes, %", "IoU", "GT-known", "is then"
    printing.table(lines, heads)
    for name, changed in rows.groupby("computing", sort=False)["first"]:
        share = f"{100 * changed.mean():.2f} % of the images"
        click.echo(f"{name}: the network's first choice is another for {share}")


@command.command("peers")
@options.typed(PeerOptions)
@tabular.form
@options.common
def peers(asked: PeerOptions) -> None:
    """The time of a map of camx's, grad-cam's, torchcam's and captum's.

    The others make a pass for each method and layer, on a network whose parameters ask for
    gradients, as their own examples do; --frozen is their best case. camx makes the maps of the
    same methods of one pass, as uint8 on the view.
    """
    printing.start(asked.model, f"{asked.rounds} rounds")
    from camx.evaluators.bench import peers, subjects

    there = peers.installed()
    if not there:
        raise click.ClickException(f"no other package to compare with; {peers.absent(there)}")
    device = pick_device(asked.device)
    network = subjects.network(asked.model, device, asked.seed)
    told(f"{network.name}, {len(network.layers)} layers, batch of {asked.batch_size}", device)
    if lacking := peers.absent(there):
        click.echo(lacking, err=True)
    how = asked.batch_size, asked.rounds, asked.seed, device, asked.frozen
    timing = peers.measured(network, there, *how)
    shown(timing, "map", "x camx")
    kept(asked, timing, "map", device, packages=peers.versions(there))


def told(what: str, device: str) -> None:
    """A line before the wait: what is timed, and on what."""
    import torch

    click.echo(f"{what}; {device}, {torch.get_num_threads()} threads")


def shown(timing: "Timing", unit: str, against: str) -> None:
    """A table of the medians, a line for each thing that was timed."""
    each, ratios = timing.each, timing.ratios
    rows = [(name, f"{1000 * each[name]:.2f}", f"{ratios[name]:.2f}") for name in timing.seconds]
    printing.table(rows, ("", f"ms a{'n' if unit[0] in 'aeiou' else ''} {unit}", against))


def kept(asked: BenchOptions, timing: "Timing", unit: str, device: str, **further: Any) -> None:
    """All that was measured, in the file that was asked for."""
    from camx.evaluators import environment, files, records
    from camx.evaluators.bench import subjects

    if not asked.json:
        return
    content = {
        "command_line": environment.command_line(), "options": records.plain(asked),
        **subjects.machine(device), **further, "unit": unit, **timing.plain(),
    }  # fmt: skip
    files.write_json(asked.json, content)
    click.echo(f"seconds: {asked.json}")
