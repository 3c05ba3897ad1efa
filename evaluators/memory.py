"""Device memory: what does not fit is done by halves, and it is said."""

import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

R = TypeVar("R")
_fitting: dict[str, int] = {}  # by device: rows at once that its memory was found to hold


class Halved(UserWarning):
    """batches were halved, since the device's memory does not hold them"""


def by_halves(work: Callable[[slice], R], count: int, size: int, device: str) -> list[R]:
    """``work(rows)`` of rows 0 to `count`, at most `size` at once, fewer where memory ends.

    Raises `torch.OutOfMemoryError` where not even one row fits.
    """
    results: list[R] = []
    at, fitting = 0, min(size, _fitting.get(device, size))
    while at < count:
        if made := _tried(work, slice(at, at + fitting), last=fitting == 1):
            results += made
            at += fitting
            continue
        fitting = _fitting[device] = fitting // 2
        if device.startswith("cuda"):
            torch.cuda.empty_cache()
        warnings.warn(f"{fitting} at once on {device} instead of {size}", Halved, stacklevel=2)
    return results


def _tried(work: Callable[[slice], R], rows: slice, last: bool) -> list[R]:
    """What work makes of the rows; nothing where memory ends, unless it is the `last` way."""
    try:
        return [work(rows)]
    except torch.OutOfMemoryError:
        if last:
            raise
        return []
