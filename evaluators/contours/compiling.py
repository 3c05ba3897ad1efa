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
_VERSION = digest(path.read_bytes() for path in _SOURCES)[:16]


def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled by Numba, which lets other threads run meanwhile."""
    config: Any = numba.config  # whose names are made when it is imported
    before = config.CACHE_DIR
    config.CACHE_DIR = str(cache() / f"compiled-{_VERSION}")
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except (RuntimeError, OSError):  # there is nowhere to keep it
        return numba.njit(nogil=True)(function)
    finally:
        config.CACHE_DIR = before
