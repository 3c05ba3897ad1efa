"""What docs/terminal.md shows in `sh` blocks is run by bash as it stands, in its order."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from camx.cli import main

PAGE = (Path(__file__).parents[2] / "docs/terminal.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="the page's commands are bash's")
def test_the_page_s_commands_run(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/camx"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m camx "$@"\n')
    command.chmod(0o755)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    script = "set -e\n" + "".join(blocks("sh")) + "complete -p camx\n"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("complete -o nosort -F ")
    assert done.stdout.count("nothing was written to results/") == 2
    assert (tmp_path / "table.md").read_text().startswith("Table I. ")
    assert "\\begin{tabular}{lrrrrrr}" in (tmp_path / "table.tex").read_text()
    for name in ("table", "compared", "claims", "methods"):
        assert len(pd.read_csv(tmp_path / f"{name}.csv", comment="#")) > 3
    narrow = done.stdout.split("\nTable I. ")[-1].split("95 % intervals: ")[0]
    assert max(map(len, narrow.splitlines())) <= 60


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_lines_are_click_s(shell):
    (block,) = blocks(shell)
    (said,) = re.findall(r"_CAMX_COMPLETE=(\w+)", block)
    assert said == f"{shell}_source"
    done = CliRunner().invoke(main.group, [], prog_name="camx", env={"_CAMX_COMPLETE": said})
    assert f"_CAMX_COMPLETE={shell}_complete" in done.output


def test_what_a_dry_run_says_has_the_page_s_form():
    """`test_rehearsal` tests the lines; those of the page are of that form."""
    (shown,) = blocks("text")
    heads = [line.split()[0] for line in shown.splitlines()[2:6]]
    assert heads == ["images", "views", "disk", "time"]
