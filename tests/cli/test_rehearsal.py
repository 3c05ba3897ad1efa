"""``--dry-run``: what a run would do, its time measured on a few images; nothing is written."""

import re
import shutil
import tempfile
from types import SimpleNamespace

import pytest

from camx.cli import rehearsal

SMALL = ("localize", "--protocol", "single", "--method", "layercam", "--layer", "S5")
MINE = '''
"""Measure the brightness of maps."""
from dataclasses import dataclass

from camx.evaluators.tasks import Metric

TITLE, SOURCE, TASK = "brightness", "nobody", "localization"
METRICS = (Metric("mean"),)
METHODS, LAYER = ("layercam",), "S5"

@dataclass(frozen=True)
class Record:
    image_id: str
    method: str
    layer: str
    variant: str
    mean: float

def grade(picture, grids, logits, protocol):
    image_id = picture.sample.image_id
    return [Record(image_id, *cell.key, float(grid.mean())) for cell, grid in grids.items()]
'''


@pytest.fixture
def times(monkeypatch):
    """What each trial takes, in seconds, in their order."""

    def take(*seconds):
        moments = [0.0]
        for passed in seconds:
            moments += [moments[-1] + passed, moments[-1] + passed]
        monkeypatch.setattr(rehearsal, "clock", iter(moments).__next__)

    return take


@pytest.fixture
def scratch(monkeypatch, tmp_path_factory):
    """Where temporary folders are made."""
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def tree(folder):
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_what_is_said(camx, tmp_path, times, scratch):
    """Of 30 images 10 are recorded. A batch of 4 warms up, another takes 0.5 s, 12 images 2.4 s."""
    camx(*SMALL, "--limit", 10, "--batch-size", 4)
    before = tree(tmp_path)
    times(9.0, 0.5, 2.4)
    done = camx(*SMALL, "--limit", 30, "--batch-size", 4, "--dry-run")
    assert tree(tmp_path) == before
    assert not list(scratch.glob("camx-*"))
    said = done.stdout
    assert "1 cells, and everything, centre, random" in said
    assert "images  30, 10 of them recorded: 20 to do\n" in said
    assert "views   20, 1 an image: 5 batches of 4\n" in said
    assert re.search(r"^disk    about \d+(\.\d)? kB of records; \d.* GB free$", said, re.M)
    how = "0.2 s an image, measured on 12 images, after 4 to warm up"
    assert f"time    about 4 s: {how}\n" in said
    assert said.endswith(
        "        not counted: the tables at the end\nnothing was written to results/localize\n"
    )
    assert not done.stderr


def test_a_slow_first_batch_is_enough(camx, times):
    times(600.0)
    said = camx(*SMALL, "--limit", 6, "--batch-size", 2, "--dry-run").stdout
    assert "time    about 30 min: 3e+02 s an image, measured on 2 images, the first batch\n" in said


def test_no_more_images_than_there_are(camx, times):
    times(0.1, 0.1)
    said = camx(*SMALL, "--limit", 3, "--batch-size", 2, "--dry-run").stdout
    assert "measured on 3 images, after 2 to warm up" in said


def test_all_is_recorded(camx, tmp_path):
    camx(*SMALL, "--limit", 2)
    before = tree(tmp_path)
    said = camx(*SMALL, "--limit", 2, "--dry-run").stdout
    assert "images  2, 2 of them recorded: 0 to do\n" in said
    assert "disk    none; " in said
    assert "time    none: all is recorded\n" in said
    assert tree(tmp_path) == before


def test_views_of_ten_crops(camx, times):
    times(20.0)
    said = camx(
        "localize", "--method", "layercam", "--layer", "S5", "--limit", 3, "--dry-run"
    ).stdout  # fmt: skip
    assert "views   30, 10 an image: 2 batches of 2\n" in said


