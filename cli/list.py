"""`camx list`: what can be named on the command line."""

import dataclasses

import click

from camx.camcore import plugins
from camx.cli import options, printing

KINDS = {
    "methods": "camx.camcore.methods",
    "models": "camx.camcore.models",
    "segmenters": "camx.camcore.segmenters",
    "datasets": "camx.evaluators.datasets",
    "tasks": "camx.evaluators.tasks",
}


@click.command("list")
@click.argument("kind", type=options.Choice([*KINDS, "protocols", "tables"]))
@options.common
def command(kind: str) -> None:
    """List the methods, models, tasks, datasets, protocols or tables that options accept."""
    if kind in KINDS:
        printing.table(plugins.describe(KINDS[kind]), ("name", "title", "source"), numbers=False)
    elif kind == "tables":
        from camx.evaluators.results import tables

        rows = [(t.name, t.task.name, t.title) for t in map(tables.load, tables.names())]
        printing.table(rows, ("name", "command", "title"), numbers=False)
    else:
        protocols()


def protocols() -> None:
    """Each task's fields, their values by protocol, and what they accept."""
    from camx.evaluators import fields, tasks
    from camx.evaluators import protocols as shipped

    for task in (tasks.load(name) for name in tasks.names()):
        columns = [shipped.load(name, task.name, task.protocol) for name in shipped.names()]
        accepted, rows = fields.of(task.protocol), []
        for field in dataclasses.fields(task.protocol):
            if field.name != "name":
                values = [_plain(getattr(protocol, field.name)) for protocol in columns]
                words = field.metadata.get("help", "")
                if source := field.metadata.get("source"):
                    words += f" [{source}]"
                rows.append((field.name, *values, f"{words} ({accepted[field.name].words})"))
        if rows:
            names = [protocol.name for protocol in columns]
            printing.table(rows, (task.name, *names, "what it is (what it accepts)"), numbers=False)
            click.echo()


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
