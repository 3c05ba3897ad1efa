"""Signals that end a command: what is under way is finished and written, then it ends.

Ctrl-C, SIGTERM (a scheduler's) and SIGHUP (a closed terminal) are one thing; a second one ends at
once. Only the process that the command line runs in listens (`heeded`).
"""

import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
SIGNALS = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
FINISHING = b"\nfinishing what is under way; once more ends at once\n"
_received: list[tuple[int, float]] = []  # signals, and when they came
_raised: list[int] = []  # those that did not wait
_patient: list[bool] = []


class Stopped(KeyboardInterrupt):
    """A signal ended the command; `code` is what a shell calls that."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number


@contextmanager
def heeded(echo: float = 0) -> Iterator[None]:
    """Signals raise `Stopped`, or wait where something is finished `patiently`.

    Those within `echo` seconds of the first one are its echo: a launcher of several processes sends
    on what the terminal sent them already. A library that is left by `Stopped` may make an error of
    its own of it, such as that a file is damaged: once one was raised, `Stopped` ends this whatever
    else went wrong, but for what the system refused (`OSError`: writing what there was).
    """
    _received.clear()
    _raised.clear()
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may listen
        return
    earlier, unraisable = {n: signal.getsignal(n) for n in SIGNALS}, sys.unraisablehook
    sys.unraisablehook = _passed(unraisable)
    for number, handler in earlier.items():
        if handler is not signal.SIG_IGN:  # nohup's, say
            signal.signal(number, partial(_receive, echo))
    try:
        yield
    except Exception as error:
        if _raised and not isinstance(error, OSError):
            raise Stopped(_raised[0]) from error
        raise
    finally:
        _received.clear()
        _raised.clear()
        sys.unraisablehook = unraisable
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _passed(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The hook, but of `Stopped`: raised where nothing can be, it is remembered for `check`."""
    return lambda told: None if isinstance(told.exc_value, Stopped) else hook(told)


def _receive(echo: float, number: int, _frame: FrameType | None) -> None:
    now = time.monotonic()
    if _received and now - _received[0][1] < echo:
        return
    _received.append((number, now))
    if not _patient or len(_received) > 1:
        _raised.append(number)
        raise Stopped(number)
    os.write(2, FINISHING)


@contextmanager
def patiently() -> Iterator[None]:
    """A signal waits until this is left, and is `asked` meanwhile; then it raises `Stopped`."""
    _patient.append(True)
    try:
        yield
    finally:
        _patient.pop()
    check()


def asked() -> bool:
    """Whether a signal asks to end."""
    return bool(_received)


def until_asked(items: Iterable[T]) -> Iterator[T]:
    """The items, but none once a signal asks to end."""
    return itertools.takewhile(lambda _: not asked(), items)


def check() -> None:
    """Raise `Stopped` if a signal asks to end."""
    if _received:
        end()


def end() -> NoReturn:
    """Raise `Stopped`, of the signal that asked; of SIGTERM where it asked another process."""
    raise Stopped(_received[0][0] if _received else signal.SIGTERM)
