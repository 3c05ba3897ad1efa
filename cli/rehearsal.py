"""``--dry-run``: what a run would measure, and the disk and the time that it would take.

The time is measured: the task's own loop runs on a few images, into a temporary folder.
"""

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import click

from camx.cli import measuring, recording
from camx.evaluators import records
from camx.evaluators.tasks import Task
from camx.evaluators.types import Cell

if TYPE_CHECKING:
    from camx.evaluators.loop import Measurement

SECONDS = 1.5  # of work that is timed, where there is so much
LONG = 10.0  # a first batch that takes as long is timed itself: starting is a small part of it
Missing = Mapping[str, set[Cell]]  # by image
T = TypeVar("T")
clock = time.perf_counter


@dataclass(frozen=True)
class Trial:
    """What `images` of a run took: seconds, and bytes by folder; `first` were made before them."""

    images: int
    seconds: float
    disk: Mapping[str, int]
    first: "Trial | None" = None

    def time(self, count: int) -> float:
        """The seconds that `count` images would take."""
        return self.seconds / self.images * count

    def room(self, count: int) -> dict[str, float]:
        """The bytes of `count` images by folder: what more images add, where their numbers differ.

        A file of a few records is mostly the file.
        """
        held, images = self.disk, self.images
        if not self.first or self.first.images == images:
            return {folder: size / images * count for folder, size in held.items()}
        few, more = self.first.disk, images - self.first.images
        each = {folder: (size - few.get(folder, 0)) / more for folder, size in held.items()}
        return {folder: size + each[folder] * (count - images) for folder, size in held.items()}


def tell(task: Task, request: measuring.Request) -> None:
    """Say what the run would do; its folder is only read, and refused as by the run."""
    job, _, _ = measuring.prepared(task, request)
    call = measuring.invocation(task, request, job)
    records.intended(request.out, measuring.identity(task, job), call)
    measuring.announce(job)
    missing, todo = recording.left(task, job)
    done = len(job.samples) - len(todo)
    click.echo(f"images  {len(job.samples)}, {done} of them recorded: {len(todo)} to do")
    if job.maps and todo:
        batch, crops = job.plan.batch, job.plan.view.crops
        batches = math.ceil(len(todo) / batch)
        click.echo(f"views   {crops * len(todo)}, {crops} an image: {batches} batches of {batch}")
    with TemporaryDirectory(prefix="camx-") as folder:
        for line in task.begin(replace(job, out=Path(folder) / "begun")):
            click.echo(line, err=True)
        trial = tried(task, job, todo, missing, Path(folder)) if todo else None
    _disk(job.out, trial.room(len(todo)) if trial else {})
    click.echo(f"time    {_time(trial, len(todo))}")
    rest = " and ".join(filter(None, (task.untimed, "the tables at the end")))
    click.echo(f"        not counted: {rest}\nnothing was written to {request.out}")


def tried(
    task: Task, job: "Measurement[Any, Any]", todo: Sequence[Any], missing: Missing, out: Path
) -> Trial:
    """A first batch that warms up, then more and more images, until they take long enough."""
    batch = job.plan.batch if job.maps else 1
    seen = first = trial(task, job, spread(todo, batch), missing, out / "first")
    count = batch * (1 if first.seconds > SECONDS else 2)
    while seen is first or (seen.seconds < SECONDS and seen.images < len(todo)):
        if first.seconds >= LONG:
            return first
        seen = trial(task, job, spread(todo, count), missing, out / str(count), first)
        count = batch * math.ceil(count / batch * max(2, SECONDS / max(seen.seconds, 1e-3)))
    return seen


def trial(
    task: Task,
    job: "Measurement[Any, Any]",
    samples: Sequence[Any],
    missing: Missing,
    out: Path,
    first: Trial | None = None,
) -> Trial:
    """Measure these samples into the folder `out`, as the run would into its own."""
    begun = clock()
    with records.Writer(out / task.folder(job.options)) as writer:
        recording.compute(task, replace(job, out=out), samples, missing, writer, lambda *_: None)
    seconds, disk = clock() - begun, dict[str, int]()
    for path in out.rglob("*.*"):
        if path.is_file():
            kind = path.relative_to(out).parts[0].partition("-")[0]  # nulls' are records too
            disk[kind] = disk.get(kind, 0) + path.stat().st_size
    return Trial(len(samples), seconds, disk, first)


def spread(items: Sequence[T], count: int) -> list[T]:
    """`count` of the items, from all over them; all if there are no more."""
    most = min(count, len(items))
    return [items[n * len(items) // most] for n in range(most)]


def _disk(out: Path, needed: Mapping[str, float]) -> None:
    place = next(path for path in (out, *out.absolute().parents) if path.exists())
    free, total = shutil.disk_usage(place).free, sum(needed.values())
    what = ", ".join(f"about {size(count)} of {kind}" for kind, count in needed.items())
    click.echo(f"disk    {what or 'none'}; {size(free)} free")
    if total > free:
        what = f"about {size(total)} are needed, {size(free)} are free"
        click.echo(f"warning: {place}: {what}; choose another --out, or make room", err=True)


def _time(trial: Trial | None, count: int) -> str:
    if not trial:
        return "none: all is recorded"
    each = trial.seconds / trial.images
    how = f"measured on {trial.images} image{'s' * (trial.images != 1)}"
    how += f", after {trial.first.images} to warm up" if trial.first else ", the first batch"
    return f"about {duration(trial.time(count))}: {each:.2g} s an image, {how}"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000 or unit == "GB":
            break
    return f"{count:.2g} {unit}" if count < 100 else f"{count:.0f} {unit}"


def duration(seconds: float) -> str:
    """Seconds for people: ``40 s``, ``12 min``, ``3 h 20 min``, ``2 days 5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    days, rest = divmod(hours, 24)
    if days:
        return f"{days} day{'s' * (days > 1)} {rest} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
