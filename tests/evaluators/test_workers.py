"""Worker processes: what threads give, bit for bit; they outlive signals, and nobody else."""

import os
import signal
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camx.camcore import networks
from camx.camcore.image_files import BlankImage
from camx.evaluators import datasets, grids, loop, measures, protocols, records, skips
from camx.evaluators.tasks import defects, localize
from camx.evaluators.tasks.pseudo import grading
from camx.evaluators.types import Cell, Sample
from camx.evaluators.workers import InThreads, Memory, Processes, WorkerLost

KILL = "__import__('os').kill(__import__('os').getpid(), 9)"


@pytest.fixture(scope="module")
def processes():
    begun = Processes(2)
    yield begun
    begun.close()


def test_arrays_come_as_they_went():
    made = np.random.default_rng(0)
    images = [made.integers(0, 256, size, np.uint8) for size in ((3, 5, 7), (0, 4), (1,), (64,))]
    floats = [made.normal(size=9).astype(np.float32), np.asfortranarray(made.normal(size=(5, 3)))]
    many = {number: np.full(number, number) for number in range(1500)}  # more than one call writes
    thing = {"images": images, "floats": floats, "strided": images[0][:, ::2], "many": many}
    mine, memory = Memory(), Memory()
    for _ in range(2):
        back = mine.get(*mine.put(thing))
        assert str(back.keys()) == str(thing.keys())
        for one, other in zip([*images, *floats], [*back["images"], *back["floats"]]):
            assert one.dtype == other.dtype
            assert one.flags.f_contiguous == other.flags.f_contiguous
            assert np.array_equal(one, other)
            assert other.ctypes.data % other.itemsize == 0
        assert np.array_equal(back["strided"], thing["strided"])
        assert all(np.array_equal(many[n], back["many"][n]) for n in many)
    assert memory.get(*memory.put("no array")) == "no array"


def test_what_was_got_stays_when_more_is_put():
    memory = Memory()
    first = memory.get(*memory.put(np.arange(9)))
    memory.put(np.zeros(9))
    assert np.array_equal(first, np.arange(9))


def test_the_file_is_as_large_as_the_largest_message():
    memory = Memory()
    for size in (10, 100_000, 64, 100_000, 7):
        memory.put(np.zeros(size, np.uint8))
    assert os.fstat(memory.file).st_size == 100_032


def test_memory_that_ends_is_no_fault_of_an_image(monkeypatch):
    """An `OSError` would be taken for one."""
    memory = Memory()
    monkeypatch.setattr(os, "pwritev", lambda *_: 1)
    with pytest.raises(WorkerLost, match="no memory for 128 bytes"):
        memory.put(np.zeros(9))
    assert not issubclass(WorkerLost, skips.UNREADABLE)


def test_a_worker_imports_what_it_needs_and_no_torch(processes):
    protocol = protocols.load("paper", "localize", localize.Protocol)
    judges = measures.asked([measures.ALL], masked=True)
    boxes, masks = loop.Grading(localize.grade, protocol, judges), loop.Grading(defects.grade, None)
    labels = grading.Grading(Path(), None, 3, ())
    for work in (partial(loop.decode, sides=(8,)), boxes, masks, labels):
        processes.sent(work)
    asked = processes.sent(eval)
    assert asked("'camx.evaluators.tasks.pseudo.superpixels' in __import__('sys').modules")
    assert not asked("'torch' in __import__('sys').modules")
    assert asked("__import__('cv2').getNumThreads()") == 1


def test_errors_are_raised_here_as_there(processes):
    asked = processes.sent(eval)
    with pytest.raises(ZeroDivisionError, match="division by zero") as raised:
        asked("1 / 0")
    assert "in <module>" in str(raised.value.__cause__)
    cannot = "__import__('camx.camcore.faults').camcore.faults.NotFinite"
    with pytest.raises(RuntimeError, match="cannot be sent"):
        asked(f"exec('class E(ValueError):pass\\nraise E(\"cannot be sent\")') or {cannot}")
    with pytest.raises(Exception, match="pickle"):
        asked("lambda: 1")
    assert asked("1 + 1") == 2


def test_warnings_are_raised_here_and_once_for_each(tmp_path, processes):
    path = tmp_path / "black.png"
    Image.new("RGB", (9, 8)).save(path)
    decode = processes.sent(partial(loop.decode, sides=(4,)))
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("default")
        pictures = [decode(Sample("black", path, 0)) for _ in range(5)]
    assert [w.category for w in raised] == [BlankImage]
    assert str(path) in str(raised[0].message)
    assert all(picture.pixels.shape == (8, 9, 3) for picture in pictures)


