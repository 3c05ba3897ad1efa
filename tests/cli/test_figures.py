"""`camx figures`, and the commands that docs/figures.md shows, as they stand."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = (Path(__file__).parents[2] / "docs/figures.md").read_text()
QUICK = ("--images", 1, "--format", "png", "--protocol", "single")


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.S)


def lines(kind):
    shown = [line.split("#")[0].strip() for block in blocks(kind) for line in block.splitlines()]
    return [shlex.split(line.removeprefix("$ ")) for line in shown if line]


def with_one(command):
    """The command for a single image, which is quicker; the last that is said counts."""
    return [*command, "--images", "1"] if command[1] == "figures" else command


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_the_page_s_commands_run(camx, tmp_path):
    """Those of an empty folder first: all figures but the one that is of masks. Of one image."""
    commands = [with_one(command) for command in lines("sh")]
    first = camx(*commands[0][1:])
    made = tmp_path / "results/figures"
    names = [f"figure_{n:02d}" for n in (1, 4, 5, 6, 7, 8, 10)]
    every = sorted([f"{n}.{s}" for n in names for s in ("png", "pdf")] + ["figure_04.csv"])
    assert files(made) == every
    assert "Figure 9 is left out: no run has masks" in first.stderr
    assert "`camx segment predict`" in first.stderr
    for command in commands[1:]:
        assert command[0] == "camx"
        camx(*command[1:])
    assert {"figure_09.png", "figure_09.pdf"} <= set(files(made))
    Image.linear_gradient("L").save(tmp_path / "PHOTO.jpg")
    (tmp_path / "mine.yaml").write_text(blocks("yaml")[0])
    for command in lines("console"):
        camx(*with_one(command)[1:])
    assert {"figure_mine.png", "figure_mine.pdf"} <= set(files(made))


def test_every_figure_stands_on_the_page():
    from camx.evaluators.results import figures

    rows = re.findall(r"^\| (\d+) \| `([\w ]+)`", PAGE, re.M)
    assert [name for name, _ in rows] == figures.names()
    for name, command in rows:
        assert command.split()[0] == figures.load(name).task.name


def test_one_figure_of_named_images(camx, tmp_path):
    done = camx("figures", "mini_val_00000007", "--figure", 10, *QUICK, "--out", "out")
    assert done.stdout == "Figure 10: out/figure_10.png\n"
    assert files(tmp_path / "out") == ["figure_10.png"]
    assert Image.open(tmp_path / "out/figure_10.png").size[0] == 1432  # 7.16 inches at 200 dpi


def test_what_cannot_be_drawn_is_a_line_and_the_others_are_drawn(camx, tmp_path):
    done = camx("figures", "--figure", 9, "--figure", 1, *QUICK)
    assert done.stdout == "Figure 1: results/figures/figure_01.png\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("Figure 9 is left out: no run has masks of layercam S5, ")
    done = camx("figures", "--figure", 9, code=1)
    *_, last = done.stderr.splitlines()
    assert last == "error: nothing was drawn of Figure 9"
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        (("--figure", "2"), "unknown figure '2'; known: 1, 4, 5", 2),
        (("--figure", "gone.yaml"), "gone.yaml: no such figure file", 1),
        (("--format", "gif"), "format 'gif' is none; accepted: png, pdf", 2),
        (("--images", "0"), "'0' is not accepted; accepted: a whole number from 1", 2),
        (("nobody", "--figure", "1"), "nobody: no such file, nor image such as mini_val", 1),
        (("--figure", "1", "--data", "no/where"), "no/where: no such data folder or file", 1),
        (("--figure", "1", "--protocol", "papr"), "unknown protocol 'papr'", 1),
    ],
)
def test_errors_are_lines(camx, tmp_path, arguments, told, code):
    done = camx("figures", *arguments, code=code)
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_masks_of_networks_and_of_pseudo_labels(camx, tmp_path):
    """Those that a network predicted come before the labels that it learned from."""
    camx("pseudo", "--limit", 30, "--table", "X", "--no-summary")
    labels = camx("figures", "--figure", 9, *QUICK, "--format", "pdf")
    assert "left out" not in labels.stderr
    train = ("segment", "train", "--labels", "results/pseudo/labels/layercam_S5+S4")
    camx(*train, "--iterations", 2, "--out", "results/train")
    weights = ("--weights", "results/train/last.safetensors")
    camx("segment", "predict", *weights, "--limit", 3, "--out", "results/predict")
    done = camx("figures", "--figure", 9, *QUICK, "--images", 3)
    assert "layercam S5 is left out: no run has its masks" in done.stderr
    assert "layercam S5+S4 gamma=2 is left out" not in done.stderr
    image = np.asarray(Image.open(tmp_path / "results/figures/figure_09.png").convert("RGB"))
    assert image.shape[1] == 1432
    (line,) = camx("figures", "x", "--figure", 9, code=1).stderr.splitlines()[:1]
    assert "x: no image that has masks; accepted: such as mini_0003" in line
