"""Options of commands, made of the fields of dataclasses: a command gets typed instances."""

import dataclasses
import functools
import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from click.core import ParameterSource

from camx.camcore.suggestions import near
from camx.evaluators import fields
from camx.evaluators.fields import Accepts

QUIET = "camx.quiet"  # in a context's meta: --quiet was said
Command = TypeVar("Command", bound=Callable[..., Any])


class Value(click.ParamType):
    """A word of the command line as a field accepts it."""

    def __init__(self, accepts: Accepts, names: str = "") -> None:
        self.accepts, self.names = accepts, names
        self.name = {int: "integer", float: "number"}.get(accepts.type, "text")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.accepts.parse(value) if isinstance(value, str) else self.accepts.one(value)
        except ValueError as error:
            what = str(error) if isinstance(value, str) else f"{value!r} is not accepted; {error}"
            self.fail(what, param, ctx)

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> Any:
        from camx.cli import completion

        return completion.offered(self.names, ctx, incomplete)


class Choice(click.Choice):
    """One of a few words; a mistyped one is guessed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            self.fail(f"{error.message.rstrip('.')}{near(value, self.choices)}", param, ctx)


class Group(click.Group):
    """A group of commands; a mistyped one is guessed."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            names = self.list_commands(ctx)
            said = error.message.partition(". ")[0].rstrip(".")
            accepted = f"{', '.join(names)}{near(args[0], names)}"
            raise click.UsageError(f"{said}; known: {accepted}", error.ctx) from None


def option(field: "dataclasses.Field[Any]", accepts: Accepts, given: bool) -> Callable[[Any], Any]:
    """The option of a field; if `given`, one that tells whether it was given."""
    about, default = field.metadata, field.default
    name = about.get("option") or "--" + field.name.replace("_", "-")
    if argument := about.get("argument"):
        settled: dict[str, Any] = {"nargs": -1, "required": True, "metavar": f"{argument}..."}
        return click.argument(field.name, type=Value(accepts), **settled)
    words = about.get("help", "")
    if accepts.type in (int, float) and accepts.words.count(" ") > 1:
        words += f"  ({accepts.words})"
    empty = any(default is nothing for nothing in (dataclasses.MISSING, None, (), "", False))
    if given:
        if words.partition(":")[0] not in accepts.choices:
            words = words[:1].upper() + words[1:]
        if not empty and "[default" not in words:
            words += f"  [default: {_words(default)}]"
        default = None
    settings: dict[str, Any] = {"help": words, "default": default}
    if default is dataclasses.MISSING:
        settings = {"help": words, "required": True}
    elif not empty and not given:
        settings["show_default"] = True
    if accepts.type is bool:
        if default is False:
            return click.option(name, field.name, is_flag=True, **settings)
        return click.option(f"{name}/--no-{name[2:]}", field.name, **settings)
    kind: Any = Value(accepts, about.get("names", ""))
    if accepts.choices:
        kind = Choice([word for word in accepts.choices if word])
    elif accepts.type is Path:
        kind = click.Path(path_type=Path)
    if alone := about.get("alone"):
        settings |= {"is_flag": False, "flag_value": alone}
    if accepts.many:
        settings |= {"multiple": True, "default": default or ()}
    return click.option(name, field.name, type=kind, metavar=about.get("metavar"), **settings)


def _words(default: Any) -> str:
    return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def typed(*kinds: type) -> Callable[[Command], Command]:
    """Options of the fields of dataclasses; the command is called with an instance of each."""
    names = [field.name for kind in kinds for field in dataclasses.fields(kind)]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"an option is declared twice: {min(doubled)}")

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def call(**values: Any) -> Any:
            instances = []
            for kind in kinds:
                taken = {field.name: values.pop(field.name) for field in dataclasses.fields(kind)}
                instances.append(checked(kind, **taken))
            return command(*instances, **values)

        return _decorated(call, [(kind, None, False) for kind in kinds])

    return decorate


def overrides(kind: type, names: list[str] | None = None) -> Callable[[Command], Command]:
    """Options of fields of `kind` whose defaults are settled elsewhere.

    The command gets those that were given, as a mapping `given`.
    """
    wanted = names if names is not None else [field.name for field in dataclasses.fields(kind)]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def call(*instances: Any, **values: Any) -> Any:
            taken = {name: values.pop(name) for name in wanted}
            given = {name: value for name, value in taken.items() if value not in (None, ())}
            return command(*instances, given=given, **values)

        return _decorated(call, [(kind, wanted, True)])

    return decorate


