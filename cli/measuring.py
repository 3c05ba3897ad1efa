"""A measuring command made from a task: load, choose cells, open the run, measure, sum up."""

import dataclasses
import inspect
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camx.cli import options, printing, recording, several, shared, submission, summary, training
from camx.cli.shared import CellOptions, DataOptions, NetworkOptions, ProtocolOptions
from camx.evaluators import (
    blacklist,
    datasets,
    determinism,
    draws,
    nulls,
    protocols,
    ranks,
    records,
    tasks,
)  # fmt: skip
from camx.evaluators.fields import BadOption
from camx.evaluators.files import digest
from camx.evaluators.ranks import Ranks
from camx.evaluators.records import Identity, Invocation, Run
from camx.evaluators.tasks import Task
from camx.evaluators.types import Cell, Dataset, MapProtocol, arithmetic

if TYPE_CHECKING:
    from camx.camcore.networks import Network
    from camx.evaluators.grids import Plan
    from camx.evaluators.loop import Measurement
    from camx.evaluators.results.tables import Table

SHOWN = "target", "precision", "channels_last"  # of the fields of every map: options, too
BATCH = {"cpu": 20, "cuda": 100}  # views; on a CPU more are no faster, on a GPU they are


@dataclass(frozen=True)
class Request:
    """What the command line said; `given` are the protocol's fields that have an option."""

    out: Path
    further: Any
    given: Mapping[str, Any]
    data: DataOptions
    network: NetworkOptions = NetworkOptions()
    protocol: ProtocolOptions = ProtocolOptions()
    cells: CellOptions = CellOptions()
    machine: shared.MachineOptions = shared.MachineOptions()


def command(reference: str, name: str = "") -> click.Command:
    """The measuring command of a task (a name or file), called `name` on the command line."""
    return made(tasks.load(reference), name)


def made(task: Task, name: str = "") -> click.Command:
    """The measuring command of a task as it was loaded."""
    kinds = (DataOptions, NetworkOptions, ProtocolOptions, CellOptions, shared.MachineOptions)
    without = {field.name for field in dataclasses.fields(MapProtocol)} - set(SHOWN)
    fields = [f.name for f in dataclasses.fields(task.protocol) if f.name not in without]

    @click.command(name or task.name, help=inspect.cleandoc(task.help or ""))
    @options.typed(task.options, *(kinds if task.network else kinds[:1]))
    @options.overrides(task.protocol, fields)
    @click.option("--dry-run", is_flag=True, help="Only say what would be measured, and how long.")
    @options.config
    @options.common
    @options.out(task.out)
    @submission.offered("camx tables --runs OUT")
    def measuring(
        further: Any, *common: Any, given: Mapping[str, Any], out: Path, dry_run: bool
    ) -> None:
        from camx.cli import rehearsal

        request = Request(out, further, given, *common)
        printing.start(request.data.data, request.protocol.about if task.network else "")
        if not dry_run:
            measure(task, request)
        elif ranks.world().first:
            rehearsal.tell(task, request)

    return several.together(options.unique(measuring))


def measure(task: Task, request: Request) -> None:
    """Measure what is asked for and not recorded yet, and sum up what the run then holds.

    Of the processes that ``torchrun`` started each measures its part, and the first sums up.
    """
    with ranks.joined("cpu", ranks.PATIENCE) as joined, ExitStack() as stack:
        job, tables, dropped = joined.each(lambda: prepared(task, request))
        task = options.checked(tasks.judged_by, task, job.measures)
        call = invocation(task, request, job)
        call.processes = joined.count
        run = opened(task, job, call, joined, stack)
        if joined.first:
            blacklist.leave_out(request.out, dropped)
            for line in task.begin(job):
                click.echo(line, err=True)
            announce(job)
        recording.record(task, job, run, joined)
        if not joined.first:
            return
        for line in task.doubts(job):
            click.echo(f"warning: {line}", err=True)
        lines = task.finish(job, printing.progress)
    if not request.data.summary:
        return
    summary.show(task, job, run, tables)
    for line in lines:
        click.echo(line)
    folder, described = job.out / task.folder(job.options), job.out / "run.json"
    click.echo(f"records: {folder}   what determined them: {described}")


