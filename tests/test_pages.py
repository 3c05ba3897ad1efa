"""Every code block of README.md, CONTRIBUTING.md and docs/*.md is run, page by page, in the page's
order: commands as they stand, or, of the real data sets, on the miniature's folders, which have the
same layout.
"""

import configparser
import re
import shlex
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from PIL import Image

from camx.cli import explain
from camx.evaluators.miniature import dagm, ilsvrc, voc

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    p.relative_to(ROOT).as_posix() for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
)
ELSEWHERE = {  # with what they give
    "docs/evaluators.md": "tests/evaluators/tasks/test_own.py",
    "docs/figures.md": "tests/cli/test_figures.py",
    "docs/terminal.md": "tests/cli/test_terminal_page.py",
}
SETTINGS = configparser.ConfigParser()
SETTINGS.read(ROOT / "setup.cfg")
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")  # a block's first line, where it is a file
KINDS = ("sh", "console", "python", "yaml", "csv", "text")  # text is what something prints
# What stands for the user's own files, and what makes a command short; then what a command gets
# besides: the miniature's networks, for ours have no weights to begin with.
INSTEAD = {
    "--model vgg16 --weights vgg16_caffe.pth": "--model mini-vgg",
    "--sample 500": "--sample 1",
    "--split 3550/400": "--split 30/10",
    "--download": "--init none",
    "--batch-size 64": "--batch-size 4",
    "--arch vgg16-gap": "--arch vgg16-gap --model mini-vgg-gap",
    "--arch acol": "--arch acol --model mini-acol",
    "--arch adl": "--arch adl --model mini-adl",
    "--crf": "",
    "--submit slurm": "--submit slurm --dry-run",
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
    "camx report": "--images 1",
    "camx score": "--limit 1",
}


class Block(NamedTuple):
    language: str
    text: str


def blocks(page):
    return [Block(*found) for found in FENCE.findall((ROOT / page).read_text())]


