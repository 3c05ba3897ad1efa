"""Protocols are data: a YAML file with every field of `Protocol`, shipped or the user's own."""

import dataclasses
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from evaluators.types import CHOICES, Protocol

_FOLDER = resources.files("configs") / "protocols"


def names() -> list[str]:
    """The shipped protocols."""
    return sorted(Path(entry.name).stem for entry in _FOLDER.iterdir() if entry.name.endswith(".yaml"))


def load(name: str, overrides: Mapping[str, str] | None = None) -> Protocol:
    """Protocol `name` (or ``FILE.yaml``), single fields replaced by `overrides` (their text, read as YAML).

    Raises `ValueError` naming the field, the bad value and what is accepted.
    """
    if name.endswith((".yaml", ".yml")):
        text, origin, title = read_text(name, "protocol"), name, name
    elif name in names():
        text, origin, title = (_FOLDER / f"{name}.yaml").read_text(), f"protocol {name}", name
    else:
        raise ValueError(f"unknown protocol {name!r}; known: {', '.join(names())} (or FILE.yaml)")
    values = parse_yaml(text, origin)
    if not isinstance(values, dict) or "name" in {**values, **(overrides or {})}:
        raise ValueError(f"{origin}: expected a mapping of protocol fields; its name is the file's")
    if title == name and title not in names():  # a user's own file says what differs from the paper's
        values = {**yaml.safe_load((_FOLDER / "paper.yaml").read_text()), **values}
    given = {key: parse_yaml(text, f"--set {key}={text}") for key, text in (overrides or {}).items()}
    changed = {key: value for key, value in given.items() if values.get(key) != value}
    title += "".join(f", {key}={value}" for key, value in changed.items())
    return Protocol(**_checked({"name": title, **values, **given}, origin))


def read_text(name: str, kind: str) -> str:
    """A user's YAML file. `FileNotFoundError` in one line if there is none."""
    if not Path(name).is_file():
        raise FileNotFoundError(f"{name}: no such {kind} file")
    return Path(name).read_text()


def parse_yaml(text: str, origin: str) -> Any:
    """YAML, or a `ValueError` that says where it is broken, in one line."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{origin}: not YAML: {' '.join(str(error).split())}") from None


def _checked(values: dict[str, Any], origin: str) -> dict[str, Any]:
    fields = {f.name for f in dataclasses.fields(Protocol)}
    for key, value in values.items():
        if key not in fields:
            raise ValueError(f"{origin}: unknown field {key!r}; known: {', '.join(sorted(fields - {'name'}))}")
        if key in CHOICES and value not in CHOICES[key]:
            raise ValueError(f"{origin}: {key} is {value!r}; accepted: {', '.join(CHOICES[key])}")
    if missing := fields - set(values):
        raise ValueError(f"{origin}: field {min(missing)!r} is missing")
    for key in ("grabcut", "grabcut_methods"):
        value = values[key] if isinstance(values[key], list | tuple) else [values[key]] if values[key] else []
        if not all(isinstance(v, str) for v in value):
            raise ValueError(f"{origin}: {key} is {values[key]!r}; accepted: a list of names, such as [S2, S1] or []")
        values[key] = tuple(value)
    threshold = values["threshold"]
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold < 1:
        raise ValueError(f"{origin}: threshold is {threshold!r}; accepted: a number from 0 to below 1")
    if values["style"] and values["view"] != "resize":
        raise ValueError(f"{origin}: style {values['style']} shows one view; it needs view resize, not {values['view']}")
    return values
