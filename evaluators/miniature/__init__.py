"""The embedded miniature: drawn data sets in the real data sets' layouts.

Every part is a pure function of ``(VERSION, seed)``; a change of any pixel must raise `VERSION`. A
rendering says in a hidden file what it holds, so that one with files missing, cut short or changed
is mended.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from camx.evaluators import holding
from camx.evaluators.files import digest, hidden, regular, sweep_beside, temporary

VERSION = 1
SEED = 20
RENDERED = ".rendered"  # in a rendering's folder: the digest of its files


def whole(root: Path) -> bool:
    """Whether a rendering holds what was rendered, all of it, as it was."""
    try:
        return (root / RENDERED).read_text() == _digest(root)
    except (OSError, ValueError):  # without it, of a pipe, of no text: render again
        return False


def _files(root: Path) -> Mapping[str, Path]:
    """The files below a folder that are not hidden, sorted by their names below it."""
    paths = {path.relative_to(root).as_posix(): path for path in root.rglob("*")}
    visible = {n: p for n, p in paths.items() if not any(map(hidden, n.split("/")))}
    return {name: visible[name] for name in sorted(visible) if not visible[name].is_dir()}


def _digest(root: Path) -> str:
    files = _files(root).items()
    return digest(b"%s\0%s" % (name.encode(), regular(path).read_bytes()) for name, path in files)


@contextmanager
def rendering(root: Path) -> Iterator[Path]:
    """A folder to render into, which then becomes `root`, whole or not at all, once if twice.

    A `root` that is there and not `whole` is mended file by file, so that another process reads
    none that is missing.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    work = temporary(root)  # not tempfile's, which shuts out the group that the umask lets in
    with holding.locked(root.with_name(f".{root.name}.lock")) as alone:
        if alone:
            sweep_beside(root)  # what a killed process left
        work.mkdir()
        try:
            yield work
            (work / RENDERED).write_text(_digest(work))
            try:
                work.rename(root)
            except OSError:  # another process finished first, or it is damaged
                if not root.is_dir():
                    raise
                if not whole(root):
                    _mend(root, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _mend(root: Path, work: Path) -> None:
    """Replace what differs in `root` from `work`; what is only there goes."""
    right = _files(work)
    for name, path in _files(root).items():
        if name not in right:
            path.unlink(missing_ok=True)
    for name in (*right, RENDERED):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).replace(root / name)


def xml_size(width: int, height: int) -> str:
    """An annotation's element that says how large the image is."""
    return f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"


def xml_box(x0: int, y0: int, x1: int, y1: int) -> str:
    """An annotation's element that holds a box, as it is."""
    corners = f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
    return f"<bndbox>{corners}</bndbox>"
