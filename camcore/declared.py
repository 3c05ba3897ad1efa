"""What the files of camx's own networks declare, read from their text: none is run, nor torch."""

import ast
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

MODELS = "camx.camcore.models"


def layers(model: str) -> tuple[str, ...]:
    """The names of a network's layers, deepest first; none for a network that is not camx's own."""
    stem = model.lower().replace("-", "_")
    shipped = stem.isidentifier() and _path(stem).is_file()
    return tuple(_module(stem).SPEC.layers) if shipped else ()


def _path(stem: str) -> Path:
    return Path(__file__).with_name("models") / f"{stem}.py"


@cache
def _module(stem: str) -> SimpleNamespace:
    """A network's file as far as its LAYERS go: itself, and the ``layers`` of its SPEC."""
    scope: dict[str, Any] = {"zip": zip, "range": range}
    for node in ast.parse(_path(stem).read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(MODELS):
            origin = str(node.module).removeprefix(MODELS).strip(".")
            for alias in node.names:
                module = _module(origin or alias.name)
                scope[alias.name] = module.LAYERS if alias.name == "LAYERS" else module
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(target) == "LAYERS":
                scope["LAYERS"] = _value(node.value, scope)
            elif ast.unparse(target) == "SPEC" and isinstance(node.value, ast.Call):
                scope["SPEC"] = SimpleNamespace(layers=_layers(node.value, scope))
    return SimpleNamespace(**scope)


def _layers(call: ast.Call, scope: dict[str, Any]) -> Any:
    """Of ``Spec(layers=...)``, ``replace(other.SPEC)`` or a function of a file with LAYERS."""
    for keyword in call.keywords:
        if keyword.arg == "layers":
            return _value(keyword.value, scope)
    if call.args and ast.unparse(call.args[0]).endswith(".SPEC"):
        return _value(call.args[0], scope).layers
    maker = scope.get(ast.unparse(call.func))
    return maker.LAYERS if maker else scope["LAYERS"]


def _value(node: ast.expr, scope: dict[str, Any]) -> Any:
    """The value of an expression of these names alone."""
    code = compile(ast.Expression(node), "LAYERS", "eval")
    return eval(code, {"__builtins__": {}, **scope})
