import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camx.cli import main
from camx.evaluators.datasets import dagm

CAMX = Path(sys.executable).parent / "camx"


def test_help_is_instant():
    """It takes as long as its imports: Click, a few of Python's own, and four modules of camx."""
    code = """
import sys
from camx.cli.main import group
group.main(["--help"], standalone_mode=False)
print(len(sys.modules), *(name for name in sys.modules if name.startswith("camx.")))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    count, *loaded = done.stdout.splitlines()[-1].split()
    assert int(count) < 200  # 118 on Python 3.11, of them 67 before camx begins; torch has 1500
    files = {name for name in loaded if name.count(".") > 1}
    assert files == {
        "camx.cli.main", "camx.cli.options", "camx.cli.several", "camx.camcore.suggestions",
        "camx.evaluators.fields", "camx.evaluators.ranks", "camx.evaluators.stopping",
    }  # fmt: skip


# Their commands are made from their tasks, whose modules read and write records.
OF_TASKS = (
    "audit", "defects", "localize", "measure", "occlude", "pseudo", "score", "segment", "train",
)  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list", "methods"], *([name, "--help"] for name in sorted(main.COMMANDS))],
    ids=" ".join,
)
def test_start_up_imports_no_torch(arguments, tmp_path):
    slow = {"torch"} if arguments[0] in OF_TASKS else {"torch", "pandas", "cv2"}
    code = f"""
import sys
from camx.cli.main import group
group.main({arguments!r}, standalone_mode=False)
sys.exit(bool({slow!r} & set(sys.modules)))
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)


def test_version(camx):
    assert camx("--version").stdout.startswith("camx 0.")


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("segmenters", "deeplab-resnet101"),
        ("methods", "layercam-normal"),
        ("models", "resnet50"),
        ("datasets", "mini"),
        ("datasets", "VOC20NN/JPEGImages/*.jpg"),
        ("tables", "localize"),
        ("figures", "gradients differ"),
        ("protocols", "threshold"),
    ],
)
def test_list(camx, kind, known):
    assert known in camx("list", kind).stdout


def test_a_list_of_datasets_says_what_each_reads_and_fits_the_window(camx, monkeypatch):
    for columns in (80, 100):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = camx("list", "datasets").stdout.splitlines()
        assert max(map(len, lines)) <= columns
    first, second = camx("list", "datasets", "--format", "csv").stdout.strip().split("\n\n")
    titles, layouts = (list(csv.DictReader(part.splitlines())) for part in (first, second))
    assert [row["name"] for row in titles] == [row["name"] for row in layouts]
    by_name = {row["name"]: [*row.values()][1:] for row in layouts}
    assert by_name["mini"] == ["any", "no folder"]
    assert by_name["dagm"] == ["defects", dagm.LAYOUT]


def test_a_server_without_libgl_is_told_the_cure(tmp_path):
    """A cv2 whose import fails as it does where libGL is missing."""
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2/__init__.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')"
    )
    for command in ("localize", "explain"):
        done = subprocess.run(
            [CAMX, command],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        assert done.returncode == 1
        assert "opencv-python-headless" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_both_opencv_packages_live_together():
    """grad-cam brings opencv-python-headless beside opencv-python; both write the folder cv2."""
    import importlib.metadata

    import cv2

    found = {
        importlib.metadata.version(name) for name in ("opencv-python", "opencv-python-headless")
    }
    assert found == {importlib.metadata.version("opencv-python")}
    assert importlib.metadata.version("opencv-python").startswith(cv2.__version__)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["localise"], "No such command 'localise'"),
        (
            ["localize", "--method", "gradcamm"],
            "unknown method 'gradcamm'; known: ablationcam, acol, cam",
        ),
        (["localize", "--layer", "S6"], "unknown layer 'S6' of mini-vgg; known: S5"),
        (["localize", "--layer", "S5+S9"], "unknown layer 'S9'"),
        (["localize", "--protocol", "papr"], "unknown protocol 'papr'"),
        (["localize", "--set", "threshold"], "not FIELD=VALUE"),
        (["localize", "--set", "threshold=3"], "threshold is 3"),
        (["localize", "--set", "grabcut=[S9]"], "grabcut: unknown layer 'S9'; known: S5, S4"),
        (["localize", "--set", "grabcut_methods=[gradcan]"], "Did you mean 'gradcam'?"),
        (["localize", "--device", "tpu"], "device 'tpu'"),
        (["tables", "--table", "XX"], "unknown table 'XX'"),
        (["localize", "--limit", "0"], "--limit"),
        (["explain", "--class", "unicorn"], "unknown class 'unicorn'"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(camx, arguments, word):
    done = camx(*arguments, code=2)
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("localise", "localize"),
        ("train defekts", "defects"),
        ("segment evalute", "evaluate"),
        ("list modls", "models"),
        ("localize --method layer-cam", "layercam"),
        ("localize --protocol Papper", "paper"),
        ("localize --set treshold=0.1", "threshold"),
        ("pseudo --interpolation linaer", "linear"),
        ("tables --table iix", "IX"),
        ("claims --claim a7", "A7"),
    ],
)
def test_a_mistyped_name_is_guessed(camx, line, meant):
    assert f"Did you mean '{meant}'?" in camx(*line.split(), code=2).stderr


def test_what_is_like_nothing_is_not_guessed(camx):
    assert "Did you mean" not in camx("localize", "--method", "xyzzy", code=2).stderr


@pytest.mark.parametrize("line", ["", "train", "segment", "measure"])
def test_a_group_alone_prints_its_help(camx, line):
    done = camx(*line.split())
    assert done.stdout.startswith(f"Usage: camx {line}".rstrip())
    assert not done.stderr


def test_ctrl_c_is_130(camx, monkeypatch):
    def stop(*_arguments, **_named):
        raise KeyboardInterrupt

    monkeypatch.setattr(main.group, "main", stop)
    assert "the same command goes on from there" in camx(code=130).stderr


def test_debug_shows_the_traceback(camx):
    assert "Traceback" in camx("localize", "--data", "/no/where", "--debug", code=1).stderr
    assert "Traceback" not in camx("localize", "--data", "/no/where", code=1).stderr


@pytest.fixture
def dark(tmp_path):
    """Pictures of 12 bits in files of 16."""
    noise = np.random.default_rng(0).integers(0, 4096, (3, 40, 40))
    for number, pixels in enumerate(noise.astype(np.uint16)):
        Image.fromarray(pixels).save(tmp_path / f"dark-{number}.png")
    return sorted(tmp_path.glob("dark-*.png"))


def test_blank_pictures_are_counted_and_said_once(camx, dark):
    line = ["explain", "--model", "mini-vgg", "--layer", "S5", "--method", "layercam"]
    (said,) = camx(*line, *dark).stderr.splitlines()
    assert said.startswith("warning: pictures of one colour or nearly black (12 bits in a file of")
    assert f": 3, such as {dark[0]}: brightest value 16 of 255" in said


def test_quiet_is_quiet(camx, dark):
    for line in (
        "localize --limit 1 --layer S5 --method layercam --protocol single --quiet",
        "tables --runs results --quiet",
        "list methods --quiet",
    ):
        done = camx(*line.split())
        assert not done.stdout + done.stderr
    assert "warning" in camx("explain", "--model", "mini-vgg", dark[0], "--quiet").stderr
    assert camx("list", "methods").stdout  # and only then
