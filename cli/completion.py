"""What a TAB offers, by what an option names; nothing here imports torch."""

import re
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from typing import TypeAlias

import click
from click.shell_completion import CompletionItem

from camx.camcore import declared, plugins

Named: TypeAlias = Iterable[tuple[str, str]]  # names, and what they are
# Of a network that the line does not name, or that is not camx's own.
LAYERS = (*(f"S{n}" for n in range(5, 0, -1)), *(f"layer{n}" for n in range(4, 0, -1)))


def _described(package: str) -> Callable[[], Named]:
    return lambda: [(name, title) for name, title, _ in plugins.describe(package)]


def _tables() -> Named:
    from camx.evaluators.results import tables

    return [(name, "") for name in tables.names()]


def _protocols() -> Named:
    from camx.evaluators import protocols

    return [(name, "") for name in protocols.names()]


def _claims() -> Named:
    text = (resources.files("camx.configs") / "claims.yaml").read_text("utf-8")
    return re.findall(r"^- id: (\S+)\n +sentence: \"?(.*?)\"?$", text, re.M)


NAMES: Mapping[str, Callable[[], Named]] = {
    "methods": _described("camx.camcore.methods"),
    "models": _described("camx.camcore.models"),
    "segmenters": _described("camx.camcore.segmenters"),
    "datasets": _described("camx.evaluators.datasets"),
    "measures": _described("camx.evaluators.measures"),
    "protocols": _protocols,
    "tables": _tables,
    "claims": _claims,
    "files": list,
}
PLACES = ("datasets", "files")  # whose names are of folders and files as well


def offered(kind: str, ctx: click.Context, begun: str) -> list[CompletionItem]:
    """What may stand where `begun` is, of a `kind` that a field's ``names`` says.

    Files come with what may be one, and where no name begins so: a plug-in of the user's is a file.
    """
    if kind == "layers":
        return [CompletionItem(name) for name in layers(ctx, begun)]
    if kind not in NAMES:
        return []
    items = [CompletionItem(n, help=told) for n, told in NAMES[kind]() if n.startswith(begun)]
    files = kind in PLACES or not (items or kind == "claims")
    # The first, for bash: it forgets what comes before.
    return [CompletionItem(begun, type="file"), *items] if files else items


def layers(ctx: click.Context, begun: str) -> list[str]:
    """Layers, or fusions that go on: after ``S5+`` those that are not in it yet."""
    models = ctx.params.get("model") or ()
    models = (models,) if isinstance(models, str) else models
    told = [name for model in models for name in declared.layers(model)]
    names = dict.fromkeys(told or LAYERS)
    fused, plus, _ = begun.rpartition("+")
    rest = [name for name in names if name not in fused.split("+")]
    return [name for name in (f"{fused}{plus}{n}" for n in rest) if name.startswith(begun)]
