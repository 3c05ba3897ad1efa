"""Faults for ``scripts/torture.py``, put into a process of camx that is about to run.

Each is a function of a number that says where it strikes: the n-th time something is made durable.
"""

import errno
import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path

from camx.evaluators import files, training, writer


def small_parts():
    """Write after every image and step, so that there is much to be struck."""
    writer.PART_IMAGES, training.CHECKPOINT_SECONDS, files.STALE = 1, 0, 0


def kill(number):
    """SIGKILL before, between or after the steps of the n-th write."""
    at = iter(range(10**9))

    def struck(call):
        def wrapped(*args, **kwargs):
            if next(at) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return wrapped

    os.fsync, Path.replace = struck(os.fsync), struck(Path.replace)


def full_disk(number, code=errno.ENOSPC):
    """From the n-th file on nothing more is written; what there was of it is half."""
    at, write = iter(range(10**9)), files.write_whole

    def half(path, fill):
        def cut(temporary):
            fill(temporary)
            os.truncate(temporary, temporary.stat().st_size // 2)
            raise OSError(code, os.strerror(code))

        return write(path, cut if next(at) >= number else fill)

    for module in list(__import__("sys").modules.values()):
        if getattr(module, "write_whole", None) is write:
            module.write_whole = half


def read_only(number):
    """The disk is mounted anew, for reading, as kernels do that find it damaged."""
    full_disk(number, errno.EROFS)


def clock(seed):
    """A clock that jumps by days, back and forth."""
    rng, now, ns = random.Random(seed), time.time, time.time_ns
    time.time = lambda: now() + rng.uniform(-1e6, 1e6)
    time.time_ns = lambda: ns() + rng.randrange(-(10**15), 10**15)
    monotonic = time.monotonic
    time.monotonic = lambda: monotonic() + rng.uniform(0, 100)


def power_loss(number, shadow):
    """SIGKILL at the n-th durable step, with a log of what a disk without power would have kept.

    Of a file that was renamed into place, what was there before is kept in `shadow` until its
    folder is flushed; a file whose content was not flushed before the rename is noted as lost.
    """
    at, fsync, replace, flushed = iter(range(10**9)), os.fsync, Path.replace, set()
    lock = threading.Lock()  # maps are written by several threads
    shadow.mkdir(parents=True, exist_ok=True)

    def strike():
        if next(at) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def renamed(source, target):
        strike()
        entry = shadow / f"{time.monotonic_ns()}-{random.randrange(10**9)}"
        with lock:
            entry.mkdir()
            if Path(target).exists():
                shutil.copy2(target, entry / "before")
            (entry / "lost").write_text("" if str(source) in flushed else "content")
            # Last, and whole: another thread may be struck between opening a file and filling it.
            (entry / "half").write_text(str(Path(target).absolute()))
            os.replace(entry / "half", entry / "path")
            return replace(source, target)

    def synced(descriptor):
        strike()
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        flushed.add(str(path))
        fsync(descriptor)
        if not path.is_dir():
            return
        with lock:
            for entry in list(shadow.iterdir()):
                safe = not (entry / "lost").read_text()
                if Path((entry / "path").read_text()).parent == path and safe:
                    (entry / "path").unlink()  # first: without it an entry counts for nothing
                    shutil.rmtree(entry)

    os.fsync, Path.replace = synced, renamed


def lose_power(shadow):
    """Undo what was not flushed, newest first; returns how many files that changed."""
    entries = sorted(shadow.iterdir(), reverse=True) if shadow.is_dir() else []
    for entry in entries:
        if not (entry / "path").exists():
            continue
        path = Path((entry / "path").read_text())
        if (entry / "before").exists():
            shutil.copy2(entry / "before", path)
        else:
            path.unlink(missing_ok=True)
    shutil.rmtree(shadow, ignore_errors=True)
    return len(entries)
