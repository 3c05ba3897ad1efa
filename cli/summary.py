"""What a run holds of a call's cells, printed when it ends: the paper's tables, then the others."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from camx.cli import printing
from camx.evaluators.records import Run
from camx.evaluators.tasks import Task

if TYPE_CHECKING:
    from camx.evaluators.loop import Measurement
    from camx.evaluators.results.tables import Table

FEW = 20  # cells whose further metrics are printed below their tables


def show(task: Task, job: "Measurement[Any, Any]", run: Run, tables: "Sequence[Table]") -> None:
    """Print what the run now holds of this call's tables, and of its other cells."""
    from camx.evaluators.results import filling, measures
    from camx.evaluators.results.runs import Measured

    outcomes = measures.outcomes(run.folder, task)
    numbers = measures.numbers(outcomes, task)
    shown = task.shown(job.options) if task.shown else []
    tables = [] if task.shown or not task.writes_records else tables
    filled = filling.fill(tables, {task.name: [Measured(run, numbers)]})
    for table in tables:
        printing.paper_table(table, filled)
    tabulated = {entry.cell for table in tables for entry in table.entries}
    cells = [cell for cell in job.cells if cell not in tabulated]
    metrics = shown or [metric.name for metric in task.metrics.values() if metric.shown]
    if cells:
        # Those without a layer are what cells are compared with, such as the images as they are.
        others = {*cells, *job.nulls}
        references = [cell for cell in outcomes if not cell.layers and cell not in others]
        printing.cells(task, [*references, *cells, *job.nulls], numbers, metrics, run)
        return
    told = {entry.metric for table in tables for entry in table.entries if entry.printed}
    told |= {metric for table in tables for metric in table.shown}
    judged = [metric.name for measure in job.measures for metric in measure.metrics]
    asked = judged if len(job.cells) > FEW else metrics
    further = [metric for metric in metrics if metric in asked and metric not in told]
    if further:
        printing.cells(task, [*job.cells, *job.nulls], numbers, further, run)
