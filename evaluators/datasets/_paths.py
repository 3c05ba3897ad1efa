"""Paths that lists and annotations name: below their folder, and all there."""

import re
from collections.abc import Sequence
from pathlib import Path


def inside(folder: Path, name: str, where: str) -> Path:
    """The path of `name` below `folder`. `ValueError` beginning with `where` for one that is not.

    Only the name is judged: links of the folder's may lead elsewhere, as people keep images.
    """
    parts = name.split("/")
    if not name or ".." in parts or parts[0] == "" or "\\" in name or re.match("[A-Za-z]:", name):
        what = f"path {name!r} leaves the folder {folder}"
        raise ValueError(f"{where}: {what}; expected one below it, such as a/b.jpg")
    return folder / name


def complete(paths: Sequence[Path], kind: str, source: str) -> None:
    """Raise `FileNotFoundError` naming the first of `paths` that is no file, with the counts.

    `source` is what names them all.
    """
    missing = [path for path in paths if not path.is_file()]
    if missing:
        count = f"{len(paths) - len(missing)} of the {len(paths)} that {source} names are there"
        raise FileNotFoundError(f"{missing[0]}: no such {kind}; {count}")
