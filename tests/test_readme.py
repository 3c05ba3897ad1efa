"""Every command the README shows in a `sh` block is run as it stands, and every command has
help.
"""

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from camx.cli import main
from camx.evaluators import datasets
from camx.evaluators.results import tables
from camx.evaluators.types import Cell

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SHOWN = [
    line.split("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
]


@pytest.mark.slow
def test_the_readme_s_commands_run(camx):
    commands = [line for line in SHOWN if line.startswith("camx ")]
    assert commands
    for line in commands:
        camx(*shlex.split(line)[1:])


def test_the_readme_s_python_runs(tmp_path, monkeypatch):
    """The examples of a method, a data set and a table are such, and that of the engine gives what
    it says.
    """
    method, data, engine = re.findall(r"```python\n(.*?)```", README, re.S)
    scope: dict = {}
    exec(method, scope)
    assert scope["cam"](SimpleNamespace(acts=torch.ones(2, 3, 4, 5))).shape == (2, 4, 5)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(
        sys.modules, "mine", ModuleType("mine")
    )  # so that loading mine.py leaves nothing behind
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/cat-1.jpg").write_bytes(b"")
    (tmp_path / "mine.py").write_text(data)
    assert datasets.load("mine.py").classes == ("cat", "dog")
    (tmp_path / "mine.yaml").write_text(re.search(r"```yaml\n(.*?)```", README, re.S)[1])
    assert [e.cell for e in tables.load("mine.yaml").entries][-1] == Cell.of(
        "brightness", "S5+S3", "gamma=2"
    )
    scope = {}
    exec(engine, scope)
    assert scope["found"]["layercam", "S5"].shape == (2, 7, 7)


def test_the_readme_s_make_targets_exist():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    shown = [line.split()[1] for line in SHOWN if line.startswith("make ")]
    assert {"demo", "test"} <= set(shown)
    assert set(shown) <= set(targets)


def test_the_readme_s_pictures_exist():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / path).is_file()


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_every_command_has_help_and_is_in_the_readme(camx, name):
    text = camx(name, "--help").stdout
    assert text.startswith(f"Usage: camx {name}")
    assert f"camx {name}" in README
