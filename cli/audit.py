"""`camx audit`: how far each convention moves each number and each rank, in one pass."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from camx.cli import fitting, measuring
from camx.evaluators import audit

if TYPE_CHECKING:
    from camx.evaluators.audit.moves import Summary
    from camx.evaluators.loop import Measurement

HEADERS = (
    "convention", "largest move", "of", "mean move", "rank changes", "order flips",
    "verdicts changed", "boxes changed %",
)  # fmt: skip


def finish(job: "Measurement[Any, Any]", progress: Any) -> list[str]:
    """What of the classifier `camx localize` says, the table of conventions, and a sentence."""
    from camx.evaluators.audit import moves
    from camx.evaluators.files import write_text

    said = list(TASK.finish(job, progress))
    table, summaries = moves.audited(job.out, audit.asked(job), job.seed)
    path = job.out / moves.FILE
    write_text(path, table.to_csv(index=False, float_format="%.6g"))
    if not summaries:
        return said
    heading = f"\nOne convention at a time from protocol {job.protocol.name}: {moves.LEADING}"
    said += [f"{heading}, moves in points", tabulated(summaries), moves.sentence(summaries)]
    return [*said, f"every cell and metric: {path}"]


def tabulated(summaries: "Iterable[Summary]") -> str:
    """A row for each convention."""
    rows = []
    for each in summaries:
        row = each.largest
        interval = f"[{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
        cell = " ".join(filter(None, (row["method"], row["layer"], row["variant"])))
        moves = [f"{row['delta']:+.2f} {interval}", cell, f"{each.mean:.2f}"]
        counts = [f"{each.ranks} of {each.cells}", f"{each.flips} of {each.pairs}"]
        counts += [f"{each.verdicts} of {each.pairs}", f"{each.boxes:.1f}"]
        rows.append([each.convention, *moves, *counts])
    sides = ["left", "right", "left", *["right"] * 5]
    return fitting.aligned(HEADERS, rows, sides)


TASK = audit.task()
command = measuring.made(replace(TASK, finish=finish), "audit")
