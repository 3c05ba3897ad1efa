"""Protocols are data: YAML files of what differs from ``paper``, with a section a task.

Shipped or the user's own; what a field accepts stands beside it in the task's ``Protocol``.
"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from camx.camcore import plugins
from camx.camcore.suggestions import near
from camx.evaluators import fields
from camx.evaluators.files import parse_yaml, read_text
from camx.evaluators.types import MapProtocol, Protocol

_FOLDER = resources.files("camx.configs") / "protocols"


def names() -> list[str]:
    """The shipped protocols."""
    return sorted(Path(e.name).stem for e in _FOLDER.iterdir() if e.name.endswith(".yaml"))


def load(
    name: str, task: str, kind: type[Protocol], overrides: Mapping[str, Any] | None = None
) -> Any:
    """Protocol `name` (or ``FILE.yaml``) of a task, of its type `kind`.

    Single fields are replaced by `overrides` (values, or their text as YAML). Raises `ValueError`
    naming the field, the bad value and what is accepted.
    """
    if name.endswith((".yaml", ".yml")):
        text, origin = read_text(Path(name), "protocol file"), name
    elif name in names():
        text, origin = (_FOLDER / f"{name}.yaml").read_text("utf-8"), f"protocol {name}"
    else:
        accepted = f"{', '.join(names())} (or FILE.yaml){near(name, names())}"
        raise ValueError(f"unknown protocol {name!r}; known: {accepted}")
    paper = yaml.safe_load((_FOLDER / "paper.yaml").read_text("utf-8"))
    values = fields.defaults(kind) | _section(paper, task, kind, "protocol paper")
    values |= _section(parse_yaml(text, origin), task, kind, origin)
    replaced = {
        field: parse_yaml(value, f"--set {field}={value}") if isinstance(value, str) else value
        for field, value in (overrides or {}).items()
    }
    if "name" in replaced:
        raise ValueError(f"{origin}: name cannot be set; its name is the file's")
    changed = {field: value for field, value in replaced.items() if values.get(field) != value}
    title = name + "".join(f", {field}={value}" for field, value in changed.items())
    return fields.built(kind, {**values, **replaced, "name": title}, origin, f" of {task}")


def _section(content: Any, task: str, kind: type[Protocol], origin: str) -> dict[str, Any]:
    """What a file says of a task: the map's fields at the top, and those in the task's section."""
    tasks = {task, *plugins.names("camx.evaluators.tasks")}
    mapping: dict[str, Any] = content if isinstance(content, dict) else {"name": None}
    sections = {key: value for key, value in mapping.items() if key in tasks}
    if "name" in mapping or not all(isinstance(section, dict) for section in sections.values()):
        form = "a mapping of protocol fields, with a section a command; its name is the file's"
        raise ValueError(f"{origin}: expected {form}")
    top = {key: value for key, value in mapping.items() if key not in tasks}
    if issubclass(kind, MapProtocol):
        values = {**top, **sections.get(task, {})}
    else:  # of a task that makes no maps, what the top says of them is not
        fields.unknown(top, MapProtocol, origin)
        values = sections.get(task, {})
    fields.unknown(values, kind, origin, f" of {task}")
    return values
