"""Several processes measure together, as ``torchrun`` starts them, on this machine's CPU."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from camx.evaluators import records, skips

# One rank: `lines` of camx's words, a run each, at a port each; what they gave is printed.
RANK = """
import json, os, sys, time
from camx.cli import main
from camx.evaluators import writer

writer.PART_SECONDS, seconds = float("inf"), float(sys.argv[1])
if seconds:  # a part an image, so slowly that a process is killed in their midst
    writer.PART_IMAGES, add = 1, writer.Writer.add
    def slowly(*arguments):
        time.sleep(seconds)
        add(*arguments)
    writer.Writer.add = slowly
codes, ports = [], sys.argv[2].split(",")
for port, words in zip(ports, json.loads(sys.argv[3])):
    os.environ["MASTER_PORT"], sys.argv = port, ["camx", *words]
    try:
        main.main()
        codes.append(0)
    except SystemExit as stop:
        codes.append(stop.code or 0)
print(codes, file=sys.__stdout__)
"""


SECOND = "the second's"


def port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def started(folder, lines, count=2, seconds=0.0):
    """`count` ranks begun; a line's words after ``SECOND`` are the second one's alone."""
    ports = ",".join(str(port()) for _ in lines)
    place = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": str(count), "GLOO_SOCKET_IFNAME": "lo"}
    place |= {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    return [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(seconds), ports, json.dumps(words_of(rank, lines))],
            cwd=folder, env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(count)
    ]  # fmt: skip


def words_of(rank, lines):
    words = [[*map(str, line)] for line in lines]
    apart = [w.index(SECOND) if SECOND in w else len(w) for w in words]
    return [w[:at] + (w[at + 1 :] if rank == 1 else []) for w, at in zip(words, apart)]


def ended(processes):
    """What each printed last, all that it printed, its errors."""
    told = [process.communicate(timeout=300) for process in processes]
    return [(out.strip().rpartition("\n")[2], out, err) for out, err in told]


def held(run):
    """All records of a run, by kind."""
    kinds = sorted(path.name for path in run.glob("records*"))
    return {kind: records.read(run, kind=kind) for kind in kinds}


TASKS = {
    "localize": [
        *("--protocol", "single", "--method", "layercam", "--layer", "S5", "--layer", "S5+S4"),
        *("--limit", 7, "--measure", "energy", "--measure", "pointing", "--save-maps", "npy"),
    ],
    "occlude": ["--protocol", "single", "--limit", 5, "--method", "layercam", "--layer", "S5"],
    "defects": ["--layer", "layer3", "--method", "layercam", "--limit", 5, "--iterations", 2],
    "pseudo": ["--limit", 5, "--method", "layercam", "--layer", "S5"],
    "values": ["--protocol", "single", "--limit", 3, "--method", "layercam"],
    "score": ["one/localize/maps", "--limit", 5, "--measure", "pointing"],
    "evaluate": ["--masks", "one/pseudo/labels/layercam_S5", "--split", "train_aug", "--limit", 5],
}
GROUPS = {"values": ["measure", "values"], "evaluate": ["segment", "evaluate"]}
QUICK = ["localize", "--protocol", "single", "--method", "layercam", "--layer", "S5"]
MANY = ["localize", "--protocol", "single", "--method", "layercam", "--limit", 48]
MANY += ["--batch-size", 1]
LABELS = ["--labels", "one/pseudo/labels/layercam_S5"]
PICTURES = [*QUICK, "--data", "boxes.csv", "--model", "mini-vgg"]
# What two processes are told besides, the codes that they end with, and what they say.
FURTHER = [
    ([*PICTURES, "--on-error", "skip", "--out", "skipped"], (0, 0), ""),
    (["segment", "train", *LABELS, "--iterations", 3, "--out", "trained"], (0, 0), ""),
    ([*QUICK, "--data", "nowhere"], (1, 1), "nowhere"),
    ([*QUICK, "--methd", "layercam"], (2, 2), "--methd"),
    (["tables"], (2, 2), "camx tables is one process's, but torchrun started 2"),
    ([*QUICK, "--limit", 2, "--out", "taken"], (0, 0), ""),
    ([*QUICK, "--limit", 2, "--seed", 1, "--out", "taken"], (1, 1), "whose seed is 0, not 1"),
    ([*QUICK, "--limit", 2, SECOND, "--limit", 3], (1, 1), "process 1 of 2 reads other data"),
    ([*QUICK, "--limit", 2, SECOND, "--out", "apart"], (1, 1), "process 1 of 2: apart: the first"),
    ([*PICTURES, "--out", "stopped"], (1, 1), "image"),
]


def line(task, out):
    return [*GROUPS.get(task, [task]), *TASKS[task], "--out", f"{out}/{task}"]


def drawn(n):
    file = io.BytesIO()
    pixels = np.random.default_rng(n).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def measured(tmp_path_factory, camx_home):
    """The folder with each task's run by one process, and by two, and what these printed."""
    folder = tmp_path_factory.mktemp("several")
    rows = ["image,label,x0,y0,x1,y1"]
    for n in range(6):
        (folder / f"{n}.png").write_bytes(b"no picture" if n in (1, 4) else drawn(n))
        rows.append(f"{n}.png,class{n},1,1,20,20")
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    (folder / "classes.txt").write_text("".join(f"class{n}\n" for n in range(10)))
    os.environ["CAMX_HOME"] = str(camx_home)
    lines = [line(task, "one") for task in TASKS]
    (alone,) = ended(started(folder, [*lines, [*MANY, "--out", "one/many"]], count=1))
    assert alone[0] == str([0] * (1 + len(TASKS))), alone[2]
    lines = [line(task, "two") for task in TASKS]
    return folder, ended(started(folder, lines + [words for words, *_ in FURTHER]))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_two_processes_record_what_one_does(measured, task):
    folder, _ = measured
    one, two = (held(folder / count / task) for count in ("one", "two"))
    assert one.keys() == two.keys()
    for kind, frame in one.items():
        assert len(frame)
        assert frame.equals(two[kind]), kind
    parts = [len(list((folder / n / task).glob("records*/*.parquet"))) for n in ("one", "two")]
    assert parts[1] == 2 * parts[0]  # each has written


