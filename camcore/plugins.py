"""Plug-ins, named after their files. Listing them imports none of them, and so no torch."""

import ast
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from camx.camcore.suggestions import near

PUBLISHERS = ("torchvision", "timm")  # packages whose networks go by ``torchvision:NAME`` (`zoos`)
ROLES = ("SPEC", "build")  # objects named so say nothing: the plug-in is named after its module


class ForeignCode(UserWarning):
    """code that is not camx's own was run, with your rights"""

    minor = True  # not said beside an error


@dataclass(frozen=True)
class Plugin:
    """A plug-in: its `name` in records and tables, its `module`, and the `object` it is about.

    `reference` loads it again, from any folder; `shipped` says whether it is one of camx's own.
    """

    name: str
    module: ModuleType
    object: Any
    reference: str
    shipped: bool = False

    @property
    def file(self) -> Path:
        """The module's file."""
        return Path(str(self.module.__file__))

    def sha256(self) -> str:
        """Of the module's file: records of an older version are not taken for this one's."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()


def reference(name: str) -> tuple[str, str]:
    """``("timm", "resnet50")`` of ``timm:resnet50``; of other names two empty texts."""
    package, _, model = name.partition(":")
    return (package, model) if package in PUBLISHERS and model else ("", "")


@functools.cache  # to look through what is installed takes 25 ms, and it does not change
def _entry_points(package: str) -> dict[str, importlib.metadata.EntryPoint]:
    """Entry points of other packages, in group ``camx.methods`` for package ``camcore.methods``."""
    group = f"camx.{package.rpartition('.')[2]}"
    return {point.name: point for point in importlib.metadata.entry_points(group=group)}


def _files(package: str) -> dict[str, str]:
    """``{name: module's last name}`` of the package's files; a leading underscore hides a file."""
    spec = importlib.util.find_spec(package)
    files = pkgutil.iter_modules(spec.submodule_search_locations if spec else [])
    return {f.name.replace("_", "-"): f.name for f in files if not f.name.startswith("_")}


def names(package: str) -> list[str]:
    """The names that `load` knows, sorted."""
    return sorted({*_files(package), *_entry_points(package)})


def describe(package: str) -> list[tuple[str, str, str]]:
    """``(name, TITLE, SOURCE)`` of each plug-in, read from the file's text without running it."""
    rows = [
        (name, texts.get("TITLE", ""), texts.get("SOURCE", ""))
        for name, texts in constants(package).items()
    ]
    points = sorted(_entry_points(package).items())
    return rows + [(name, point.value, "entry point") for name, point in points]


def constants(package: str) -> dict[str, dict[str, str]]:
    """The texts that each file of the package assigns to names, by the plug-in's, unrun."""
    texts: dict[str, dict[str, str]] = {}
    for name, stem in sorted(_files(package).items()):
        spec = importlib.util.find_spec(f"{package}.{stem}")
        assert spec is not None  # it was just listed
        texts[name] = {}
        for node in ast.parse(Path(str(spec.origin)).read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
                texts[name] |= dict.fromkeys(targets, str(node.value.value))
    return texts


@contextmanager
def _loading(what: str) -> Iterator[None]:
    """Whatever goes wrong in somebody's file, and its leaving the process, is a `ValueError`."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise ValueError(f"{what}: cannot be loaded: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    """The file as a module of its own: known by path and text, so two of one stem are two."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such plug-in file")
    digest = hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()
    name = f"{path.stem}_{digest[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # a .py file always has one
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up by name
    try:
        with _loading(str(path)):
            spec.loader.exec_module(module)  # type: ignore[union-attr]  # and a loader
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load(package: str, hook: str | None, name: str) -> Plugin:
    """Find a plug-in by name, as ``FILE.py``, or as ``module:object``.

    `hook` is the function that it must have, and its `object` unless an object is named; with None,
    the object is the module. Raises `ValueError` naming what is known.
    """
    kind = package.rpartition(".")[2].rstrip("s")
    hyphened, attribute, reference = name.replace("_", "-").lower(), "", name
    stem, point = _files(package).get(hyphened), _entry_points(package).get(name)
    if stem:
        module = importlib.import_module(f"{package}.{stem}")
        name = reference = hyphened
    elif point:
        with _loading(f"{kind} {name!r}"):
            module, attribute = importlib.import_module(point.module), point.attr
    elif name.endswith(".py"):
        path = Path(os.path.abspath(name))
        module, name, reference = _from_file(path), path.stem.replace("_", "-"), str(path)
    elif ":" in name:
        where, _, attribute = name.partition(":")
        if "" not in sys.path:
            sys.path.insert(0, "")  # an installed command does not see the current folder by itself
        with _loading(f"{kind} {name!r}"):
            module = importlib.import_module(where)
        name = where.rpartition(".")[2] if attribute in (hook, *ROLES) else attribute
        name = name.replace("_", "-")
    else:
        listed = names(package)
        accepted = f"{', '.join(listed)} (or module:function, or FILE.py){near(name, listed)}"
        raise ValueError(f"unknown {kind} {name!r}; known: {accepted}")
    if name in names(package) and not stem and not point:
        clash = f"would be recorded as {name!r}, which camx has already; give it another name"
        raise ValueError(f"{kind} {reference} {clash}")
    attribute = attribute or hook or ""
    try:
        target = attrgetter(attribute)(module) if attribute else module
    except AttributeError:
        target = None
    if target is None or (hook and not callable(target)):
        sought = "function" if hook else "object"
        raise ValueError(f"{kind} {reference}: {module.__name__} has no {sought} {attribute!r}")
    if not stem and module.__name__.partition(".")[0] not in PUBLISHERS:
        warnings.warn(reference, ForeignCode, stacklevel=2)
    return Plugin(name, module, target, reference, shipped=bool(stem))
