"""`camx list`: what can be named on the command line."""

import click

from cli import options, printing

KINDS = {"methods": "camcore.methods", "models": "camcore.models", "datasets": "evaluators.datasets"}


@click.command("list")
@click.argument("kind", type=click.Choice([*KINDS, "protocols", "tables"]))
@options.debug
def command(kind: str) -> None:
    """List the methods, models, datasets, protocols or tables that options accept."""
    if kind in KINDS:
        from camcore import plugins

        printing.table(plugins.describe(KINDS[kind]), ("name", "title", "source"))
    elif kind == "tables":
        from evaluators import tables

        found = [tables.load(name) for name in tables.names()]
        printing.table([(t.name, t.command, t.title) for t in found], ("name", "command", "title"))
    else:
        from evaluators import protocols

        fields = [vars(protocols.load(name)) for name in protocols.names()]
        printing.table([(n, *(p[n] for p in fields)) for n in fields[0] if n != "name"], ("field", *(p["name"] for p in fields)))
