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
    """A folder to render into, which then becomes `root`, whole or not at all, once if twice."""
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


def xml_size(width: int, height: int) -> str:
    """An annotation's element that says how large the image is."""
    return f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"


def xml_box(x0: int, y0: int, x1: int, y1: int) -> str:
    """An annotation's element that holds a box, as it is."""
    corners = f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
    return f"<bndbox>{corners}</bndbox>"