def steps(text):
    """``(command, the error line it ends with or '')`` of a `console` block."""
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append([line[2:], ""])
        else:
            found[-1][1] = line
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_kind_that_is_run(page):
    text = (ROOT / page).read_text()
    assert len(blocks(page)) * 2 == text.count("```")
    if page in ELSEWHERE:
        assert page in (ROOT / ELSEWHERE[page]).read_text()
    else:
        assert {block.language for block in blocks(page)} <= set(KINDS)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The folders, archives, lists and pictures that pages speak of, of the miniature's."""
    folder = tmp_path_factory.mktemp("given")
    root, packed = folder / "data", tmp_path_factory.mktemp("packed")
    ilsvrc.write(root / "imagenet", images=3)
    ilsvrc.write_train(packed / "train", images=60)
    train = "ILSVRC/Data/CLS-LOC/train"
    shutil.copytree(packed / "train" / train, root / "imagenet" / train)
    dagm.write(root / "DAGM2007", 2, 2)
    voc.write(root / "VOCdevkit", 6, 4)
    archives(root, packed)
    names = sorted(path.name for path in (root / "VOCdevkit/VOC2012/JPEGImages").iterdir())
    lines = [f"{name} {number}\n" for number, name in enumerate(names)]
    (folder / "input_list.txt").write_text("".join(lines))
    coffee = next(path for path in explain.photographs() if path.stem == "coffee")
    for name in ("photo.jpg", "pictures/cat-1.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.open(coffee).save(folder / name, quality=95)
    return folder


@pytest.fixture
def data(given, tmp_path):
    """The page's own copy."""
    return shutil.copytree(given, tmp_path, dirs_exist_ok=True) / "data"


def archives(root, packed):
    """What the owners of the data sets give out, as they pack it, in ``data/archives``."""
    place, kaggle = root / "archives", root / "imagenet/ILSVRC"
    place.mkdir()
    with tarfile.open(place / "ILSVRC2012_img_val.tar", "w") as tar:
        for path in sorted((kaggle / "Data/CLS-LOC/val").iterdir()):
            tar.add(path, path.name)
    with tarfile.open(place / "ILSVRC2012_bbox_val_v3.tgz", "w:gz") as tar:
        tar.add(kaggle / "Annotations/CLS-LOC/val", "val")
    with tarfile.open(place / "ILSVRC2012_img_train.tar", "w") as tar:
        for folder in sorted((kaggle / "Data/CLS-LOC/train").iterdir()):
            with tarfile.open(packed / f"{folder.name}.tar", "w") as inner:
                for path in sorted(folder.iterdir()):
                    inner.add(path, path.name)
            tar.add(packed / f"{folder.name}.tar", f"{folder.name}.tar")
    with tarfile.open(place / "VOCtrainval_11-May-2012.tar", "w") as tar:
        tar.add(root / "VOCdevkit", "VOCdevkit")
    for folder in ("ilsvrc", "bare"):  # where a page unpacks them; the miniature's own classes
        (root / folder / "val").mkdir(parents=True)
        shutil.copy(root / "imagenet/LOC_synset_mapping.txt", root / folder)
    picture = min((kaggle / "Data/CLS-LOC/val").iterdir())
    shutil.copy(picture, root / "bare/val")


def listed(folder, text):
    """A page's CSV file, of defects as ``pictures.csv`` or of boxes as ``boxes.csv``, and the
    pictures it names.
    """
    header, *lines = text.splitlines()
    if header.startswith("image,label,"):
        (folder / "boxes.csv").write_text(text)
        named = {line.split(",")[0]: folder / "photo.jpg" for line in lines}
    else:
        (folder / "pictures.csv").write_text(text)
        part = folder / "data/DAGM2007/Class1/Train"
        mask = min((part / "Label").iterdir())
        picture = part / mask.name.replace("_label", "")
        rows = [line.split(",") for line in lines]
        named = {row[0]: picture for row in rows} | {row[2]: mask for row in rows if row[2]}
    for name, source in named.items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(source, folder / name)


def shell(line, folder):
    """Run a line of another command, in the folder; those that install are looked at only."""
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
        assert words[1] in targets, line
    elif words[:2] == ["pip", "install"]:
        extras = SETTINGS["options.extras_require"]
        known = re.findall(r"^[\w-]+", "\n".join(extras.values()) + "\n.", re.M)
        assert set(words[2:]) <= {*known, ".", *(f".[{extra}]" for extra in extras)}, line
    elif words[:1] == ["python"]:
        source = (ROOT / words[1]).read_text()
        assert all(word in source for word in words[2:] if word.startswith("--")), line
    else:
        subprocess.run(["bash", "-euc", line], cwd=folder, check=True)


def torchrun(words):
    """``torchrun --nproc-per-node N -m camx ARGUMENTS`` as one process."""
    return words[words.index("-m") + 1 :] if words[0] == "torchrun" else words


def real(camx_anyhow, line, error, data):
    """A command of a `console` block: short, on the miniature's folders, with the error shown."""
    line, error = (re.sub(r"(?<!\S)/data(?=[/\s]|$)", str(data), text) for text in (line, error))
    if not line.startswith(("camx ", "torchrun ")):
        shell(line, data.parent)
        return
    for shown, short in INSTEAD.items():
        line = line.replace(shown, short)
    words = torchrun(shlex.split(line, comments=True))
    name = max((n for n in BESIDES if " ".join(words).startswith(n)), key=len, default="")
    done = camx_anyhow(*words[1:], *BESIDES.get(name, "").split())
    assert (done.code != 0) == bool(error), line + done.out + done.err
    assert error.removesuffix(" ...") in done.err, line + done.err


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if p not in ELSEWHERE and blocks(p)])
def test_a_page_s_blocks_run(page, camx, camx_anyhow, data, monkeypatch):
    monkeypatch.chdir(data.parent)
    scope: dict = {}
    for language, text in blocks(page):
        file = FILE.match(text)
        if language == "csv":
            listed(data.parent, text)
        elif language == "yaml" or (file and language == "python"):
            yaml.safe_load(text) if language == "yaml" else compile(text, page, "exec")
            (data.parent / file[1]).write_text(text)
        elif language == "python":
            exec(text, scope)
        elif language == "sh":
            for line in text.splitlines():
                words = shlex.split(line, comments=True)
                camx(*words[1:]) if words[0] == "camx" else shell(line, data.parent)
        elif language == "console":
            for line, error in steps(text):
                real(camx_anyhow, line, error, data)


LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_exists(page):
    for target in LINK.findall((ROOT / page).read_text()):
        assert ((ROOT / page).parent / target).is_file(), target


@pytest.mark.parametrize(
    "line",
    [
        "make nothing",
        "pip install nothing",
        "python scripts/nothing.py",
        "python scripts/bench_measures.py --nothing",
        "ls nothing",
    ],
)
def test_a_line_that_would_not_work_is_found(line, tmp_path):
    with pytest.raises((AssertionError, OSError, subprocess.CalledProcessError)):
        shell(line, tmp_path)


def test_an_error_shown_otherwise_is_found(camx_anyhow, tmp_path):
    line = "camx localize --data /data/nothing"
    real(camx_anyhow, line, "error: /data/nothing: no such data ...", tmp_path / "data")
    for error in ("", "error: /data/nothing: no such folder"):
        with pytest.raises(AssertionError):
            real(camx_anyhow, line, error, tmp_path / "data")
    with pytest.raises(AssertionError):
        real(camx_anyhow, "camx list methods", "error: none", tmp_path / "data")
