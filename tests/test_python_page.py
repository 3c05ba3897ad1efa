"""docs/python.md and docs/python.ipynb give what they show."""

import ast
import contextlib
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from camx.cli import explain

DOCS = Path(__file__).parents[1] / "docs"
NUMBER = re.compile(r"-?\d+\.?\d*")


@pytest.mark.slow
def test_the_page_s_explanation_is_as_shown(tmp_path, monkeypatch):
    """Of the photograph that README.md shows."""
    page = (DOCS / "python.md").read_text()
    shown = next(b for b in re.findall(r"```python\n(.*?)```", page, re.S) if "camx.load" in b)
    assert len([line for line in shown.splitlines() if line]) <= 10
    monkeypatch.chdir(tmp_path)
    coffee = next(path for path in explain.photographs() if path.stem == "coffee")
    Image.open(coffee).save("photo.jpg", quality=95)
    scope: dict = {}
    first, second = shown.split("module = ")
    exec(first, scope)
    seen = scope["seen"]
    ((name, share),) = seen.top(1)
    assert name == "espresso"
    assert round(share, 1) == 0.9
    for heatmap in seen.maps.values():
        assert heatmap.shape == Image.open("photo.jpg").size[::-1]
        assert heatmap.dtype == "float32"
        assert 0 <= heatmap.min() < heatmap.max() <= 1
    exec(f"module = {second}", scope)
    for name in ("overlay.png", "block.png"):
        assert Image.open(name).size == seen.size


def test_the_page_s_engine_gives_the_shapes_it_says():
    page = (DOCS / "python.md").read_text()
    *_, engine = re.findall(r"```python\n(.*?)```", page, re.S)
    scope: dict = {}
    exec(engine, scope)
    assert scope["found"]["layercam", "S5"].shape == (2, 7, 7)


def ran(source, scope):
    """What a cell prints, then the text of its last expression, as a notebook shows them."""
    *statements, last = ast.parse(source).body
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if not isinstance(last, ast.Expr):
            statements, last = [*statements, last], None
        exec(compile(ast.Module(statements, []), "cell", "exec"), scope)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), scope) if last else None
    text = re.sub(r" at 0x\w+", "", repr(value))  # a picture's address
    return printed.getvalue() + ("" if value is None else text)


def stored(outputs):
    texts = [output.get("text") or output["data"]["text/plain"] for output in outputs]
    return "".join("".join(text) for text in texts)


def alike(one, other):
    """The same words, and numbers near each other: another machine rounds otherwise."""
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (one, other)]
    if NUMBER.sub("0", one) != NUMBER.sub("0", other):
        return False
    return all(abs(a - b) <= (2 if a > 2 else 0.021) for a, b in zip(*numbers))


@pytest.mark.slow
def test_the_notebook_gives_what_it_stores():
    text = (DOCS / "python.ipynb").read_text()
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert len(text) < 300_000
    assert sum("image" in str(cell["outputs"]) for cell in cells) >= 3
    assert all(cell["outputs"] for cell in cells)
    assert [cell["execution_count"] for cell in cells] == [n + 1 for n in range(len(cells))]
    scope: dict = {}
    for cell in cells:
        given = ran("".join(cell["source"]), scope)
        assert alike(given, stored(cell["outputs"])), (given, stored(cell["outputs"]))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("[('cup', 0.9)]", "[('cup', 0.91)]", True),
        ("[('cup', 0.9)]", "[('mug', 0.9)]", False),
        ("[('cup', 0.9)]", "[('cup', 0.8)]", False),
        ("(400, 600)", "(400, 601)", True),
        ("(400, 600)", "(400, 610)", False),
        ("(400, 600)", "(400, 600, 3)", False),
    ],
)
def test_what_is_alike(one, other, same):
    assert alike(one, other) == same
