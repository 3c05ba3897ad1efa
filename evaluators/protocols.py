"""Protocols are data: YAML files of what differs from ``paper``, shipped or the user's own, with a section a command."""

import dataclasses
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from evaluators.types import CHOICES, PROTOCOLS, MapProtocol

_FOLDER = resources.files("configs") / "protocols"
_LISTS = ("grabcut", "grabcut_methods")


def names() -> list[str]:
    """The shipped protocols."""
    return sorted(Path(entry.name).stem for entry in _FOLDER.iterdir() if entry.name.endswith(".yaml"))


def load(name: str, overrides: Mapping[str, Any] | None = None, command: str = "localize") -> Any:
    """Protocol `name` (or ``FILE.yaml``) of `command`, single fields replaced by `overrides` (values, or their text as YAML).

    The result is of the command's type in `evaluators.types.PROTOCOLS`. Raises `ValueError` naming the field,
    the bad value and what is accepted.
    """
    if name.endswith((".yaml", ".yml")):
        text, origin = read_text(name, "protocol"), name
    elif name in names():
        text, origin = (_FOLDER / f"{name}.yaml").read_text(), f"protocol {name}"
    else:
        raise ValueError(f"unknown protocol {name!r}; known: {', '.join(names())} (or FILE.yaml)")
    kind = PROTOCOLS[command]
    base = _section(yaml.safe_load((_FOLDER / "paper.yaml").read_text()), command, kind, "protocol paper")
    values = {**base, **_section(parse_yaml(text, origin), command, kind, origin)}
    if "name" in (overrides or {}):
        raise ValueError(f"{origin}: name cannot be set; its name is the file's")
    given = {k: parse_yaml(v, f"--set {k}={v}") if isinstance(v, str) else v for k, v in (overrides or {}).items()}
    changed = {key: value for key, value in given.items() if values.get(key) != value}
    title = name + "".join(f", {key}={value}" for key, value in changed.items())
    return kind(**_checked({"name": title, **values, **given}, command, kind, origin))


def _section(content: Any, command: str, kind: type[MapProtocol], origin: str) -> dict[str, Any]:
    """What a file says of `command`: its own fields at the top, and those in the command's section."""
    sections = {key: value for key, value in content.items() if key in PROTOCOLS} if isinstance(content, dict) else {}
    if not isinstance(content, dict) or "name" in content or not all(isinstance(s, dict) for s in sections.values()):
        raise ValueError(f"{origin}: expected a mapping of protocol fields, with a section a command; its name is the file's")
    found = {**{key: value for key, value in content.items() if key not in sections}, **sections.get(command, {})}
    _known(found, command, kind, origin)
    return found


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


def _known(values: Mapping[str, Any], command: str, kind: type[MapProtocol], origin: str) -> None:
    fields = {f.name for f in dataclasses.fields(kind)}
    for key in values:
        if key not in fields:
            raise ValueError(f"{origin}: unknown field {key!r} of {command}; known: {', '.join(sorted(fields - {'name'}))}")


def _number(value: Any, low: float, high: float, whole: bool = False) -> bool:
    kinds = int if whole else int | float
    return isinstance(value, kinds) and not isinstance(value, bool) and low <= value < high


def _checked(values: dict[str, Any], command: str, kind: type[MapProtocol], origin: str) -> dict[str, Any]:
    _known(values, command, kind, origin)
    for key, value in values.items():
        if key in CHOICES and value not in CHOICES[key]:
            raise ValueError(f"{origin}: {key} is {value!r}; accepted: {', '.join(CHOICES[key])}")
        if key in _LISTS:
            listed = value if isinstance(value, list | tuple) else [value] if value else []
            if not all(isinstance(v, str) for v in listed):
                raise ValueError(f"{origin}: {key} is {value!r}; accepted: a list of names, such as [S2, S1] or []")
            values[key] = tuple(listed)
    for key in ("threshold", "hard_threshold"):
        if not _number(values.get(key, 0), 0, 1):
            raise ValueError(f"{origin}: {key} is {values[key]!r}; accepted: a number from 0 to below 1")
    if "scales" in values:
        listed = values["scales"] if isinstance(values["scales"], list | tuple) else [values["scales"]]
        if not listed or not all(_number(v, 0.1, 8.001) for v in listed):
            raise ValueError(f"{origin}: scales is {values['scales']!r}; accepted: numbers from 0.1 to 8, such as [0.5, 1.0]")
        values["scales"] = tuple(map(float, listed))
    if not isinstance(values.get("flip", False), bool) or not isinstance(values.get("superpixels", ""), str):
        raise ValueError(f"{origin}: flip is true or false, superpixels slic, none or a folder")
    if not _number(values.get("segments", 1), 1, 1e6, whole=True) or not _number(values.get("compactness", 1), 1e-6, 1e6):
        raise ValueError(f"{origin}: segments is a whole number from 1, compactness a number above 0")
    if not _number(values.get("steps", 0), 0, 1e6, whole=True):
        raise ValueError(f"{origin}: steps is {values['steps']!r}; accepted: a whole number, 0 for one a row of the grid")
    if not _number(values.get("thresholds", 1), 1, 256, whole=True):
        raise ValueError(f"{origin}: thresholds is {values['thresholds']!r}; accepted: a whole number from 1 to 255")
    if values["style"] and values["view"] != "resize":
        raise ValueError(f"{origin}: style {values['style']} shows one view; it needs view resize, not {values['view']}")
    return values
