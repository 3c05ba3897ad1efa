"""Options that several commands share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

BATCH = {"cpu": 20, "cuda": 100}  # views; on a CPU more of them are no faster, on a GPU they are

STYLES = ("pytorch-grad-cam", "torch-cam")


def _config(ctx: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    """A YAML file of this command's own options as defaults: the command line wins over it."""
    if path is None:
        return
    import yaml

    try:
        content = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    known = {option[2:]: p for p in ctx.command.params for option in p.opts if option.startswith("--")}
    if not isinstance(content, dict):
        raise click.BadParameter(f"{path}: expected option: value lines")
    for key in content:
        if str(key).replace("_", "-") not in known:
            raise click.BadParameter(f"{path}: unknown option {key!r}; known: {', '.join(sorted(known))}")
    given = {known[str(key).replace("_", "-")]: value for key, value in content.items()}
    ctx.default_map = {str(p.name): [v] if p.multiple and not isinstance(v, list) else v for p, v in given.items()}


def _set(_ctx: click.Context, _parameter: click.Parameter, pairs: Sequence[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise click.BadParameter(f"{pair!r} is not FIELD=VALUE")
    return dict(pair.split("=", 1) for pair in pairs)


def _debug(_ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        import os

        os.environ["CAMX_DEBUG"] = "1"


def stack(*options: Callable) -> Callable:
    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


debug = click.option("--debug", is_flag=True, expose_value=False, callback=_debug, hidden=True)
config = click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), is_eager=True, expose_value=False,
    callback=_config, help="YAML file of these options; the command line wins over it.",
)  # fmt: skip

network = stack(
    click.option("--model", help="Network: a name of `camx list models`, module:function or FILE.py."),
    click.option("--weights", help="FILE.pth, FILE.safetensors, or torchvision's name of its weights."),
    click.option("--download", is_flag=True, help="Let torchvision fetch weights that are not in its cache."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ..."),
)

overrides = click.option(
    "--set", "overrides", multiple=True, metavar="FIELD=VALUE", callback=_set, help="Override a protocol field; repeats."
)

measuring = stack(
    click.option("--data", default="mini", show_default=True, help="Folder of a data set, or a name of `camx list datasets`."),
    network,
    overrides,
    click.option("--method", "methods", multiple=True, help="Method; repeats.  [default: those of the command's tables]"),
    click.option("--layer", "layers", multiple=True, help="Layer, or a fusion S5+S4 by maximum; repeats.  [default: the tables']"),
    click.option("--limit", type=click.IntRange(min=1), help="Only the first N images."),
    click.option("--batch-size", type=click.IntRange(min=1), help="Views a batch.  [default: 20 on a CPU, 100 on CUDA]"),
    click.option("--workers", type=click.IntRange(min=1), help="Threads that decode and that score.  [default: the cores]"),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of everything drawn at random."),
    config,
    debug,
)  # fmt: skip


selecting = stack(
    click.option("--protocol", help="A name of `camx list protocols`, or FILE.yaml.  [default: paper]"),
    click.option("--as", "style", type=click.Choice(STYLES), help="Make maps as that package does, to explain its numbers."),
    click.option("--table", "names", multiple=True, help="Measure the cells of this table, or FILE.yaml; repeats."),
    click.option("--variant", "variants", multiple=True,
                 help="For --layer: gamma=3, scale=none|sqrt|tan; repeats.  [default: gamma=2 where fused]"),
    click.option("--sample", type=click.IntRange(min=1), help="Only N images drawn at random (--seed)."),
    click.option("--blacklist", type=click.Path(path_type=Path),
                 help="File of images to leave out: names, or numbers in validation order."),
    click.option("--quiet", is_flag=True, help="Print no table at the end."),
)  # fmt: skip


runs = stack(
    click.option("--runs", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
                 help="Where to look for run.json files."),
    click.option("--data", help="Only runs on this data set: its name or folder.  [default: that of the newest run]"),
)  # fmt: skip


def out(command: str) -> Callable:
    return click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("results") / command,
                        show_default=True, help="Folder of the results.")  # fmt: skip


def pick_device(name: str) -> str:
    """`auto` is CUDA when there is one. `UsageError` for a device that torch does not have."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        accepted = "auto, cpu" + ", cuda" * torch.cuda.is_available()
        raise click.UsageError(f"device {name!r} cannot be used here ({str(error).splitlines()[0]}); accepted: {accepted}") from None
    return name


def checked(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """`call`, a bad value in its arguments being a usage error (exit code 2)."""
    try:
        return call(*arguments, **named)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