def opened(
    task: Task, job: "Measurement", call: Invocation, joined: Ranks, stack: ExitStack
) -> Run:
    """The run, opened by the first of the processes, as each sees it.

    Raises `ValueError` where one measures something else, or does not see its folder.
    """
    who = identity(task, job)
    images = [sample.image_id for sample in (*job.samples, *job.others)]
    asked = records.plain([who.plain(), images, [*map(str, job.cells)]])
    other = "reads other data, weights or options than the first one"
    joined.agreed(other, digest([str(asked).encode()]))
    begun = training.opened(job.out, who, call, joined, stack)

    def seen() -> Run:
        if not (job.out / "run.json").is_file():
            what = "the first one's run.json is not seen here"
            raise ValueError(f"{job.out}: {what}; --out must be a folder that all of them share")
        return records.load(job.out)

    return joined.each(lambda: begun or seen())


def prepared(task: Task, request: Request) -> "tuple[Measurement, list[Table], list[str]]":
    """What is to be measured, the tables that its cells come from, the images left out."""
    from camx.evaluators.loop import Measurement
    from camx.evaluators.skips import Skips

    options.checked(task.check, request.further, list(request.given))
    protocol = options.checked(
        protocols.load, request.protocol.name, task.command, task.protocol,
        options.settled(request.given, request.protocol.fields),
    )  # fmt: skip
    data = request.data
    if task.trainer and data.data != shared.MINIATURE and not request.network.weights:
        trainer = f"`camx {task.trainer} --data {data.data}` makes a network for it"
        raise click.UsageError(f"--weights is needed: {trainer}")
    device = shared.pick_device(request.network.device) if task.network else "cpu"
    device = ranks.world().device(device)
    if request.machine.deterministic:
        determinism.enforce()
    with options.usage(BadOption):
        dataset = task.read(data.data, request.further, data.seed)
    dropped: list[str] = []
    if data.blacklist:
        every = {sample.image_id: None for sample in dataset.samples}
        dataset = datasets.without(dataset, data.blacklist)
        dropped = [*(every.keys() - {sample.image_id for sample in dataset.samples})]
        click.echo(f"{data.blacklist}: {len(dropped)} images left out")
    with options.usage(BadOption):
        judges = task.judges(request.further, dataset)
        other = task.others(data.data, request.further, dataset)
    plan, cells, tables = _planned(task, request, dataset, protocol, device)
    cells = options.checked(task.cells, cells, request.further, protocol)
    options.checked(nulls.check, {cell.method for cell in cells})
    if plan:
        maps = tuple(dict.fromkeys(cell.map for cell in cells))
        plan = dataclasses.replace(plan, cells=maps)
    parts = task.parts(dataset, request.further)
    size = data.sample, data.limit, data.seed
    samples = tuple(sample for part in parts for sample in draws.pick(part, *size))
    others = tuple(draws.pick(other.samples, *size)) if other else ()
    return Measurement(
        request.out, dataset, samples, tuple(cells), protocol, request.further, data.seed, plan,
        request.network.weights, request.machine.save_maps or "", Skips(data.on_error == "skip"),
        tuple(map(Cell, task.nulls)), judges, others, other.fingerprint if other else "",
    ), tables, sorted(dropped)  # fmt: skip


def load(asked: NetworkOptions, data: Dataset[Any], preprocessing: str, device: str) -> "Network":
    """The network named, or what the weights' run trained, or the data set's."""
    from camx.camcore import networks

    run = None if asked.model else training.trained(asked.weights)
    model = asked.model or (run and run.model) or data.model
    network = networks.load(model, asked.weights, preprocessing, device, asked.download)
    if len(data.classes) != network.classes:
        told = f"{network.name} with {network.weights} tells {network.classes} classes apart"
        needed = f"{data.root} has {len(data.classes)}; choose a matching --model or --weights"
        raise ValueError(f"{told}, but {needed}")
    return network


