"""Every command the README shows in a `sh` block is run as it stands, and every command has
help.
"""

import re
import shlex
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from PIL import Image

from camx.cli import explain, main
from camx.evaluators import datasets
from camx.evaluators.miniature import dagm, ilsvrc, voc
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


# What stands for the user's own files, and what makes a command short; then what a command gets
# besides: the miniature's networks, for ours have no weights to begin with.
INSTEAD = {
    "--model vgg16 --weights vgg16_caffe.pth": "--model mini-vgg",
    "--sample 500": "--sample 1",
    "--split 3550/400": "--split 30/10",
    "--download": "--init none",
    "--batch-size 64": "--batch-size 4",
    "--arch acol": "--arch acol --model mini-acol",
    "--arch adl": "--arch adl --model mini-adl",
    "--crf": "",
}
BESIDES = {
    "camx localize": "--set view=resize --limit 1",
    "camx occlude": "--set view=resize --limit 1",
    "camx defects": "--iterations 0 --limit 3",
    "camx train defects": "--model mini-defects --epochs 1",
    "camx train voc": "--model mini-vgg-voc --epochs 1",
    "camx train wsol": "--epochs 1 --epoch-steps 2",
    "camx pseudo": "--limit 4",
    "camx segment train": "--model mini-largefov --iterations 2",
    "camx segment predict": "--limit 4",
}


def console(page):
    """The commands of a page's `console` blocks."""
    blocks = re.findall(r"```console\n(.*?)```", page, re.S)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


@pytest.fixture
def data(tmp_path):
    """The folders and the manifest that the README's commands speak of, of the miniature's."""
    ilsvrc.write(tmp_path / "data/imagenet", images=3)
    ilsvrc.write_train(tmp_path / "part", images=60)
    train = "ILSVRC/Data/CLS-LOC/train"
    (tmp_path / "part" / train).rename(tmp_path / "data/imagenet" / train)
    dagm.write(tmp_path / "data/DAGM2007", 2, 2)
    voc.write(tmp_path / "data/VOCdevkit", 6, 4)
    manifest = re.search(r"```csv\n(.*?)```", README, re.S)[1]
    (tmp_path / "pictures.csv").write_text(manifest)
    part = tmp_path / "data/DAGM2007/Class1/Train"
    masks = sorted((part / "Label").iterdir())
    for line in manifest.splitlines()[1:]:
        image, _, mask, _ = line.split(",")
        pictures = {image: part / masks[0].name.replace("_label", ""), mask: masks[0]}
        for name, source in pictures.items():
            if name:
                (tmp_path / name).parent.mkdir(exist_ok=True)
                shutil.copy(source, tmp_path / name)
    return tmp_path / "data"


@pytest.mark.slow
def test_the_readme_s_console_blocks_run(camx, data):
    """On the miniature's folders, in the page's order, each a short version of what is shown."""
    commands = console(README)
    assert len(commands) > 10
    for command in commands:
        line = command.replace("/data/", f"{data}/")
        for shown, short in INSTEAD.items():
            line = line.replace(shown, short)
        words = shlex.split(line, comments=True)
        name = max((n for n in BESIDES if line.startswith(n)), key=len, default="")
        camx(*words[1:], *BESIDES.get(name, "").split())


def test_the_readme_s_python_runs(tmp_path, monkeypatch):
    """The examples of a method, a data set and a table are such, and that of the engine gives what
    it says.
    """
    method, data, _, engine = re.findall(r"```python\n(.*?)```", README, re.S)
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


@pytest.mark.slow
def test_the_readme_s_explanation_is_as_shown(tmp_path, monkeypatch):
    """Of the photograph that the page shows."""
    shown = next(b for b in re.findall(r"```python\n(.*?)```", README, re.S) if "camx.load" in b)
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
