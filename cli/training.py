"""What the training commands share: options, a run's folder opened, and training with progress."""

import dataclasses
import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from camx.camcore import plugins
from camx.cli import options, printing
from camx.evaluators import determinism, holding, records, stopping
from camx.evaluators.fields import Checked, choice, flag, text, whole
from camx.evaluators.ranks import ALONE, Ranks, world
from camx.evaluators.records import Identity, Invocation, Run
from camx.evaluators.types import Dataset

if TYPE_CHECKING:
    from camx.camcore.networks import Start
    from camx.evaluators.training import Job, Row


class Machine(TypedDict):
    seed: int
    device: str
    workers: int
    accumulate: int


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(Checked):
    """What every training is told besides its recipe."""

    model: str | None = text(
        default=None,
        names="models",
        help="Network: a name of `camx list models`, or FILE.py.  [default: the "
        "paper's; the miniature's own on the miniature]",
    )
    init: str | None = text(
        default=None,
        names="files",
        help="First weights: torchvision's name, a file, or none.  [default: the network's]",
    )
    preprocessing: str = choice(
        "paper", "model", "caffe", default="paper",
        help="Of pixels. paper: Caffe's for VGG16's and ResNet101's weights from a file, unless "
        "they show or are known to be torchvision's; model: torchvision's; caffe: Caffe's.",
    )  # fmt: skip
    download: bool = flag(help="Let torchvision fetch weights that are not in its cache.")
    device: str = text(default="auto", help="auto, cpu, cuda, cuda:1, ...")
    workers: int | None = whole(1, default=None, help="Threads that decode.  [default: the cores]")
    accumulate: int = whole(
        1, default=1, help="Micro-batches that a process makes of its share of a step's images."
    )
    seed: int = whole(0, default=0, help="Seed of everything drawn at random.")
    deterministic: bool = flag(help="On CUDA too, only algorithms that repeat their bits.")

    def machine(self, device: str) -> "Machine":
        """Where a job runs, and the seed of what it draws."""
        if self.deterministic:
            determinism.enforce()
        workers = self.workers or world().cores
        return {
            "seed": self.seed, "device": device, "workers": workers, "accumulate": self.accumulate
        }  # fmt: skip


def train(
    command: str,
    out: Path,
    asked: Mapping[str, Any],
    dataset: Dataset[Any],
    start: "Start",
    recipe: Any,
    job: "Job",
    ranks: Ranks = ALONE,
    **further: Any,
) -> "list[Row]":
    """Train to the end, from where the run's folder stands; returns the log's rows.

    `asked` are the command's options, `further` what else determines the weights. Of several
    `ranks` the first opens the run and prints.
    """
    settings = records.plain(dataclasses.replace(recipe, precision=job.precision))
    further = {"init": {"sha256": start.sha256}, "recipe": settings, **further}
    further["parts"] = job.parts  # each of them has random numbers of its own
    identity = Identity(command, dataset.fingerprint, job.seed, start.name, further=further)
    if asked["preprocessing"] != "paper":
        identity = dataclasses.replace(identity, preprocessing=start.preprocessing.name)
    how = f"{job.steps} steps of {recipe.batch}, {job.precision} on {job.device}"
    click.echo(f"{start.name} from {start.init}, {start.preprocessing.name} preprocessing; {how}")
    if start.sha256:
        click.echo(_adopted(start))
    said, place = records.plain(dict(asked)), records.place(dataset)
    call = Invocation(said, place, job.device, start.init, workers=job.workers)
    call.classes, call.numerics = dataset.classes, determinism.state(job.device)
    if notice := determinism.notice(job.device):
        click.echo(notice)
    job = dataclasses.replace(job, title=f"{start.name} on {dataset.name}")
    with ExitStack() as stack:
        return _fit(job, out, opened(out, identity, call, ranks, stack), ranks)


def opened(
    out: Path, identity: Identity, call: Invocation, ranks: Ranks, stack: ExitStack
) -> Run | None:
    """The run, opened by the first of the ranks; the others have none, and end where it fails.

    Its folder is held until the stack is closed.
    """

    def first() -> Run:
        stack.enter_context(holding.held(out))
        return records.begin(out, identity, call)

    return ranks.each(lambda: first() if ranks.first else None)


def divided(recipe: Any, asked: TrainingOptions, ranks: Ranks) -> None:
    """`UsageError` where a step's images do not divide among the processes."""
    from camx.evaluators import training

    options.checked(training.micro_batches, recipe.batch, asked.accumulate, ranks)


def _adopted(start: "Start") -> str:
    """What the first weights' file does not hold, and what of it is not used."""
    from camx.camcore.adoption import listed

    new, unused = (listed(names) or "nothing" for names in (start.new, start.unused))
    return f"new: {new}; not used of {start.init.partition(':')[0]}: {unused}"


def _fit(job: "Job", out: Path, run: Run | None, ranks: Ranks) -> "list[Row]":
    """Train with progress; the run says how many steps were done, whatever ended them."""
    from camx.evaluators import training

    done = 0  # a bar that is not shown does not count
    with printing.progress(job.steps, 0, "step") as bar:

        def tick(steps: int, line: str) -> None:
            nonlocal done
            done += steps
            bar.set_postfix_str(line, refresh=False)
            bar.update(steps)

        try:
            with stopping.patiently():
                return training.fit(job, out, tick, ranks)
        finally:
            if run:
                run.finish(steps=done)


def trained(weights: str | Path | None, package: str = "camx.camcore.models") -> Run | None:
    """The run beside the weights that trained a network of `package`, if there is one.

    `UsageError` for a network of a user's file: what ``run.json`` names is not imported unasked.
    """
    run = records.beside(weights)
    trainers = "segment train" if package.endswith("segmenters") else "train "
    if not run or not run.model or not run.command.startswith(trainers):
        return None
    if not _named(run.model, package):
        file = shlex.quote(str(run.last.get("options", {}).get("model") or "FILE.py"))
        what = f"{weights} are of {run.model!r}, a network of a user's own"
        raise click.UsageError(f"--model is needed: {what}; its run.json says --model {file}")
    return run


def _named(model: str, package: str) -> bool:
    """Whether a name alone says which network it is."""
    return model in plugins.names(package) or bool(plugins.reference(model)[0])


def announce_next(command: str, asked: TrainingOptions, out: Path, **named: object) -> None:
    """Print the command that goes on with the weights, as a shell takes it.

    A network that `trained` does not find is named.
    """
    words = ["camx", *command.split()]
    named |= {"weights": out / "last.safetensors"}
    package = f"camx.camcore.{'segmenters' if command.startswith('segment') else 'models'}"
    if asked.model and not _named(asked.model.lower().replace("_", "-"), package):
        named |= {"model": asked.model}
    for name, value in named.items():
        words += [f"--{name}", str(value)]
    click.echo(f"next: {shlex.join(words)}")


def log(rows: "list[Row]", out: Path) -> None:
    """Print the log, and where the weights are."""
    columns = [key for key in rows[-1] if key != "step"]
    printing.table([[f"{row[c]:.4g}" for c in columns] for row in rows], columns)
    click.echo(f"\nbest: {out / 'best.safetensors'}   last: {out / 'last.safetensors'}")
