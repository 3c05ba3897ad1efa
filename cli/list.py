"""`camx list`: what can be named on the command line."""

import dataclasses
from dataclasses import dataclass

import click

from camx.camcore import plugins
from camx.cli import options, printing, tabular
from camx.evaluators.fields import Checked, text

KINDS = {
    "methods": "camx.camcore.methods",
    "models": "camx.camcore.models",
    "segmenters": "camx.camcore.segmenters",
    "datasets": "camx.evaluators.datasets",
    "measures": "camx.evaluators.measures",
    "tasks": "camx.evaluators.tasks",
}


@dataclass(frozen=True, kw_only=True)
class ListOptions(Checked):
    """Of what layers are listed."""

    model: str | None = text(
        default=None, metavar="MODEL", names="models", help="The network whose layers are listed."
    )


@click.command("list")
@click.argument("kind", type=options.Choice([*KINDS, "figures", "layers", "protocols", "tables"]))
@options.typed(ListOptions)
@tabular.form
@options.common
def command(listed: ListOptions, kind: str) -> None:
    """List the methods, models, tasks, datasets, protocols, tables or figures that options accept.

    `camx list layers --model NAME` lists the layers of a network.
    """
    model = listed.model
    if (kind == "layers") != bool(model):
        what = "needs --model NAME" if kind == "layers" else "takes no --model; `list layers` does"
        raise click.UsageError(f"camx list {kind} {what}")
    if model:
        layers(model)
    elif kind in KINDS:
        printing.table(plugins.describe(KINDS[kind]), ("name", "title", "source"), numbers=False)
        if kind == "datasets":
            layouts()
    elif kind == "tables":
        from camx.evaluators.results import tables

        rows = [(t.name, t.task.name, t.title) for t in map(tables.load, tables.names())]
        printing.table(rows, ("name", "command", "title"), numbers=False)
    elif kind == "figures":
        from camx.evaluators.results import figures

        drawn = [(f.name, f.task.name, f.title) for f in map(figures.load, figures.names())]
        printing.table(drawn, ("name", "command", "title"), numbers=False)
    else:
        protocols()


def layouts() -> None:
    """What each reader of a data set expects, and for what."""
    texts = plugins.constants(KINDS["datasets"])
    rows = [
        (name, said.get("TASK", "any"), said.get("LAYOUT") or "no folder")
        for name, said in texts.items()
    ]
    click.echo(err=not tabular.textual())
    printing.table(
        rows, ("name", "data for", "reads (--data FOLDER, or NAME:FOLDER)"), numbers=False
    )


def layers(model: str) -> None:
    """A network's layers: where each is, what it gives of one picture, and how."""
    printing.start(f"layers of {model}")
    from camx.camcore import anatomy

    network = anatomy.of(model)
    rows = []
    for name, layer in network.layers.items():
        place, shape = network.places[name], network.shapes.get(layer.activation, ())
        told = (str(layer.layout), f"{place.reduction:.3g}", place.sign) if place else ("", "", "")
        sides = " x ".join(map(str, shape))
        rows.append((name, layer.activation, sides, *told, layer.follower or ""))
    headers = ("layer", "module", "output", "layout", "reduction", "values", "next pool")
    printing.table(rows, headers, numbers=False)
    side = network.input_size
    click.echo(f"\nof a picture of {side} x {side} pixels; --layer also takes any module's path")


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
            click.echo(err=not tabular.textual())


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
