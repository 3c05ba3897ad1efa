"""Which reader reads a data set: the one that is named, or the one whose layout a folder has."""

import fnmatch
import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from camx.camcore import plugins

PACKAGE = "camx.evaluators.datasets"
FILES = (".csv", ".json", ".yaml", ".yml")  # that are data sets
OF_FUNCTION = re.compile(r"([\w.]+:[A-Za-z_][\w.]*):(.+)")  # module:function:FOLDER
OF_NAME = re.compile(r"([\w.-]+):(.*[^\w.].*)")  # a reader's name, and what can be no function's


def _is_name(text: str) -> bool:
    return text.replace("_", "-").lower() in plugins.names(PACKAGE)


def parsed(data: str) -> tuple[str, Path | None]:
    """The reader that is named, or ``""``, and the folder or file that is to be read, or None.

    What is there under the whole of the name is itself, unless camx has a reader of that name.
    Raises `FileNotFoundError` for a path to nothing, `ValueError` for ``READER:`` without a folder.
    """
    first, colon, rest = data.partition(":")
    if data in plugins.names(PACKAGE) or data.endswith(".py"):
        return data, None
    if os.path.exists(data):
        return "", Path(data)
    if colon and (first.endswith(".py") or _is_name(first)):
        if not rest:
            raise ValueError(f"{data}: no folder stands behind the colon; expected {first}:FOLDER")
        return first, Path(rest)
    if match := OF_FUNCTION.fullmatch(data) or OF_NAME.fullmatch(data):
        return match[1], Path(match[2])
    if "/" in data or Path(data).suffix.lower() in FILES:
        raise FileNotFoundError(f"{data}: no such data folder or file")
    return data, None


def shipped(data: str) -> bool:
    """Whether `data` names a reader of camx's own, with or without a folder."""
    first, _, _ = data.partition(":")
    return (not os.path.exists(data) and _is_name(first)) or data in plugins.names(PACKAGE)


def read(data: str, task: str, split: str) -> Any:
    """What the reader returns that `data` names, or whose layout it has."""
    name, root = parsed(data)
    if not name:
        assert root is not None, "one of them is named"
        return _by_layout(root, task, split)
    plugin = plugins.load(PACKAGE, "read", name)
    if plugin.shipped:
        return _ours(plugin, root, task, split)
    return _theirs(plugin, name, root, task, split)


def _ours(plugin: plugins.Plugin, root: Path | None, task: str, split: str) -> Any:
    """A shipped reader's data set. `ValueError` if it is for another task, or another layout."""
    name, reader, layout = plugin.name, plugin.module, str(plugin.module.LAYOUT)
    if root is None:
        if layout:
            how = f"--data {name}:FOLDER (a folder of that name is ./{name})"
            raise ValueError(f"{name} needs a folder: {how}, which holds {layout}")
        return plugin.object(task, **_options(plugin.object, name, task, split))
    if not layout:
        raise ValueError(f"{name}:{root}: {name} reads no folder; expected --data {name}")
    _is_there(root, name)
    _of_task(reader, name, task)
    if not reader.accepts(root):
        raise ValueError(f"{root} is not what {name} reads: expected {layout}")
    return plugin.object(root, **_options(plugin.object, name, task, split))


def _theirs(plugin: plugins.Plugin, name: str, root: Path | None, task: str, split: str) -> Any:
    """A user's reader's data set; what goes wrong in it is a `ValueError` that names it."""
    read, reference = plugin.object, plugin.reference
    places = [p for p in _parameters(read).values() if p.name != "split" and _is_positional(p)]
    if root is None and any(place.default is place.empty for place in places):
        layout = getattr(plugin.module, "LAYOUT", "")
        what = f", which holds {layout}" if layout else ""
        raise ValueError(f"{reference} needs a folder: --data {name}:FOLDER{what}")
    if root is not None:
        if not places:
            what = f"its read() takes no folder; expected --data {name}"
            raise ValueError(f"{reference} reads no folder: {what}")
        _is_there(root, reference)
        _of_task(plugin.module, reference, task)
    options, arguments = _options(read, reference, task, split), [root] if root else []
    try:
        return read(*arguments, **options)
    except (ValueError, OSError):  # these say what is wrong with the data
        raise
    except Exception as error:  # whatever goes wrong in somebody's file
        what = f"its read() failed: {type(error).__name__}: {error}"
        raise ValueError(f"{reference}: {what}") from error