@pytest.mark.slow
def test_the_first_prints_and_describes_the_run(measured):
    folder, (first, second) = measured
    assert first[1].count("records: two/") == len(TASKS)
    assert second[1].strip() == second[0]
    for task in TASKS:
        run, alone = (records.load(folder / name / task) for name in ("two", "one"))
        assert (run.last["processes"], alone.last["processes"]) == (2, 1)
        assert run.last["counts"] == alone.last["counts"]
        assert len(run.invocations) == 1


@pytest.mark.slow
def test_what_processes_skip_is_listed_by_the_first(measured):
    folder, (first, _) = measured
    assert sorted(skips.read(folder / "skipped")) == ["1", "4"]
    assert records.load(folder / "skipped").last["counts"]["skipped"] == 2
    assert "skipped 2 of 6 images" in first[2]


@pytest.mark.slow
def test_two_processes_train(measured):
    """Their weights and log are the first one's to write; a step's images are in two parts."""
    folder, _ = measured
    weights = {path.name for path in (folder / "trained").glob("*.safetensors")}
    assert weights == {"best.safetensors", "last.safetensors"}
    run = records.load(folder / "trained")
    assert (run.identity["parts"], len(run.invocations)) == (2, 1)
    assert len((folder / "trained/log.csv").read_text().splitlines()) == 1 + 3


@pytest.mark.slow
def test_errors_are_said_once_and_end_all(measured):
    _, told = measured
    codes = [json.loads(last)[len(TASKS) :] for last, *_ in told]
    assert [*zip(*codes)] == [codes for _, codes, _ in FURTHER], told
    errors = [line for *_, err in told for line in err.splitlines() if line.startswith("error: ")]
    said = [words for _, codes, words in FURTHER if codes[0]]
    for words in said[:-1]:
        assert len([error for error in errors if words in error]) == 1, (words, errors)
    # The last one stops in the midst: each says what happened to it.
    assert len(errors) == len(said) + 1


@pytest.mark.slow
def test_four_killed_one_by_one_leave_a_run_that_three_finish(measured, tmp_path):
    """Nothing is lost or doubled: the records are those of one process."""
    one, run = measured[0] / "one/many", tmp_path / "many"
    four = started(tmp_path, [[*MANY, "--out", "many"]], count=4, seconds=0.15)
    for at, rank in enumerate((2, 0, 3, 1), 1):
        deadline = time.monotonic() + 120
        while len(list(run.glob("records/*.parquet"))) < 3 * at and time.monotonic() < deadline:
            time.sleep(0.01)
        four[rank].send_signal(signal.SIGKILL)
    ended(four)
    assert {process.returncode for process in four} == {-signal.SIGKILL}
    assert 12 <= len(list(run.glob("records/*.parquet"))) < 48
    three = ended(started(tmp_path, [[*MANY, "--out", "many"]], count=3))
    assert {last for last, *_ in three} == {"[0]"}, three
    assert "of 48 images done before" in three[0][1]
    whole, mended = held(one), held(run)
    assert whole.keys() == mended.keys()
    assert all(frame.equals(mended[kind]) for kind, frame in whole.items())
    assert records.load(run).last["processes"] == 3
