"""A small campaign of scripts/torture.py, and that it would see a fault."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts/torture.py"


@pytest.fixture(scope="module")
def torture():
    spec = importlib.util.spec_from_file_location("torture", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["torture"] = module
    spec.loader.exec_module(module)
    return module


def counted(text):
    return {name.strip(): int(n) for name, n in re.findall(r"^(\D+?) +(\d+)$", text, re.M)}


@pytest.mark.slow
def test_a_small_campaign_finds_nothing(torture):
    """One of the commands, struck in every way; `make torture` strikes all, many times."""
    words = ["--scale", "0.02", "--workers", "1", "--commands", "localize"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *words], capture_output=True, text=True, timeout=400,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    counts = counted(done.stdout)
    assert all(counts[kind] == 0 for kind in torture.BAD)
    struck = ("kill", "signal", "full disk", "read-only disk", "clock", "power loss", "two writers")
    assert all(counts[kind] >= 1 for kind in (*struck, "bit", "bad file"))


def test_what_a_command_needs_is_prepared(torture):
    assert torture.needed(["localize"]) == ["localize"]
    assert torture.needed(["segment-predict"]) == [
        "train-voc", "pseudo", "segment-train", "segment-predict"
    ]  # fmt: skip
    assert torture.needed(["tables"]) == ["localize", "tables"]
    assert torture.needed(torture.ORDER) == list(torture.ORDER)
    assert set(torture.ORDER) == set(torture.COMMANDS)


def test_power_takes_what_was_not_flushed(torture, tmp_path):
    """A rename whose folder was not flushed is undone; what was before is back."""
    faults = sys.modules["faults"]
    shadow, path = tmp_path / "shadow", tmp_path / "a.txt"
    code = f"""
import sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
import faults
from pathlib import Path
from camx.evaluators import files
path = Path({str(path)!r})
files.write_text(path, "first")
faults.power_loss(int(sys.argv[1]), Path({str(shadow)!r}))
files.write_text(path, "second")
"""
    # Struck before the file is flushed, before the rename, before its folder is flushed, never.
    for number, text in enumerate(("first", "first", "first", "second")):
        done = subprocess.run([sys.executable, "-c", code, str(number)], capture_output=True)
        assert done.returncode == (0 if number == 3 else -9), done.stderr
        faults.lose_power(shadow)
        assert path.read_text() == text
