"""`camx report`: recorded runs as one page to look at."""

from dataclasses import dataclass
from pathlib import Path

import click

from camx.cli import options, printing
from camx.cli.shared import RunsOptions, pick_device
from camx.evaluators.fields import Checked, text, whole


@dataclass(frozen=True, kw_only=True)
class ReportOptions(Checked):
    """What the page shows."""

    images: int = whole(0, default=36, help="Images of the gallery, a sample; 0: no pictures.")
    device: str = text(default="auto", help="auto, cpu, cuda: what draws maps and times them.")


@click.command("report")
@options.typed(RunsOptions, ReportOptions)
@options.out("report")
@options.common
def command(runs: RunsOptions, shown: ReportOptions, out: Path) -> None:
    """Write OUT/index.html: tables, claims, plots, pictures and what determined them.

    One file that asks nobody for anything: it can be opened, mailed or archived as it is. What
    needs the runs' networks and images, which are loaded again, is left out where they are gone.

    \b
    camx report --runs results           after `camx demo` or a run of yours
    camx report --runs example           two networks on real photographs, without measuring
    """
    from camx.cli.tables import recorded_tasks
    from camx.evaluators import report

    device = pick_device(shown.device)
    gathered = report.Report(runs.runs, runs.data, runs.seed, device)
    tasks = recorded_tasks(runs.runs)
    with printing.progress(shown.images, 0) as bar:
        path = report.write(gathered, tasks, out, shown.images, tick=bar.update)
    for line in gathered.lacking:
        click.echo(f"not shown: {line}", err=True)
    click.echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB): open it in a browser")