def _planned(
    task: Task, request: Request, dataset: Dataset[Any], protocol: Any, device: str
) -> "tuple[Plan | None, list[Cell], list[Table]]":
    """How maps are made, the cells asked for, the tables that hold them; of a task with maps."""
    if not task.network:
        return None, [], []
    from camx.evaluators import grids, plan, workers

    asked, machine = request.cells, request.machine
    count = machine.workers or ranks.world().cores
    processes = options.checked(workers.begun, machine.workers_as, count, device)
    network = load(request.network, dataset, protocol.preprocessing, device)
    selection = plan.Selection(asked.methods, asked.layers, asked.variants, asked.tables)
    cells, tables = options.checked(plan.asked, task, network, protocol.style, selection)
    views = BATCH.get(device.split(":")[0], BATCH["cpu"])
    maps = options.checked(
        grids.plan, network, protocol, cells, asked.methods, device,
        batch_size=machine.batch_size or views, workers=count, processes=processes,
    )  # fmt: skip
    usual = protocols.load("paper", task.command, task.protocol)
    options.checked(plan.check_names, protocol, usual, network, list(maps.cams))
    return maps, cells, tables


def identity(task: Task, job: "Measurement") -> Identity:
    """What must not change between two invocations into one folder."""
    network = job.maps.network if job.maps else None
    return Identity(
        command=task.command,
        fingerprint=job.dataset.fingerprint,
        seed=job.seed,
        model=network.name if network else None,
        weights_sha256=network.sha256 if network else None,
        preprocessing=network.preprocessing.name if network else None,
        protocol=records.plain(job.protocol),
        layers=network.table() if network else None,
        further=task.identity(job),
    )


def invocation(task: Task, request: Request, job: "Measurement") -> Invocation:
    """One call of a measuring command as ``run.json`` keeps it."""
    from camx.camcore import maps
    from camx.evaluators import kinds

    asked = (request.data, request.network, request.protocol, request.cells, request.machine)
    said = [records.plain(part) for part in (*asked, request.further)]
    said.append(records.plain(dict(request.given)))
    options = {k: v for part in said for k, v in part.items()} | {"out": str(request.out)}
    plugins = dict(task.versions(job))
    place = records.place(job.dataset) | {"kind": kinds.kind(job.dataset)}
    call = Invocation(options, place, "cpu", plugins=plugins)
    if job.maps:
        plugins |= maps.versions(request.cells.methods)
        call.device, call.weights = job.maps.device, job.maps.network.weights
        call.batch_size, call.workers = job.maps.batch_size, job.maps.workers
        call.numerics = determinism.state(job.maps.device)
    plugins |= {m.name: m.plugin.sha256() for m in job.measures if not m.plugin.shipped}
    if not task.plugin.shipped:
        call.task = task.reference
        if task.writes_records:
            plugins[task.name] = task.plugin.sha256()
    return call


def announce(job: "Measurement") -> None:
    """Lines before the wait: what is measured, on what, and how; what else is waited for."""
    for line in filter(None, (measure.notice() for measure in job.measures)):
        click.echo(line, err=True)
    what = f"{job.dataset.name}: {len(job.samples)} images"
    if job.maps is None:
        click.echo(f"{what}; {', '.join(map(str, job.cells))}")
        return
    network, protocol = job.maps.network, job.protocol
    how = f"{network.weights}, {network.preprocessing.name} preprocessing"
    click.echo(f"{what}; {network.name} ({how})")
    nothing = f", and {', '.join(map(str, job.nulls))}" if job.nulls else ""
    views = f"{protocol.view} view, gradient {protocol.gradient}"
    if computed := arithmetic(dataclasses.asdict(protocol)):
        views += f", {computed}"
    click.echo(f"protocol {protocol.name}: {views}; {len(job.cells)} cells{nothing}")
    if notice := determinism.notice(job.maps.device):
        click.echo(notice)
