"""Workers: what decodes and scores beside the network, in threads or in processes.

Of Python one thread runs at a time; a process has a lock of its own. What that is worth stands in
docs/performance.md. Each process is a fresh interpreter that imports what its work needs, no torch.
Arrays travel in a file without a name, in memory, one a process: nothing of it is left, whoever is
killed. A worker heeds no signal. It ends with the process that began it.
"""

import itertools
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, Pipe
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
R = TypeVar("R")
KINDS = ("threads", "processes")
BEGIN = (
    "import sys; pipe, file, *sys.path = sys.argv[1:]; "
    "from camx.evaluators.workers import serve; serve(int(pipe), int(file))"
)
ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ALIGNED = 64  # bytes; arrays begin at multiples of it
PARTS = 1024  # that one call of the system writes
_said: dict[Any, Any] = {}  # warnings that workers raised: where many do, one is shown


class InThreads(UserWarning):
    """processes could not be sent what a task or measure needs, so threads did the work"""


class WorkerLost(RuntimeError):
    """A worker process ended before its work did."""


class Traceback(Exception):
    """Where in a worker an error was raised; the cause of the same error here."""


class Memory:
    """A file without a name that two processes see, for the arrays of one message at a time."""

    def __init__(self, file: int | None = None) -> None:
        self.file = _file() if file is None else file

    def put(self, thing: Any) -> tuple[list[int], bytes]:
        """Arrays into the file: how many bytes each has, and the rest pickled.

        `WorkerLost` where memory does not hold them.
        """
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(thing, 5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        parts = [part for view in views for part in (view, bytes(-view.nbytes % ALIGNED))]
        at = 0
        for first in range(0, len(parts), PARTS):
            some = parts[first : first + PARTS]
            end = at + sum(map(len, some))
            try:
                at += os.pwritev(self.file, some, at)
            except OSError as error:
                raise WorkerLost(f"arrays for a worker process: {error.strerror}") from error
            if at < end:
                raise WorkerLost(f"no memory for {end} bytes of arrays for a worker process")
        return [view.nbytes for view in views], body

    def get(self, sizes: Sequence[int], body: bytes) -> Any:
        """What was put, its arrays copied out of the file."""
        ends = list(itertools.accumulate(size + -size % ALIGNED for size in sizes))
        data = np.empty(ends[-1] if ends else 0, np.uint8)
        if ends and os.preadv(self.file, [data.data], 0) < len(data):
            raise WorkerLost("arrays of a worker process are cut off")
        starts = [0, *ends[:-1]]
        buffers = [data[start : start + size] for start, size in zip(starts, sizes)]
        return pickle.loads(body, buffers=buffers)


def _file() -> int:
    """A new file without a name: in memory on Linux, however small its ``/dev/shm`` is."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("camx")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Worker:
    """A process of its own, which does one piece of work at a time."""

    def __init__(self) -> None:
        self.pipe, other = Pipe()
        self.memory, self.sent = Memory(), set[int]()
        files = (other.fileno(), self.memory.file)
        # No terminal's Ctrl-C reaches another session.
        self.process = subprocess.Popen(
            [sys.executable, "-c", BEGIN, *map(str, files), *sys.path], pass_fds=files,
            stdin=subprocess.DEVNULL, start_new_session=True, env=os.environ | ALONE,
        )  # fmt: skip
        other.close()

    def call(self, number: int, work: bytes, items: tuple[Any, ...]) -> list[Any]:
        """What the pickled `work`, number `number`, makes of the items.

        Raises what it raises, and `WorkerLost` if the process ends.
        """
        new = b"" if number in self.sent else work
        message = pickle.dumps((number, new, *self.memory.put(items)))
        try:
            self.pipe.send_bytes(message)
            sizes, body, error, where, said = pickle.loads(self.pipe.recv_bytes())
        except (EOFError, ConnectionError):
            raise WorkerLost(self._end()) from None
        self.sent.add(number)
        for text, category, name, line in said:
            warnings.warn_explicit(text, category, name, line, registry=_said)
        if error:
            raise error from Traceback(where)
        results: list[Any] = self.memory.get(sizes, body)
        return results

    def _end(self) -> str:
        code = self.process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        hint = "fewer --workers, or --workers-as threads, need less memory"
        return f"a worker process {how}; {hint if code == -9 else 'its last words are above'}"

    def close(self) -> None:
        """End the process, which has nothing to do any more."""
        self.pipe.close()
        self.process.kill()
        self.process.wait()
        os.close(self.memory.file)


class Processes:
    """`count` worker processes, begun at once; they end when nothing refers to them any more.

    `ValueError` on systems that cannot share such files.
    """

    def __init__(self, count: int) -> None:
        if not hasattr(os, "preadv"):
            raise ValueError(f"no worker processes on {sys.platform}; accepted: threads")
        workers = [Worker() for _ in range(count)]
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()
        for worker in workers:
            self._idle.put(worker)
        self._numbers = itertools.count()
        self.close = weakref.finalize(self, _close, workers)

    def sent(self, work: Callable[[T], R]) -> Callable[[T], R]:
        """The same, done by a process; as it is, with a warning, where it cannot be sent."""
        number = next(self._numbers)
        try:
            text = pickle.dumps(work)
            self._call(number, text)
        except WorkerLost:
            raise
        except Exception as error:
            warnings.warn(f"{type(error).__name__}: {error}", InThreads, stacklevel=2)
            return work
        return lambda item: self._call(number, text, item)[0]

    def _call(self, number: int, work: bytes, *items: Any) -> list[Any]:
        worker = self._idle.get()
        try:
            return worker.call(number, work, items)
        finally:
            self._idle.put(worker)


def _close(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.close()


def begun(kind: str | None, count: int, device: str) -> Processes | None:
    """Worker processes, if those are asked for; by default on CUDA, where the cores are free."""
    on_gpu = device.startswith("cuda") and hasattr(os, "preadv")
    return Processes(count) if (kind or KINDS[on_gpu]) == "processes" else None


def ahead(
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], depth: int
) -> Iterator[R]:
    """Results in order, at most `depth` of them under way or waiting.

    Where the items end with an error, the results of those before it come first.
    """
    queue: deque[Future[R]] = deque()
    submitted = (pool.submit(work, item) for item in items)
    error = _extended(queue, submitted, depth)
    try:
        while queue:
            result = queue.popleft().result()
            error = error or _extended(queue, submitted, 1)
            yield result
        if error:
            raise error
    finally:
        for future in queue:
            future.cancel()


def _extended(queue: "deque[T]", items: Iterator[T], count: int) -> Exception | None:
    """Put `count` more items into the queue; what went wrong in making one."""
    try:
        queue.extend(itertools.islice(items, count))
    except Exception as error:
        return error
    return None


def serve(pipe: int, file: int) -> None:
    """What a worker process does: work as it comes, until nobody sends any."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    import cv2

    cv2.setNumThreads(1)  # the processes are the parallelism
    asked, memory = Connection(pipe), Memory(file)
    works: dict[int, Callable[[Any], Any]] = {}
    try:
        while True:
            asked.send_bytes(_answer(works, memory, asked.recv_bytes()))
    except (EOFError, ConnectionError):
        return


def _answer(works: dict[int, Callable[[Any], Any]], memory: Memory, message: bytes) -> bytes:
    number, new, sizes, body = pickle.loads(message)
    error, where = None, ""
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        try:
            if new:
                works[number] = pickle.loads(new)
            sizes, body = memory.put([works[number](item) for item in memory.get(sizes, body)])
        except Exception as failure:
            error, where = _sendable(failure), traceback.format_exc()
    said = [(str(w.message), w.category, w.filename, w.lineno) for w in raised]
    return pickle.dumps((sizes, body, error, where, said))


def _sendable(error: Exception) -> Exception:
    """The error, or one that says the same where it cannot be pickled and read again."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