def _parameters(read: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(read).parameters)


def _is_positional(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)


def _is_there(root: Path, name: str) -> None:
    if not root.exists():
        raise FileNotFoundError(f"{root}: no such folder or file for {name} to read")


def _task(reader: Any, task: str = "localization") -> str:
    """The task that a reader is for; one that does not say it is for `task`."""
    return str(getattr(reader, "TASK", task))


def _of_task(reader: Any, name: str, task: str) -> None:
    if _task(reader, task) != task:
        raise ValueError(f"{name} reads data for {_task(reader)}, not for {task}")


def _readers() -> dict[str, Any]:
    """Every reader's module by its name that can be asked whether it reads a folder."""
    modules = {name: plugins.load(PACKAGE, "read", name).module for name in plugins.names(PACKAGE)}
    return {n: m for n, m in modules.items() if hasattr(m, "accepts") and hasattr(m, "read")}


def _by_layout(root: Path, task: str, split: str) -> Any:
    """What the one reader returns that accepts a folder or file; general ones are asked last."""
    readers = {name: reader for name, reader in _readers().items() if _task(reader) == task}
    for last in (False, True):
        asked = [(n, r) for n, r in readers.items() if bool(getattr(r, "LAST", False)) == last]
        takers = [(name, reader) for name, reader in asked if reader.accepts(root)]
        if len(takers) > 1:
            names = " and ".join(name for name, _ in takers)
            how = " or ".join(f"--data {name}:{root}" for name, _ in takers)
            raise ValueError(f"{root}: {names} both read it; say --data READER:FOLDER: {how}")
        for name, reader in takers:
            options = _options(reader.read, name, task, split)
            if last:
                return _generally(root, reader, readers, options)
            return reader.read(root, **options)
    raise ValueError(_unlike(root, task))


def _generally(root: Path, reader: Any, readers: dict[str, Any], options: dict[str, str]) -> Any:
    """What a general reader returns; where it refuses, it says which other layout may be meant."""
    try:
        return reader.read(root, **options)
    except (ValueError, OSError) as error:
        others = {name: other for name, other in readers.items() if other is not reader}
        meant = [str(other.LAYOUT) for other in _half_there(root, others)]
        if not meant:
            raise
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f"{error}; or is it meant as {'; or '.join(meant)}?") from error


def _unlike(root: Path, task: str) -> str:
    """That no reader of the task reads what lies there, and what is expected.

    That is the layout of which a part is there; or else what readers the task has.
    """
    if root.suffix.lower() == ".csv":  # of any task: what lacks a column is often meant as another
        forms = [r for r in _readers().values() if "FILE.csv" in str(getattr(r, "LAYOUT", ""))]
        expected = "; or ".join(f"{reader.LAYOUT} ({_task(reader)})" for reader in forms)
    else:
        readers = {n: r for n, r in _readers().items() if _task(r) == task}
        readers = {n: r for n, r in readers.items() if getattr(r, "LAYOUT", "")}
        meant = _half_there(root, readers) or (list(readers.values()) if len(readers) < 2 else [])
        names = f"one of {', '.join(readers)} (`camx list datasets` shows what each expects)"
        expected = "; or ".join(str(reader.LAYOUT) for reader in meant) or names
    return f"{root} is no data set for {task} that camx knows: expected {expected}"


def _half_there(root: Path, readers: dict[str, Any]) -> list[Any]:
    """The readers of whose layouts most `MARKS` are in a folder; none if there is none."""
    names = os.listdir(root) if root.is_dir() else []
    counts = {
        reader: sum(bool(fnmatch.filter(names, mark)) for mark in getattr(reader, "MARKS", ()))
        for reader in readers.values()
    }
    most = max(counts.values(), default=0)
    return [reader for reader, count in counts.items() if count == most > 0]


def _options(read: Callable[..., Any], name: str, task: str, split: str) -> dict[str, str]:
    """What a reader is told: `split` if asked for. `ValueError` for one without splits."""
    if not split:
        return {}
    if "split" not in _parameters(read):
        raise ValueError(f"split is {split!r}, but {name} reads no splits for {task}")
    return {"split": split}
