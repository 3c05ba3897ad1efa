"""Functions compiled at their first call, and kept for the next process.

Numba looks for a change in a function's own file only, but these call each other's: what was
compiled is kept by the content of all of them, in camx's cache.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from camx.evaluators.caches import cache
from camx.evaluators.files import digest

_SOURCES = sorted(Path(__file__).parent.glob("*.py"))
FOLDER = cache() / f"compiled-{digest(path.read_bytes() for path in _SOURCES)[:16]}"


def kept() -> bool:
    """Whether anything was compiled before, so that it need not be waited for."""
    return any(FOLDER.rglob("*.nbi"))


def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled by Numba, which lets other threads run meanwhile."""
    config: Any = numba.config  # whose names are made when it is imported
    before = config.CACHE_DIR
    config.CACHE_DIR = str(FOLDER)
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except (RuntimeError, OSError):  # there is nowhere to keep it
        return numba.njit(nogil=True)(function)
    finally:
        config.CACHE_DIR = before
