"""`camx list`: what can be named on the command line."""

import click

from cli import options, printing

KINDS = {"methods": "camcore.methods", "models": "camcore.models", "segmenters": "camcore.segmenters", "datasets": "evaluators.datasets"}


@click.command("list")
@click.argument("kind", type=click.Choice([*KINDS, "protocols", "tables"]))
@options.debug
def command(kind: str) -> None:
    """List the methods, models, segmenters, datasets, protocols or tables that options accept."""
    if kind in KINDS:
        from camcore import plugins

        printing.table(plugins.describe(KINDS[kind]), ("name", "title", "source"), numbers=False)
    elif kind == "tables":
        from evaluators import tables

        found = [tables.load(name) for name in tables.names()]
        printing.table([(t.name, t.command, t.title) for t in found], ("name", "command", "title"), numbers=False)
    else:
        from evaluators import protocols
        from evaluators.types import PROTOCOLS

        for command in PROTOCOLS:
            found_protocols = [protocols.load(name, command=command) for name in protocols.names()]
            rows = [(f, *(_plain(getattr(p, f)) for p in found_protocols)) for f in vars(found_protocols[0]) if f != "name"]
            printing.table(rows, (command, *(p.name for p in found_protocols)), numbers=False)
            click.echo()


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
