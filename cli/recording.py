"""Records of what is asked for and not recorded yet, by one process or by each its part."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from camx.cli import printing
from camx.evaluators import records, stopping
from camx.evaluators.ranks import ALONE, Ranks
from camx.evaluators.records import Run
from camx.evaluators.tasks import Task

if TYPE_CHECKING:
    from camx.evaluators.loop import Measurement
    from camx.evaluators.skips import Skips


def record(task: Task, job: "Measurement", run: Run, ranks: Ranks = ALONE) -> None:
    """Write the records that the run lacks, with progress; its ``run.json`` says what was done.

    Of several `ranks` each measures its part of the images into parts of its own, and the first
    writes the rest. Which images are left is what the first one sees: the others may see a shared
    folder as it was. An image of which any record is missing is measured by one of them.
    """
    from camx.evaluators import skips

    kind, before = task.folder(job.options), skips.read(job.out)
    missing, todo = left(task, job)
    other, count = job.choosing(), len(job.samples)
    of_other = other.unmeasured_samples()
    every, done = count + len(job.others), count - len(todo) + len(job.others) - len(of_other)
    if done:
        click.echo(f"{done} of {every} images done before")
    todo, of_other = shared(ranks, job.samples, todo), shared(ranks, job.others, of_other)
    shown = (every, done) if ranks.count == 1 else (len(todo) + len(of_other), 0)
    with records.Writer(job.out / kind, run.mark) as writer, printing.progress(*shown) as bar:
        written = 0
        try:
            with stopping.patiently():
                compute(task, job, todo, missing, writer, bar.update)
                if of_other:
                    compute(task, other, of_other, {}, writer, bar.update)
            writer.flush()
            written = together(ranks, writer, job.skips)
        finally:
            writer.flush()
            if ranks.first:
                if before or job.skips.rows:
                    skips.write(job.out, job.skips.standing(before, job.lacking(kind)))
                skipped = {"skipped": len(job.skips.rows)} if job.skips.rows else {}
                run.finish(images=count, records_written=written or writer.total, **skipped)
    if ranks.first and (line := job.skips.told(job.out, count)):
        click.echo(line, err=True)


def shared(ranks: Ranks, samples: Sequence[Any], todo: Sequence[Any]) -> list[Any]:
    """This process's part of the samples that the first one has to do."""
    if ranks.count == 1:
        return list(todo)
    ids = set(ranks.told([sample.image_id for sample in todo]))
    return ranks.part([sample for sample in samples if sample.image_id in ids])


def together(ranks: Ranks, writer: records.Writer, skipped: "Skips") -> int:
    """How many records all processes wrote, once they are done; what they skipped is entered."""
    totals = ranks.gathered((writer.total, skipped.rows))
    for _, rows in totals:
        skipped.rows.update(rows)
    return sum(total for total, _ in totals)


def left(task: Task, job: "Measurement") -> tuple[dict[str, set[Any]], list[Any]]:
    """The cells that each image has no record of, and the images with any, or a map to save."""
    from camx.evaluators import loop

    missing = job.lacking(task.folder(job.options))
    kinds = [missing, loop.unsaved_maps(job), task.unsaved(job), *job.unmeasured().values()]
    return missing, [s for s in job.samples if any(kind.get(s.image_id) for kind in kinds)]


def compute(
    task: Task,
    job: "Measurement",
    samples: Sequence[Any],
    missing: Mapping[str, set[Any]],
    writer: records.Writer,
    tick: Callable[[], Any],
) -> None:
    """The missing cells of these samples, by the task's own loop or the common one."""
    from camx.evaluators import loop

    if task.loop:
        task.loop(job, samples, missing, writer, tick)
    elif task.grade:
        loop.measure(job, task.graded, samples, missing, writer, tick)