def settled(given: Mapping[str, Any], replaced: Mapping[str, Any]) -> dict[str, Any]:
    """Options for fields and what ``--set`` said: the command line wins over ``--config``.

    `UsageError` for a field that the command line names both ways.
    """
    context = click.get_current_context()
    source = context.get_parameter_source
    config = {n: v for n, v in given.items() if source(n) is ParameterSource.DEFAULT_MAP}
    line = {name: value for name, value in given.items() if name not in config}
    if doubled := set(line) & set(replaced):
        raise click.UsageError(f"{min(doubled)} is said twice, by --set and by its option")
    return {**config, **replaced, **line}


def _decorated(call: Any, kinds: list[tuple[type, list[str] | None, bool]]) -> Any:
    for kind, names, given in reversed(kinds):
        accepted = fields.of(kind)
        for field in reversed(dataclasses.fields(kind)):
            if names is None or field.name in names:
                call = option(field, accepted[field.name], given)(call)
    return call


def unique(command: click.Command) -> click.Command:
    """The command, if no two of its options have one name. `ValueError` naming it if they do."""
    names = [n for p in command.params for n in {p.name, *p.opts, *p.secondary_opts}]
    if doubled := {str(name) for name in names if names.count(name) > 1}:
        raise ValueError(f"an option is declared twice: {min(doubled).lstrip('-')}")
    return command


def _config(ctx: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    """A YAML file of this command's options as defaults: the command line wins over it."""
    if path is None:
        return
    from camx.evaluators.files import parse_yaml, read_text

    try:
        content = parse_yaml(read_text(path, "file of options"), str(path)) or {}
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    options = {word[2:]: p for p in ctx.command.params for word in p.opts if word.startswith("--")}
    if not isinstance(content, dict):
        raise click.BadParameter(f"{path}: expected option: value lines")
    for key in content:
        if str(key).replace("_", "-") not in options:
            accepted = f"{', '.join(sorted(options))}{near(key, options)}"
            raise click.BadParameter(f"{path}: unknown option {key!r}; known: {accepted}")
    ctx.default_map = {}
    for key, value in content.items():
        parameter = options[str(key).replace("_", "-")]
        if value is True and isinstance(getattr(parameter, "flag_value", None), str):
            value = parameter.flag_value  # type: ignore[attr-defined]  # as the option alone
        _typed(parameter, value, str(path))
        if parameter.multiple and not isinstance(value, list):
            value = [] if value is None else [value]
        ctx.default_map[str(parameter.name)] = value


def _typed(parameter: click.Parameter, value: Any, origin: str) -> None:
    """Refuse what click cannot read of YAML: its own types are made for words."""
    accepted: tuple[type, ...]
    if isinstance(parameter.type, click.Path):
        accepted, words = (str,), "a path"
    elif isinstance(parameter.type, click.types.BoolParamType):
        accepted, words = (bool, str), "true, false"
    else:
        return
    if not isinstance(value, accepted) and not (value is None and parameter.default is None):
        said = f"{origin}: {parameter.opts[0]} is {value!r}"
        raise click.BadParameter(f"{said}, which is not accepted; accepted: {words}")


def _debug(_ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        os.environ["CAMX_DEBUG"] = "1"


def _quiet(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:  # as a TAB parses
        ctx.meta[QUIET] = True
        ctx.with_resource(redirect_stdout(io.StringIO()))


def common(command: Command) -> Command:
    """The options that every command has; none of them moves a number."""
    debug = click.option("--debug", is_flag=True, expose_value=False, callback=_debug, hidden=True)
    quiet = click.option(
        "--quiet", is_flag=True, expose_value=False, callback=_quiet,
        help="Print nothing but warnings and errors.",
    )  # fmt: skip
    return quiet(debug(command))


config = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_config,
    help="YAML file of these options; the command line wins over it.",
)


def out(command: str) -> Callable[[Command], Command]:
    """The folder of a command's results."""
    folder = click.Path(file_okay=False, path_type=Path)
    default = Path("results") / command
    return click.option(
        "--out", type=folder, default=default, show_default=True, help="Folder of the results."
    )


Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


def checked(
    call: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """`call`, a bad value in its arguments being a usage error (exit code 2)."""
    with usage(ValueError):
        return call(*arguments, **named)


@contextmanager
def usage(refusal: type[Exception]) -> Iterator[None]:
    """What is refused so is a usage error."""
    try:
        yield
    except refusal as error:
        raise click.UsageError(str(error)) from error
