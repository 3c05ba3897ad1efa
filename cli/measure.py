"""`camx measure`: any task, camx's or one of your own: `camx measure FILE.py --help`."""

import click

from camx.cli import measuring, options, several
from camx.evaluators import tasks


class Tasks(click.Group):
    """Looks a task up by its name, ``FILE.py`` or ``module:object``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return tasks.names()

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        command = options.checked(measuring.command, name, name)
        command.short_help = tasks.load(name).plugin.object.TITLE
        return command


@several.together
@click.group("measure", cls=Tasks, options_metavar="", subcommand_metavar="TASK [OPTIONS]")
def command() -> None:
    """Measure by a TASK: a name below, an evaluator of your own as FILE.py, or module:object.

    docs/evaluators.md says what such a file holds.
    """
