"""The loop: how often the network is asked, and that nothing but the image and the cell moves a
record.
"""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from camx.camcore import networks
from camx.evaluators import datasets, grids, loop, protocols, records, tasks
from camx.evaluators import plan as cells
from camx.evaluators.tasks import localize
from camx.evaluators.types import Cell

CAMX = Path(sys.executable).parent / "camx"


@pytest.fixture(scope="module")
def network():
    return networks.load("mini-vgg")


def samples(count):
    return datasets.load("mini").samples[:count]


def gradient_cells(network):
    task = tasks.load("localize")
    return cells.of_tables((), ("I", "II", "III", "IV", "XII"), task, network)[0]


def make(network, chosen, out, protocol="paper", save_maps="", fields=None, **options):
    loaded = protocols.load(protocol, "localize", localize.Protocol, fields)
    options = {"batch_size": 20, "workers": 2, **options}
    plan = grids.plan(network, loaded, chosen, **options)
    return loop.Measurement(
        out, datasets.load("mini"), samples(2), tuple(chosen), loaded, None, 0, plan,
        save_maps=save_maps,
    )  # fmt: skip


def measured(job, chosen):
    missing = {s.image_id: set(job.cells) for s in chosen}
    with records.Writer(job.out / "records") as writer:
        loop.measure(job, localize.grade, chosen, missing, writer, lambda: None)
    return records.read(job.out)


def shown_to(network, monkeypatch):
    """The batch sizes that the network will be shown."""
    sizes, forward = [], network.module.forward
    monkeypatch.setattr(
        network.module, "forward", lambda images: sizes.append(len(images)) or forward(images)
    )
    return sizes


def test_one_pass_feeds_every_gradient_cell(network, monkeypatch, tmp_path):
    """Tables I-IV and XII: one forward and one backward per view batch, whatever the number of
    cells.
    """
    chosen = gradient_cells(network)
    assert len(chosen) == 59
    forwards, backwards = shown_to(network, monkeypatch), []
    original = torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda *a, **k: backwards.append(1) or original(*a, **k)
    )
    frame = measured(make(network, chosen, tmp_path), samples(5))
    assert len(frame) == 5 * 59
    assert forwards == [20, 20, 20]  # three batches of two images in ten crops, the last one padded
    assert len(backwards) == 3


