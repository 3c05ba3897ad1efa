"""A run's folder held by one process at a time; the lock goes with the process, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from camx.evaluators import files

LOCK = ".lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder, which is made, for this process alone; what an earlier one left half is swept.

    Raises `ValueError` naming another folder where another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    path.touch()  # with the mode that the umask says, so that who may write here may lock
    lock = FileLock(path, timeout=0, mode=path.stat().st_mode & 0o777)
    try:
        lock.acquire()
    except Timeout:
        what = "another process is writing into it; wait for it, or choose another folder"
        raise ValueError(f"{folder}: {what}: --out {files.free(folder)}") from None
    with lock:
        files.sweep(folder)
        try:
            yield
        finally:
            lock.release()
