"""``--submit``: a command handed to Slurm, or to this machine, as a job of several processes.

`submitit` is the extra ``slurm``, and imported where a job is submitted.
"""

import dataclasses
import functools
import io
import math
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TextIO

import click

from camx.cli import options
from camx.cli.jobs import JOB, Job
from camx.evaluators import environment, fields, ranks, stopping
from camx.evaluators.fields import Checked, choice, text, whole

if TYPE_CHECKING:
    import submitit

FOLDER = "submit"  # of a run's folder: logs, and what submitit keeps
TIME = "24:00:00"
RESUMED = 20  # times that a job which runs out of time goes on
LOCAL = 365 * 24 * 60  # minutes that a job of this machine may take, unless it is told
LIMITS = (  # of time, as sbatch takes them
    r"(?P<minutes>\d{1,6})(:(?P<seconds>\d\d))?",
    r"(?P<hours>\d{1,6}):(?P<minutes>\d\d):(?P<seconds>\d\d)",
    r"(?P<days>\d{1,4})-(?P<hours>\d\d?)(:(?P<minutes>\d\d)(:(?P<seconds>\d\d))?)?",
)


@dataclass(frozen=True, kw_only=True)
class SubmitOptions(Checked):
    """Where a command runs, if not here and now."""

    submit: str | None = choice(
        "slurm", "local", default=None,
        help="Run as a job of Slurm's, from a login node; local: of this machine's, waited for. "
        "The extra slurm; docs/cluster.md.",
    )  # fmt: skip
    nodes: int | None = whole(1, default=None, help="The job's machines.  [default: 1]")
    gpus_per_node: int | None = whole(
        1, default=None, help="A machine's GPUs, and processes.  [default: one process, no GPU]"
    )
    cpus_per_task: int | None = whole(
        1, default=None, help="A process's cores.  [default: Slurm's, often 1]"
    )
    partition: str | None = text(default=None, help="Slurm's partition.  [default: Slurm's]")
    time: str | None = text(
        default=None, metavar="LIMIT",
        help=f"Minutes, H:MM:SS or D-HH:MM:SS; the job then waits again and goes on, up to "
        f"{RESUMED} times.  [default: {TIME}]",
    )  # fmt: skip
    slurm: tuple[str, ...] = text(
        many="account=lab", default=(), metavar="KEY[=VALUE]",
        help="Any other option of sbatch, such as account=lab, mem=64G; repeats.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        minutes(self.time or TIME)
        given = [f.name for f in dataclasses.fields(self) if getattr(self, f.name)]
        if given and not self.submit:
            raise ValueError(f"{_option(given[0])} is a job's; add --submit slurm or local")
        if self.submit == "local" and (self.nodes or 1) > 1:
            what = "--submit local is this machine alone"
            raise ValueError(f"{what}, not --nodes {self.nodes}; accepted: --submit slurm")
        for pair in self.slurm:
            if not re.fullmatch(r"[a-z][a-z_-]*(=.+)?", pair):
                what = f"--slurm {pair!r} is not KEY or KEY=VALUE"
                raise ValueError(f"{what}; accepted: an option of sbatch without its dashes")

    @property
    def tasks_per_node(self) -> int:
        """The ranks of a machine."""
        return self.gpus_per_node or 1

    @property
    def about(self) -> str:
        """The job's size, for people."""
        nodes, each = self.nodes or 1, self.tasks_per_node
        what = f"{nodes} machine{'s' * (nodes > 1)} x {each} process{'es' * (each > 1)}"
        if self.submit == "local":
            return what
        return f"{what}, each with {'a' if self.gpus_per_node else 'no'} GPU"

    def parameters(self, name: str) -> dict[str, Any]:
        """What `submitit.AutoExecutor.update_parameters` is told; `name` is the job's."""
        further = dict(pair.partition("=")[::2] for pair in self.slurm)
        cores = [f"--cpus-per-task={self.cpus_per_task}"] if self.cpus_per_task else []
        limit = self.time or (TIME if self.submit == "slurm" else str(LOCAL))
        return {
            "name": name,
            "nodes": self.nodes or 1,
            "tasks_per_node": self.tasks_per_node,
            "gpus_per_node": self.gpus_per_node,
            "cpus_per_task": self.cpus_per_task,
            "timeout_min": minutes(limit),
            "slurm_partition": self.partition,
            # A dead rank ends the others, which would wait for it. Since Slurm 22.05 srun has to be
            # told sbatch's cores.
            "slurm_srun_args": ["--kill-on-bad-exit=1", *cores],
            "slurm_additional_parameters": {
                key.replace("-", "_"): value or True for key, value in further.items()
            },
        }


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def minutes(said: str) -> int:
    """A time limit as Slurm reads it, rounded up. `ValueError` saying what is accepted."""
    match = next(filter(None, (re.fullmatch(form, said) for form in LIMITS)), None)
    parts = match.groupdict("0") if match else {}
    total = timedelta(**{unit: int(number) for unit, number in parts.items()})
    if not total:
        what = "minutes, H:MM:SS or D-HH:MM:SS, such as 90, 12:00:00 or 2-00:00:00"
        raise ValueError(f"time is {said!r}; accepted: {what}")
    return math.ceil(total / timedelta(minutes=1))


def offered(after: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of `SubmitOptions` for a command that has ``--out``; a job's tasks ignore them.

    `after` is the command that follows it, with ``OUT`` for its folder.
    """
    names = [field.name for field in dataclasses.fields(SubmitOptions)]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def call(*instances: Any, **values: Any) -> Any:
            asked = options.checked(SubmitOptions, **{name: values.pop(name) for name in names})
            if not asked.submit or JOB in os.environ:
                return command(*instances, **values)
            name = "-".join(click.get_current_context().command_path.split())
            if values.get("dry_run"):
                command(*instances, **values)
                return click.echo(f"not submitted: {asked.submit}, {asked.about}")
            return submit(asked, name, values["out"], after)

        accepted = fields.of(SubmitOptions)
        for field in reversed(dataclasses.fields(SubmitOptions)):
            call = options.option(field, accepted[field.name], False)(call)
        return call

    return decorate


def submit(asked: SubmitOptions, name: str, out: Path, after: str) -> int:
    """Submit this command line and say how to follow it. A job of this machine is waited for.

    Returns the exit code: 0 for a job of Slurm's that waits now.
    """
    if (count := ranks.world().count) > 1:
        raise click.UsageError(f"--submit is one process's, but torchrun started {count}")
    words = tuple(environment.command_line())
    command = Job(words, Path.cwd(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    job = handed(command, str(asked.submit), out / FOLDER, asked.parameters(name))
    click.echo(f"job {job.job_id}: {asked.about}")
    folder = out / FOLDER
    click.echo(f"logs: {folder}/{job.job_id}_0_log.out and .err, of each process by number")
    if asked.submit == "local":
        return followed(job)
    click.echo(f"follow: squeue -j {job.job_id}; tail -F {quote(str(folder))}/{job.job_id}_0_log.*")
    if after:
        click.echo(f"then: {after.replace('OUT', quote(str(out)))}")
    return 0


def handed(
    command: Job, cluster: str, folder: Path, parameters: Mapping[str, Any]
) -> "submitit.Job[None]":
    """The job of a command. `ClickException` without submitit, without Slurm, or if it refuses."""
    try:
        import submitit
    except ImportError:
        what = "--submit needs submitit; pip install 'camx[slurm]'"
        raise click.ClickException(what) from None
    if cluster == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
        what = "--submit slurm needs sbatch and srun, as a login node has them"
        raise click.ClickException(f"{what}; they are not in this machine's PATH")
    executor = submitit.AutoExecutor(folder, cluster=cluster, slurm_max_num_timeout=RESUMED)
    executor.update_parameters(**parameters)
    try:
        with _quietly(cluster == "local"):
            return executor.submit(command)
    except RuntimeError as error:  # submitit's, with what sbatch said
        raise click.ClickException(f"not submitted: {' '.join(str(error).split())}") from None


@contextmanager
def _quietly(local: bool) -> Iterator[None]:
    """What sbatch says is kept for an error. Of processes of this machine submitit tells nothing,
    and Ctrl-C is for the one that waits for them, which passes it on.
    """
    from submitit.helpers import environment_variables

    if not local:
        with redirect_stderr(io.StringIO()):
            yield
        return
    earlier = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with environment_variables(SUBMITIT_LOG_LEVEL="CRITICAL"):
            yield
    finally:
        signal.signal(signal.SIGINT, earlier)


def followed(job: "submitit.Job[None]") -> int:
    """The exit code of a job of this machine; what its first process prints is printed meanwhile.

    A signal is passed on to its processes, which finish what is under way; a second one ends.
    """
    logs = ((job.paths.stdout, sys.stdout), (job.paths.stderr, sys.stderr))
    shown = {path: 0 for path, _ in logs}
    stopped: stopping.Stopped | None = None
    done = False
    while not done:
        try:
            done = job.done()
            for path, stream in logs:
                shown[path] += _passed_on(path, stream, shown[path])
            time.sleep(0 if done else 0.2)
        except stopping.Stopped as stop:
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(int(job.job_id), signal.SIGTERM)
            if stopped:
                raise
            stopped = stop
    if stopped:
        return stopped.code
    error = job.exception()
    codes = re.findall(r"Ended: (\d+)", str(error))
    return int(codes[-1]) if codes else int(error is not None)


def _passed_on(path: Path, stream: TextIO, start: int) -> int:
    """Print what a log holds from `start` on; how many bytes that is."""
    if not path.exists():
        return 0
    with path.open("rb") as log:
        log.seek(start)
        content = log.read()
    stream.write(content.decode(errors="replace"))
    stream.flush()
    return len(content)