@pytest.mark.parametrize("protocol", ["single", pytest.param("paper", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("two_threads")
def test_neighbours_workers_and_order_change_no_record(network, tmp_path, protocol):
    chosen, images = gradient_cells(network), samples(7)

    def run(name, images, workers):
        return measured(make(network, chosen, tmp_path / name, protocol, workers=workers), images)

    whole, backwards = run("whole", images, 2), run("backwards", images[::-1], 1)
    assert whole.equals(backwards)
    mine = whole[whole["image_id"] == images[3].image_id].reset_index(drop=True)
    assert mine.equals(run("alone", images[3:4], 4))


@pytest.mark.usefixtures("two_threads")
def test_a_cell_does_not_depend_on_the_others(network, tmp_path):
    whole = measured(make(network, gradient_cells(network), tmp_path / "whole"), samples(2))
    one = Cell.of("layercam", "S5+S4+S3", "gamma=3")
    alone = measured(make(network, [one], tmp_path / "alone"), samples(2))
    same = (whole[records.CELL] == list(one.key)).all(axis=1)
    assert whole[same].reset_index(drop=True).equals(alone)


def test_a_batch_smaller_than_an_image_s_crops(network, tmp_path):
    chosen = [Cell.of("layercam", "S4")]
    whole, small = (
        measured(make(network, chosen, tmp_path / str(size), batch_size=size), samples(2))
        for size in (10, 4)
    )
    assert (abs(whole[["x0", "y0", "x1", "y1"]] - small[["x0", "y0", "x1", "y1"]]) <= 1).all().all()


def test_maps_can_be_saved(network, tmp_path):
    names = {
        "S4": Cell.of("layercam", "S4"),
        "S5+S3": Cell.of("layercam", "S5+S3", "gamma=2"),
        "S5+S3_scale=tan": Cell.of("layercam", "S5+S3", "scale=tan"),
        "S3": Cell.of("layercam", "S3"),
        "S3_gamma=2": Cell.of("layercam", "S3", "gamma=2"),
    }
    job = make(network, list(names.values()), tmp_path, save_maps="png")
    assert loop.unsaved_maps(job) == {s.image_id: set(job.cells) for s in samples(2)}
    assert loop.unsaved_maps(make(network, job.cells, tmp_path)) == {}
    measured(job, samples(1))
    first, second = (s.image_id for s in samples(2))
    found = {
        p.name: cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in (tmp_path / "maps").iterdir()
    }
    assert set(found) == {f"{first}_layercam_{end}.png" for end in names}
    assert loop.unsaved_maps(job) == {first: set(), second: set(job.cells)}
    for m in found.values():
        assert (m.shape, m.dtype) == ((128, 128), np.uint8)
        assert m.max() >= 254


def test_padding_costs_no_masked_pass(network, monkeypatch, tmp_path):
    """One image in a batch of four: Score-CAM asks the network about that image only."""
    shown = shown_to(network, monkeypatch)
    job = make(network, [Cell.of("scorecam", "S5")], tmp_path, "single", batch_size=4)
    measured(job, samples(1))
    assert sum(shown) <= 4 + 64


def test_own_gradient_moves_layercam(network, tmp_path):
    one = [Cell.of("layercam", "S3")]
    own, following = (
        measured(make(network, one, tmp_path / name, fields={"gradient": name}), samples(3))
        for name in ("own", "next")
    )
    assert not own.equals(following)


def test_only_the_missing_cells_of_an_image_are_recorded(network, tmp_path):
    chosen = [Cell.of("layercam", "S5"), Cell.of("gradcam", "S5")]
    job, (first, second) = make(network, chosen, tmp_path, "single"), samples(2)
    missing = {first.image_id: {chosen[0]}, second.image_id: set(chosen)}
    ticks = []
    with records.Writer(tmp_path / "records") as writer:
        loop.measure(job, localize.grade, [first, second], missing, writer, lambda: ticks.append(1))
    assert records.done(tmp_path) == {
        chosen[0]: {first.image_id, second.image_id},
        chosen[1]: {second.image_id},
    }
    assert len(ticks) == 2


def test_results_come_in_order_and_not_all_at_once():
    """The first is done after the second and third, and the fourth is not begun before it."""
    begun, done = [], [threading.Event() for _ in range(20)]

    def work(number):
        begun.append(number)
        if number == 0:
            assert done[1].wait(600)
            assert done[2].wait(600)
        done[number].set()
        return number

    with ThreadPoolExecutor(4) as pool:
        results = loop.ahead(pool, work, range(20), 3)
        assert next(results) == 0
        assert sorted(begun)[:3] == [0, 1, 2]
        assert max(begun) <= 3
        assert list(results) == list(range(1, 20))


def test_a_task_without_a_network_makes_no_maps(tmp_path):
    job = loop.Measurement(tmp_path, datasets.load("mini"), (), (), None, None, 0)
    with pytest.raises(ValueError, match="makes no maps"):
        _ = job.plan


# camx that kills itself after so many images, however fast it is; parts are of 256 images alone.
KILLED = """
import os, signal, sys
from camx.cli.main import main
from camx.evaluators import records, writer

left, add = [int(sys.argv.pop(1))], records.Writer.add
writer.PART_SECONDS = float("inf")

def counted(collecting, *rows):
    add(collecting, *rows)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)

records.Writer.add = counted
main()
"""


@pytest.mark.slow
def test_kill_9_then_the_same_command(tmp_path):
    """The records of a run killed twice are those of an undisturbed run, none twice."""
    command = ["localize", "--protocol", "single", "--method", "layercam"]
    command += ["--batch-size", "2", "--out"]
    subprocess.run([CAMX, *command, "whole"], cwd=tmp_path, check=True, capture_output=True)
    killed, held = tmp_path / "killed", []
    for images in (300, 50):  # in the second part of the first run, and of the next
        line = [sys.executable, "-c", KILLED, str(images), *command, "killed"]
        assert subprocess.run(line, cwd=tmp_path).returncode == -signal.SIGKILL
        held.append(len(records.read(killed)))  # three null rows beside five layers
    assert held == [256 * 8, 256 * 8]
    subprocess.run([CAMX, *command, "killed"], cwd=tmp_path, check=True, capture_output=True)
    frame = records.read(killed)
    assert not frame.duplicated(["image_id", "method", "layer", "variant"]).any()
    assert frame.equals(records.read(tmp_path / "whole"))


def test_what_is_before_an_error_is_not_lost():
    """Its results come first, then the error; what would come after it is never asked for."""

    def items():
        yield from range(5)
        raise ValueError("the sixth")

    for depth in (1, 3, 9):
        with ThreadPoolExecutor(2) as pool:
            made = loop.ahead(pool, lambda n: n * n, items(), depth)
            assert [next(made) for _ in range(5)] == [0, 1, 4, 9, 16]
            with pytest.raises(ValueError, match="the sixth"):
                next(made)


def test_records_before_a_bad_image_are_written(network, tmp_path):
    """The run stops at it, and all batches before are recorded."""
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    some = samples(6)
    bad = replace(some[5], path=tmp_path / "bad.jpg")
    job = make(network, [Cell.of("layercam", "S5")], tmp_path / "run", "single", batch_size=2)
    with pytest.raises(ValueError, match=r"bad\.jpg"):
        measured(job, [*some[:5], bad])
    assert records.read(tmp_path / "run")["image_id"].nunique() >= 4
