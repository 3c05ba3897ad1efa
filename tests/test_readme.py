"""Every command has help and stands in the README, which shows how camx is made and tested."""

import re
from pathlib import Path

import pytest

from camx.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_readme_shows_the_two_commands():
    shown = re.findall(r"^make (\w+)", README, re.M)
    assert {"demo", "test"} <= set(shown)


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_every_command_has_help_and_is_in_the_readme(camx, name):
    text = camx(name, "--help").stdout
    assert text.startswith(f"Usage: camx {name}")
    assert f"camx {name}" in README
