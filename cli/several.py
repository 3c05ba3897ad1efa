"""Commands that the processes of ``torchrun`` do together, and those that one process does."""

from typing import TypeVar

import click

from camx.evaluators import ranks

Marked = TypeVar("Marked", bound=click.Command)


def together(command: Marked) -> Marked:
    """Mark a command that the processes of ``torchrun`` do together; see `alone`."""
    command.several = True  # type: ignore[attr-defined]
    return command


def alone(ctx: click.Context) -> None:
    """Refuse a group's command that is not for `several` where ``torchrun`` started more than one.

    Each process would do the whole of it, into one folder.
    """
    if (count := ranks.world().count) == 1 or not isinstance(ctx.command, click.Group):
        return
    command = ctx.command.get_command(ctx, ctx.invoked_subcommand or "")
    if not getattr(command, "several", False):
        what = f"{ctx.command_path} {ctx.invoked_subcommand} is one process's"
        theirs = "what measures and `camx train` are theirs"
        raise click.UsageError(f"{what}, but torchrun started {count}; {theirs}")
