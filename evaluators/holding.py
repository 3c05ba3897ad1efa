"""A run's folder held by one process at a time; the lock goes with the process, however it ends."""

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from camx.evaluators import files

LOCK = ".lock"
UNABLE = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # what file systems without locks say


class Unlocked(UserWarning):
    """file systems without locks: nothing keeps two processes out of one folder"""


@contextmanager
def locked(path: Path, timeout: float = -1) -> Iterator[bool]:
    """A lock file held; False, with a warning, where the file system has no locks.

    It waits for as many seconds, or for ever; then it raises `filelock.Timeout`.
    """
    path.touch()  # with the mode that the umask says, so that who may write here may lock
    lock = FileLock(path, timeout=timeout, mode=path.stat().st_mode & 0o777)
    able = True
    try:
        lock.acquire()
    except (NotImplementedError, OSError) as error:
        lacking = isinstance(error, NotImplementedError) or error.errno in UNABLE
        if isinstance(error, Timeout) or not lacking:
            raise
        warnings.warn(str(path.parent), Unlocked, stacklevel=2)
        able = False
    try:
        yield able
    finally:
        lock.release()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder, which is made, for this process alone; what an earlier one left half is swept.

    Raises `ValueError` naming another folder where another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = locked(folder / LOCK, timeout=0)
    try:
        able = lock.__enter__()
    except Timeout:
        what = "another process is writing into it; wait for it, or choose another folder"
        raise ValueError(f"{folder}: {what}: --out {files.free(folder)}") from None
    try:
        files.sweep(folder, 0 if able else files.STALE)
        yield
    finally:
        lock.__exit__(None, None, None)
