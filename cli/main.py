"""The `camx` group: commands are the files of this folder, imported when they are used."""

import ast
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from camx.cli import options, several
from camx.evaluators import ranks, stopping

SHARED = {
    "__init__", "main", "options", "shared", "printing", "tabular", "fitting", "measuring",
    "summary", "rehearsal", "completion", "training", "recording", "several", "submission", "jobs",
    "predicting",
}  # fmt: skip
COMMANDS = {path.stem for path in Path(__file__).parent.glob("*.py")} - SHARED
ECHO = 2.0  # seconds in which torchrun sends on the signal that its terminal sent already
HEADLESS = (
    "OpenCV cannot be imported ({0}); on a server without a display: "
    "pip uninstall --yes opencv-python && pip install --force-reinstall opencv-python-headless"
)


class Commands(options.Group):
    """Looks a command up by its file's name; lists them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"camx.cli.{name}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        items = [
            CompletionItem(name, help=_sentence(name))
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _sentence(name)) for name in self.list_commands(ctx)])


def _sentence(name: str) -> str:
    """What a command does, from its file's docstring: ``\"\"\"`camx NAME`: what it does.``."""
    text = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    first = str(ast.get_docstring(ast.parse(text))).partition("\n\n")[0]
    sentence = " ".join(first.partition(": ")[2].split())
    return sentence[:1].upper() + sentence[1:]


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="camx", message="camx %(version)s", help="Print the version.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def group(ctx: click.Context, debug: bool) -> None:
    """camx: which class activation map finds the object, by how much, and is the difference real?

    What measures does so on an embedded miniature until --data names your own data.

    \b
    camx explain PHOTO.jpg          look at the maps of one picture
    camx localize                   measure localization, five methods x five stages
    camx tables                     the paper's tables, its value beside yours
    """
    if debug:
        os.environ["CAMX_DEBUG"] = "1"
    several.alone(ctx)


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)


@contextmanager
def _counted_warnings() -> Iterator[None]:
    """Say each kind of camx's own warnings once, at the end: its docstring, how often, an example.

    A data set of ten thousand black pictures is one line.
    """
    texts: dict[type[Warning], dict[str, None]] = {}
    with warnings.catch_warnings():
        show = warnings.showwarning

        def count(message: Any, category: type[Warning], *where: Any, **how: Any) -> None:
            if category.__module__.startswith("camx."):
                texts.setdefault(category, {})[str(message)] = None
            else:
                show(message, category, *where, **how)

        warnings.showwarning = count
        failed = True
        try:
            yield
            failed = False
        finally:
            for category, said in texts.items():
                if failed and getattr(category, "minor", False):
                    continue  # an error is one line
                what = f"{category.__doc__}: {len(said)}, such as {next(iter(said))}"
                click.echo(f"warning: {what}", err=True)


def main() -> None:
    """Run the command line: one line for an error; code 1 for a failed run, 2 for wrong usage."""
    try:
        first = ranks.world().first
        if not first:  # of the processes that torchrun started the first one prints
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
        with stopping.heeded(ECHO if ranks.world().count > 1 else 0), _counted_warnings():
            code = group.main(prog_name="camx", standalone_mode=False)
        if isinstance(code, int) and code:  # of a command that ended with one
            sys.exit(code)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else error.format_message())
    except ranks.Elsewhere:
        sys.exit(1)
    except click.UsageError as error:
        if not first:  # the command line is the same, and the first one says what is wrong with it
            sys.exit(2)
        hint = f" ({error.ctx.command_path} --help shows what is accepted)" if error.ctx else ""
        _fail(" ".join(error.format_message().split()) + hint, 2)
    except (click.Abort, KeyboardInterrupt) as error:
        ended = error.__cause__ if isinstance(error, click.Abort) else error  # Click's own wrapping
        if isinstance(ended, EOFError):
            _fail(_line(ended), 1)
        code = getattr(ended, "code", 130)
        if not first:
            sys.exit(code)
        what = "what was measured is recorded; the same command goes on from there"
        _fail(f"interrupted; {what}", code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if os.environ.get("CAMX_DEBUG"):
            traceback.print_exc()
        _fail(_line(error), 1)


def _line(error: Exception) -> str:
    """An error as one line; those that camx did not foresee keep their type's name."""
    text = " ".join(str(error).split())
    if isinstance(error, ImportError) and ("libGL" in text or "cv2" in f"{text} {error.name}"):
        return HEADLESS.format(text)
    if type(error).__name__ == "OutOfMemoryError":
        return f"the device is out of memory; lower --batch-size ({text[:120]})"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    told = isinstance(error, ValueError | FileNotFoundError | click.ClickException)
    if told or type(error).__name__ == "WorkerLost":
        return text
    return f"{type(error).__name__}: {text} (camx --debug COMMAND shows where)"
