"""Pictures without labels as people name them: files, folders, and CSV files that list some."""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from camx.camcore.image_files import PICTURES
from camx.evaluators.files import hidden, read_csv, read_lines
from camx.evaluators.types import Sample

COLUMNS = ("image", "path")  # of a CSV file; the first that it has
UNKNOWN = -1  # the label of a picture whose class the network says


def pictures(places: Sequence[Path], out: Path) -> list[Sample]:
    """The pictures at the places, each once, by their names in order.

    A place is a picture, a folder with pictures in it or below, or a CSV file with a column
    ``image`` (or ``path``) of paths relative to it. A picture's name, its `image_id`, is its path
    below the deepest folder that all of them have in common: no two share one. What `out` and
    other runs' folders hold is passed over. Raises `FileNotFoundError` naming a place that is not
    there or holds no picture, `ValueError` naming a CSV file that is none.
    """
    roots: list[str] = []
    paths: dict[str, None] = {}
    for place in places:
        folder, files = _of_place(place, out)
        if not files:
            expected = f"expected files ending in {', '.join(PICTURES)}"
            raise FileNotFoundError(f"{place}: no picture in it or below; {expected}")
        paths |= dict.fromkeys(files)
        roots += [folder, *{os.path.dirname(path) for path in files}]
    root = Path(os.path.commonpath(roots)) if roots else Path()
    named = {Path(path).relative_to(root).as_posix(): Path(path) for path in paths}
    return [Sample(name, named[name], UNKNOWN) for name in sorted(named)]


def _of_place(place: Path, out: Path) -> tuple[str, list[str]]:
    """The folder that names begin below, and the pictures' absolute paths."""
    whole = os.path.abspath(place)
    if place.is_dir():
        return whole, list(_below(whole, os.path.abspath(out)))
    folder = os.path.dirname(whole)
    if place.suffix.lower() == ".csv":
        return folder, [os.path.abspath(os.path.join(folder, name)) for name in _listed(place)]
    if not place.is_file():
        raise FileNotFoundError(f"{place}: no such picture, folder or CSV file")
    return folder, [whole]


def _below(folder: str, out: str) -> Iterator[str]:
    """The pictures in a folder and below; not those of runs, such as the masks in `out`."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders
            if not hidden(name) and (path := os.path.join(place, name)) != out
            and not os.path.exists(os.path.join(path, "run.json"))
        )  # fmt: skip
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in PICTURES and not hidden(name):
                yield os.path.join(place, name)


def _listed(place: Path) -> list[str]:
    """The paths in a CSV file. `ValueError` naming the line of an empty one."""
    kind = "CSV file of pictures"
    lines = read_lines(place, kind)
    header = [word.strip() for word in next(csv.reader([lines[0][1]]))] if lines else []
    column = next((name for name in COLUMNS if name in header), COLUMNS[0])
    rows = read_csv(place, (column,), kind)
    for number, (path,) in rows:
        if not path:
            raise ValueError(f"{place}, line {number}: {column} is empty; expected a path")
    return [path for _, (path,) in rows]