def test_saved_maps_take_room(camx, times, tmp_path):
    times(20.0)
    said = camx(*SMALL, "--limit", 4, "--batch-size", 2, "--save-maps", "--dry-run").stdout
    wanted = re.search(r"about (\S+) kB of records, about (\S+) kB of maps;", said)
    camx(*SMALL, "--limit", 4, "--save-maps")
    maps = sum(path.stat().st_size for path in tmp_path.glob("results/localize/maps/*.png"))
    assert float(wanted[2]) * 1000 == pytest.approx(maps, rel=0.3)


def test_too_little_room_is_a_warning(camx, times, monkeypatch):
    times(20.0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    done = camx(*SMALL, "--limit", 4, "--dry-run")
    assert re.search(r"warning: .*: about .* kB are needed, 1 kB are free; choose ", done.stderr)


def test_what_the_run_would_refuse_is_refused(camx, tmp_path):
    camx(*SMALL, "--limit", 2)
    before = tree(tmp_path)
    line = (*SMALL, "--set", "threshold=0.5", "--limit", 2)
    refused = camx(*line, "--dry-run", code=1).stderr
    assert "a run whose protocol.threshold is 0.15, not 0.5; choose another folder" in refused
    assert tree(tmp_path) == before
    assert camx(*line, code=1).stderr == refused


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "occlude --protocol single --area 0.1 --layer S5",
        "occlude --protocol single --metric insertion --layer S5 --method layercam",
        "defects --layer layer3",
        "pseudo --layer S4 --method layercam",
        "measure values --protocol single",
        "measure mine.py --protocol single",
    ],
)
def test_every_measuring_command(camx, tmp_path, times, line, scratch):
    times(20.0)
    (tmp_path / "mine.py").write_text(MINE)
    before = tree(tmp_path)
    said = camx(*line.split(), "--limit", 3, "--batch-size", 2, "--dry-run").stdout
    assert "images  3, 0 of them recorded: 3 to do" in said
    assert "about 30 s: 10 s an image, measured on 2 images, the first batch" in said
    assert ("iterations of FPS" in said) == line.startswith("defects")
    assert ("kB of labels" in said) == line.startswith("pseudo")
    after = {path: text for path, text in tree(tmp_path).items() if "__pycache__" not in str(path)}
    assert after == before
    assert not list(scratch.glob("camx-*"))


def test_masks_need_no_network(camx, tmp_path, times):
    from camx.evaluators import datasets

    scenes = datasets.load("mini", "segmentation", "val").samples[:3]
    (tmp_path / "masks").mkdir()
    for scene in scenes:
        shutil.copy(scene.mask, tmp_path / f"masks/{scene.image_id}.png")
    times(0.1, 2.0)
    line = ("segment", "evaluate", "--masks", "masks", "--limit", 3, "--dry-run")
    said = camx(*line).stdout
    assert "views" not in said
    assert "time    about 3 s: 1 s an image, measured on 2 images, after 1 to warm up\n" in said
    assert not (tmp_path / "results").exists()


def test_what_the_files_themselves_take_is_counted_once():
    first = rehearsal.Trial(2, 1.0, {"records": 1200})
    both = rehearsal.Trial(4, 1.0, {"records": 1400, "maps": 80}, first)
    assert both.room(10) == {"records": 2000, "maps": 320}
    assert both.room(2) == {"records": 1200, "maps": 0}
    assert rehearsal.Trial(2, 1.0, {"records": 1400}, first).room(4) == {"records": 2800}
    assert first.room(4) == {"records": 2400}
    assert both.time(10) == 2.5


def test_images_come_from_all_over():
    assert rehearsal.spread(range(10), 3) == [0, 3, 6]
    assert rehearsal.spread(range(10), 20) == list(range(10))
    assert rehearsal.spread(range(1), 1) == [0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"), (89, "89 s"), (90, "2 min"), (3570, "1 h 0 min"), (12000, "3 h 20 min"),
        (86400, "1 day 0 h"), (190800, "2 days 5 h"),
    ],
)  # fmt: skip
def test_a_duration(seconds, words):
    assert rehearsal.duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 kB"), (1500, "1.5 kB"), (156_000, "156 kB"), (2_100_000, "2.1 MB"), (5e12, "5000 GB")],
)
def test_a_size(count, words):
    assert rehearsal.size(count) == words
