"""`--workers-as processes`: the same records, warnings and errors as of threads."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from camx.evaluators import records
from camx.evaluators.miniature import ilsvrc as drawn

CAMX = Path(sys.executable).parent / "camx"
TASK = '''
"""What a map holds."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from camx.evaluators.tasks import Metric

TITLE, SOURCE, TASK = "what a map holds", "a test", "localization"
METRICS = (Metric("mean", "of its values"),)


@dataclass(frozen=True)
class Record:
    image_id: str
    method: str
    layer: str
    variant: str
    mean: float


def grade(picture, grids, logits, protocol):
    Path("begun").touch()
    time.sleep(float(os.environ.get("SLEPT", "0")))
    if os.environ.get("KILLED") == picture.sample.image_id and not Path("killed").exists():
        Path("killed").touch()
        os.kill(os.getpid(), 9)
    value = lambda grid: float(grid.mean()) + 1000 * os.getpid() * (os.environ.get("PID") == "1")
    return [Record(picture.sample.image_id, *c.key, value(g)) for c, g in grids.items()]
'''
MEASURE = '''
"""The brightest value."""

from dataclasses import dataclass

from camx.evaluators.measures import Row
from camx.evaluators.metrics import Metric

TITLE, SOURCE, TRUTH = "brightest", "a test", "boxes"
METRICS = (Metric("brightest", "of a map on the image"),)


@dataclass(frozen=True)
class Record(Row):
    brightest: float


def judge(shown, truth):
    return (float(shown.on_image.max()),)
'''
QUICK = (
    "--model",
    "mini-vgg",
    "--protocol",
    "single",
    "--method",
    "layercam",
    "--workers",
    "2",
    "--no-summary",
)


@pytest.fixture
def small(tmp_path):
    """Seven images, one of them black and one of them none."""
    (tmp_path / "task.py").write_text(TASK)
    (tmp_path / "bright.py").write_text(MEASURE)
    drawn.write(tmp_path / "small", images=7)
    paths = sorted((tmp_path / "small").rglob("*.JPEG"))
    paths[2].write_bytes(b"no image")
    with Image.open(paths[4]) as image:
        size = image.size
    Image.new("RGB", size).save(paths[4])
    return paths


def both(camx, *line):
    """What a command says with threads and with processes."""
    kinds = ("threads", "processes")
    return [camx(*line, "--workers-as", kind, "--out", kind) for kind in kinds]


@pytest.mark.slow
def test_a_task_of_ones_own(camx, small, tmp_path):
    line = ("measure", "task.py", "--data", "small", *QUICK, "--on-error", "skip")
    one, other = both(camx, *line)
    assert one.stderr.replace("threads", "processes") == other.stderr
    assert "skipped 1 of 7 images" in other.stderr
    for told in ("not camx's own was run, with your rights: 1", "nearly black"):
        assert told in other.stderr
    frames = [records.read(tmp_path / kind) for kind in ("threads", "processes")]
    assert frames[0].equals(frames[1])
    assert frames[0]["image_id"].nunique() == 6
    skipped = [(tmp_path / kind / "skipped.csv").read_text() for kind in ("threads", "processes")]
    assert skipped[0] == skipped[1]


@pytest.mark.slow
def test_a_measure_of_ones_own(camx, small, tmp_path):
    line = ("localize", "--data", "small", *QUICK, "--on-error", "skip", "--measure", "bright.py")
    both(camx, *line)
    for kind in ("records", "records-bright"):
        frames = [records.read(tmp_path / run, kind=kind) for run in ("threads", "processes")]
        assert len(frames[0]) == 6 * 8
        assert frames[0].equals(frames[1])


@pytest.mark.slow
def test_the_work_is_done_elsewhere(camx, small, tmp_path, monkeypatch):
    small[2].write_bytes(small[1].read_bytes())
    monkeypatch.setenv("PID", "1")
    line = ("measure", "task.py", "--data", "small", *QUICK, "--layer", "S5")
    both(camx, *line)
    means = [records.read(tmp_path / kind)["mean"] for kind in ("threads", "processes")]
    assert ((means[0] - 1000 * os.getpid()).between(0, 255)).all()
    assert not ((means[1] - 1000 * os.getpid()).between(0, 255)).any()


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_run_and_the_same_command_goes_on(
    camx, small, tmp_path, monkeypatch
):
    """The kernel kills what takes too much memory. That is no bad image, which may be skipped."""
    monkeypatch.setenv("KILLED", small[5].stem)
    line = ("measure", "task.py", "--data", "small", *QUICK, "--on-error", "skip")
    line = (*line, "--batch-size", "2", "--workers-as", "processes")
    done = camx(*line, "--out", "out", code=1)
    lines = done.stderr.splitlines()
    assert [text for text in lines if text.startswith("error: ")] == [lines[-1]]
    assert "a worker process was killed by SIGKILL; fewer --workers, or" in lines[-1]
    held = records.read(tmp_path / "out")["image_id"].nunique()
    assert 2 <= held < 6
    camx(*line, "--out", "out")
    assert records.read(tmp_path / "out")["image_id"].nunique() == 6


@pytest.mark.slow
def test_ctrl_c_finishes_what_is_under_way(small, tmp_path):
    """To the whole group, as a terminal sends it."""
    small[2].write_bytes(small[1].read_bytes())
    line = ["measure", "task.py", "--data", "small", *QUICK, "--workers-as", "processes"]
    line = [str(CAMX), *line, "--batch-size", "1", "--workers", "1"]
    begun = subprocess.Popen(
        line, cwd=tmp_path, env=os.environ | {"SLEPT": "0.5"}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background ignores it
    )  # fmt: skip
    while not (tmp_path / "begun").exists():
        assert begun.poll() is None
        time.sleep(0.02)
    os.killpg(begun.pid, signal.SIGINT)
    _, told = begun.communicate(timeout=600)
    assert begun.returncode == 130, told
    assert "finishing what is under way" in told
    assert "Traceback" not in told
    assert 1 <= records.read(tmp_path / "results/task")["image_id"].nunique() < 7


def test_what_workers_may_be(camx):
    done = camx("localize", "--workers-as", "forks", code=2)
    assert "'forks' is not one of 'threads', 'processes'" in done.stderr
