"""Plug-ins: the file's name is the plug-in's name. Listing them imports none of them, and so no torch."""

import ast
import hashlib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Plugin:
    """A plug-in found: its `name` in records and tables, its `module`, and the `function` it is about.

    `shipped` says whether it is one of camx's own files.
    """

    name: str
    module: ModuleType
    function: Callable[..., Any]
    shipped: bool = False

    def sha256(self) -> str:
        """Of the module's file, so that records of an older version are not taken for this one's."""
        return hashlib.sha256(Path(str(self.module.__file__)).read_bytes()).hexdigest()


def _entry_points(package: str) -> dict[str, importlib.metadata.EntryPoint]:
    """Entry points of other packages, in group ``camx.methods`` for package ``camcore.methods``."""
    return {p.name: p for p in importlib.metadata.entry_points(group=f"camx.{package.rpartition('.')[2]}")}


def _files(package: str) -> dict[str, str]:
    """``{name: module's last name}`` of the package's own files; a leading underscore hides a file."""
    spec = importlib.util.find_spec(package)
    found = pkgutil.iter_modules(spec.submodule_search_locations if spec else [])
    return {f.name.replace("_", "-"): f.name for f in found if not f.name.startswith("_")}


def names(package: str) -> list[str]:
    """The names that `load` knows, sorted."""
    return sorted({*_files(package), *_entry_points(package)})


def describe(package: str) -> list[tuple[str, str, str]]:
    """``(name, TITLE, SOURCE)`` of each plug-in, read from the file's text without running it."""
    rows = []
    for name, stem in sorted(_files(package).items()):
        origin = importlib.util.find_spec(f"{package}.{stem}").origin  # type: ignore[union-attr]  # it was just listed
        constants = {}
        for node in ast.parse(Path(str(origin)).read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                constants.update({t.id: node.value.value for t in node.targets if isinstance(t, ast.Name)})
        rows.append((name, str(constants.get("TITLE", "")), str(constants.get("SOURCE", ""))))
    return rows + [(name, point.value, "entry point") for name, point in sorted(_entry_points(package).items())]


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such plug-in file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]  # a .py file always has a spec
    sys.modules.setdefault(path.stem, module)  # dataclasses and pickles look their module up by name
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except (SyntaxError, ImportError, NameError, AttributeError) as error:
        raise ValueError(f"{path}: cannot be loaded: {error}") from error
    return module


def _refuse_known(package: str, kind: str, name: str, module: ModuleType) -> None:
    if name in names(package):
        raise ValueError(f"{kind} {module.__file__} would be recorded as {name!r}, which camx has already; give it another name")


def load(package: str, hook: str, name: str) -> Plugin:
    """Find a plug-in by name, as ``FILE.py``, or as ``module:function``.

    `hook` is the function that such a plug-in must have. Raises `ValueError` naming what is known.
    """
    kind = package.rpartition(".")[2].rstrip("s")
    stem = _files(package).get(name.replace("_", "-").lower())
    function = hook
    if stem:
        module = importlib.import_module(f"{package}.{stem}")
        name = name.replace("_", "-").lower()
    elif name in _entry_points(package):
        loaded = _entry_points(package)[name].load()
        module = loaded if isinstance(loaded, ModuleType) else sys.modules[loaded.__module__]
        function = hook if isinstance(loaded, ModuleType) else loaded.__name__
    elif name.endswith(".py"):
        module, name = _from_file(Path(name)), Path(name).stem.replace("_", "-")
        _refuse_known(package, kind, name, module)
    elif ":" in name:
        where, _, function = name.partition(":")
        if "" not in sys.path:
            sys.path.insert(0, "")  # an installed command does not see the current folder by itself
        try:
            module = importlib.import_module(where)
        except ModuleNotFoundError as error:
            raise ValueError(f"{kind} {name!r}: {error}") from error
        name = (where.rpartition(".")[2] if function == hook else function).replace("_", "-")
        _refuse_known(package, kind, name, module)
    else:
        known = ", ".join(names(package))
        raise ValueError(f"unknown {kind} {name!r}; known: {known} (or module:function, or FILE.py)")
    if not callable(getattr(module, function, None)):
        raise ValueError(f"{kind} {name!r}: {module.__file__} has no function {function!r}")
    return Plugin(name, module, getattr(module, function), shipped=bool(stem))