def test_what_is_shown_of_warnings_is_said_here(processes):
    """By default a `DeprecationWarning` is not, where it is raised."""
    asked = processes.sent(eval)
    with pytest.warns(DeprecationWarning, match="old"):
        asked("__import__('warnings').warn('old', DeprecationWarning)")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="new"):
            asked("__import__('warnings').warn('new')")
    assert asked("3 + 4") == 7


def test_what_cannot_be_sent_is_done_in_threads(processes, monkeypatch):
    def local(item):
        return item

    with pytest.warns(InThreads, match="local"):
        assert processes.sent(local) is local
    monkeypatch.setattr(sys.modules["__main__"], "typed", local, raising=False)
    monkeypatch.setattr(local, "__module__", "__main__")
    monkeypatch.setattr(local, "__qualname__", "typed")
    with pytest.warns(InThreads, match="typed"):  # which another process has not typed
        assert processes.sent(local) is local
    assert processes.sent(eval)("2 + 2") == 4


def test_signals_that_end_camx_end_no_worker(processes):
    asked = processes.sent(eval)
    pid = asked("__import__('os').getpid()")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert {asked("__import__('os').getpid()") for _ in range(4)} == {pid}
    assert os.getsid(pid) != os.getsid(0)  # where a terminal's signals do not come


def test_a_worker_that_is_killed_is_an_error():
    begun = Processes(1)
    asked = begun.sent(eval)
    for _ in range(2):
        with pytest.raises(WorkerLost, match=r"killed by SIGKILL; fewer --workers"):
            asked(KILL)
    other = Processes(1)
    with pytest.raises(WorkerLost, match="ended with 3"):
        other.sent(eval)("__import__('os')._exit(3)")


def gone(pid):
    """Whether a process ends, or is a zombie that nobody waits for."""
    for _ in range(1000):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, None])
def test_workers_end_with_the_process_that_began_them(number):
    code = (
        "import sys; from camx.evaluators.workers import Processes; made = Processes(2)\n"
        "print(*[w.process.pid for w in made._idle.queue], flush=True); sys.stdin.read()"
    )
    begun = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    pids = list(map(int, begun.stdout.readline().split()))
    assert len(pids) == 2
    if number:
        begun.send_signal(number)
    begun.stdin.close()
    begun.wait()
    begun.stdout.close()
    assert all(map(gone, pids))


def measured(job, samples, grade):
    missing = {s.image_id: set(job.cells) for s in samples}
    with records.Writer(job.out / "records") as writer:
        loop.measure(job, grade, samples, missing, writer, lambda: None)
    kinds = ["records", *(measure.kind for measure in job.measures)]
    return [records.read(job.out, kind=kind) for kind in kinds]


@pytest.mark.slow
@pytest.mark.parametrize("size", [None, 64])
def test_records_are_those_of_threads(tmp_path, processes, size):
    """Boxes, GrabCut's with its random numbers, measures, saved maps and null rows."""
    network, dataset = networks.load("mini-vgg"), datasets.load("mini")
    fields = {"grabcut": ["S2", "S1"], "grabcut_size": size}
    protocol = protocols.load("single", "localize", localize.Protocol, fields)
    cells = [Cell.of(m, layer) for m in ("layercam", "gradcam") for layer in ("S5", "S2", "S1")]
    frames, files, samples = [], [], dataset.samples[:4]
    for name, begun in (("threads", None), ("processes", processes)):
        plan = grids.plan(network, protocol, cells, batch_size=3, workers=2, processes=begun)
        job = loop.Measurement(
            tmp_path / name, dataset, samples, tuple(cells), protocol, None, 0, plan,
            save_maps="npy", nulls=(Cell("centre"),), measures=measures.asked(["pxap"], True),
        )  # fmt: skip
        frames.append(measured(job, samples, localize.grade))
        maps = sorted((job.out / "maps").rglob("*.npy"))
        files.append([(p.relative_to(job.out), p.read_bytes()) for p in maps])
    assert [len(frame) > 0 for frame in frames[0]] == [True, True]
    assert all(one.equals(other) for one, other in zip(*frames))
    assert len(files[0]) == 4 * 6
    assert files[0] == files[1]
