"""Paths that lists and annotations name: below their folder, and all there."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath


def inside(folder: Path, name: str, where: str) -> Path:
    """The path of `name` below `folder`. `ValueError` beginning with `where` for one that is not.

    Backslashes separate folders too, as Windows writes them. Only the name is judged: links of the
    folder's may lead elsewhere, as people keep images.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if not name or path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name):
        what = f"path {name!r} leaves the folder {folder}"
        raise ValueError(f"{where}: {what}; expected one below it, such as a/b.jpg")
    return folder / path


def complete(paths: Sequence[Path], kind: str, source: str) -> None:
    """Raise `FileNotFoundError` naming the first of `paths` that is no file, with the counts.

    `source` is what names them all. A name that the system refuses, as one too long, is no file's.
    """
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        count = f"{len(paths) - len(missing)} of the {len(paths)} that {source} names are there"
        raise FileNotFoundError(f"{missing[0]}: no such {kind}; {count}")
