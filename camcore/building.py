"""Networks built without weights: whatever a file's `build` is, and nothing is fetched by it."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

Build = Callable[..., nn.Module]
CLASSES = ("classes", "num_classes")
# Arguments of torchvision's and timm's builders that make them fetch weights, and what they are
# without any.
FETCHING = {"weights": None, "weights_backbone": None, "pretrained": False}


def construct(build: Build, classes: int) -> nn.Module:
    """The network of so many classes. `ValueError` names the file whose `build` does not give it.

    Builders of torchvision and timm, whose first argument is not the number of classes, are told it
    by name, and that no weights are wanted.
    """
    function = build.func if isinstance(build, partial) else build
    parameters = inspect.signature(build).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    named: dict[str, Any] = {k: v for k, v in FETCHING.items() if k in parameters}
    name = next((n for n in CLASSES if n in parameters), "")
    if not name and named and inspect.Parameter.VAR_KEYWORD in kinds:
        name = "num_classes"
    arguments = [] if name else [classes]
    named |= {name: classes} if name else {}
    where = f"{_file(function)}: {getattr(function, '__name__', 'build')}({classes})"
    try:
        module = build(*arguments, **named)
    except Exception as error:
        raise ValueError(f"{where} fails: {type(error).__name__}: {error}") from error
    if not isinstance(module, nn.Module):
        raise ValueError(f"{where} gives a {type(module).__name__}; expected a torch.nn.Module")
    return module


def _file(function: Any) -> str:
    try:
        return inspect.getsourcefile(function) or str(function)
    except TypeError:  # an object that is called
        return str(function)


def skeleton(build: Build, classes: int) -> nn.Module:
    """The network's shapes alone, on the device ``meta``: nothing is initialised.

    One whose making needs numbers (RegNet's, in torchvision) is made on the CPU first.
    """
    try:
        with torch.device("meta"):
            return construct(build, classes)
    except ValueError as error:
        cause = error.__cause__  # of torch's on numbers that the device does not have
        if not isinstance(cause, RuntimeError) or "meta" not in str(cause):
            raise
        return drawn(build, classes).to("meta")


def drawn(build: Build, classes: int) -> nn.Module:
    """The network on the CPU, its weights drawn; other random numbers stay as they are."""
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        return construct(build, classes)


@contextmanager
def offline(download: bool) -> Iterator[None]:
    """Unless `download`, a network that asks torch to fetch its weights is refused."""
    fetch = torch.hub.download_url_to_file

    def refuse(url: str, *_: Any, **__: Any) -> None:
        what = "weights come from --weights (or --init)"
        raise ValueError(f"it would fetch {url}, but {what}; --download lets it")

    torch.hub.download_url_to_file = fetch if download else refuse
    try:
        yield
    finally:
        torch.hub.download_url_to_file = fetch
