"""The embedded miniature: drawn data sets in the real data sets' layouts.

Every part is a pure function of ``(VERSION, seed)``; a change of any pixel must raise `VERSION`.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = 1
SEED = 20


@contextmanager
def rendering(root: Path) -> Iterator[Path]:
    """A folder beside `root` to render into, which then becomes `root`, whole or not at all: two processes may render at once."""
    root.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        yield work
        try:
            work.rename(root)
        except OSError:  # another process finished first; its rendering is the same
            if not root.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
