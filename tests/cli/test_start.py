"""A command says what it begins before it imports what takes seconds."""

import json
import subprocess
import sys

import pytest

HEAVY = ["torch", "torchvision", "pandas", "scipy", "matplotlib"]
# Ends where the first line is written, saying which modules were imported by then.
FIRST = f"""
import io, json, os, sys

class First(io.StringIO):
    def write(self, text):
        if not text:  # Click asks so whether it takes bytes or text
            return super().write(text)
        heavy = [name for name in {HEAVY} if name in sys.modules]
        os.write(1, json.dumps([text, heavy]).encode())
        os._exit(0)

sys.stdout = sys.stderr = First()
from camx.cli import main
sys.argv = ["camx", *sys.argv[1:]]
main.main()
"""
LINES = {
    "localize": "localize: mini, protocol paper",
    "localize --protocol single --set threshold=0.3":
        "localize: mini, protocol single, threshold=0.3",
    "audit --over iou": "audit: mini, protocol paper",
    "occlude --data /data/imagenet": "occlude: /data/imagenet, protocol paper",
    "defects --as torch-cam": "defects: mini, protocol torch-cam",
    "pseudo": "pseudo: mini, protocol paper",
    "measure values": "measure values: mini, protocol paper",
    "segment evaluate --masks here": "segment evaluate: mini",
    "segment train --labels there": "segment train: mini, labels there",
    "segment predict --weights w.safetensors": "segment predict: mini, weights w.safetensors",
    "train defects": "train defects: mini, split official",
    "train voc": "train voc: mini, split train_aug",
    "train wsol --arch acol": "train wsol: mini, architecture acol",
    "explain": "explain: efficientnet-lite0",
    "predict": "predict: mini, method layercam",
    "predict a b --method cam": "predict: 2 places, method cam",
    "identities --sample 2": "identities: mini, 2 images",
    "list layers --model mini-vgg": "list: layers of mini-vgg",
    "doctor": "doctor: the machine",
    "bench engine": "bench engine: vgg16, 5 rounds",
    "bench pipeline --rounds 1": "bench pipeline: mini, protocol paper, 1 rounds",
    "bench peers --model mini-vgg": "bench peers: mini-vgg, 5 rounds",
}  # fmt: skip


def first(*arguments):
    command = [sys.executable, "-c", FIRST, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("line", LINES)
def test_the_first_line_waits_for_no_heavy_import(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said, heavy = json.loads(first(*line.split()))
    assert said == f"camx {LINES[line]}; loading torch ...\n"
    assert heavy == []


def test_where_torch_is_there_nothing_is_said(camx):
    import torch  # noqa: F401

    assert "loading torch" not in camx("list", "layers", "--model", "mini-vgg").stdout


def test_quiet_is_quiet_from_the_start():
    assert not first("list", "layers", "--model", "mini-vgg", "--quiet")


# What a command never imports, however long it runs; each takes a part of its start.
UNUSED = {
    "explain --out {out}": ["torchvision", "pandas", "scipy", "timm", "numba"],
    "localize --protocol single --limit 4 --model mini-vgg --out {out}": ["torchvision", "timm"],
}


def imported(*arguments):
    """The modules there when a command has ended."""
    code = (
        "import atexit, json, os, sys\n"
        "atexit.register(lambda: os.write(2, json.dumps(list(sys.modules)).encode()))\n"
        "from camx.cli import main\nmain.main()"
    )
    command = [sys.executable, "-c", code, *arguments, "--quiet"]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    return set(json.loads(ended.stderr.splitlines()[-1]))


@pytest.mark.parametrize("line", UNUSED)
def test_a_command_imports_nothing_heavy_that_it_does_not_use(line, tmp_path):
    modules = imported(*line.format(out=tmp_path / "out").split())
    assert "torch" in modules
    assert not modules & set(UNUSED[line])
