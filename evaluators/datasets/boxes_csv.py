"""Pictures of one's own with boxes: a CSV file ``image,label,x0,y0,x1,y1[,split]``.

A line is a box, in pixels of the image, its end exclusive; several lines may be of one image. One
with several labels is measured once for each. A line without coordinates is an image without boxes,
and then the only one of it. Paths are relative to the file and stay below its folder.

Labels are names or indices: those of ``classes.txt`` beside the file, one name a line, if it is
there; ILSVRC's if all are wnids; the indices themselves if all are whole numbers; and else the
places of the sorted names. Without a split asked for, ``test`` is read if there is one, else
``val``, else everything.
"""

import csv
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from camx.evaluators.datasets import by_class
from camx.evaluators.datasets._objects import Marked, names_of, read_names, samples_of, settled
from camx.evaluators.datasets._paths import inside
from camx.evaluators.files import read_csv, read_lines, regular
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample
from camx.evaluators.values import Box, as_box

TITLE = "pictures of one's own with boxes: FILE.csv of image,label,x0,y0,x1,y1[,split]"
SOURCE = "this project"
TASK = "localization"
LAYOUT = "a FILE.csv with the columns image,label,x0,y0,x1,y1 and perhaps split"
COLUMNS = ("image", "label", "x0", "y0", "x1", "y1")
KIND = "list of boxes"
USUAL = ("test", "val")
INDICES = 100_000  # above any number of classes: a number that is no index makes no such list


@dataclass(frozen=True)
class Line:
    """A line of the file; `where` names it in errors."""

    number: int
    where: str
    path: Path
    label: str
    box: Box | None
    split: str


def _header(path: Path) -> list[str]:
    lines = read_lines(path, KIND)
    words = next(csv.reader([lines[0][1]], skipinitialspace=True)) if lines else []
    return [word.strip() for word in words]


def accepts(root: Path) -> bool:
    file = root.suffix.lower() == ".csv" and root.is_file()
    return file and set(COLUMNS) <= set(_header(root))


def _lines(root: Path) -> list[Line]:
    split = ["split"] if "split" in _header(root) else []
    lines = []
    for number, (image, label, *rest) in read_csv(root, [*COLUMNS, *split], KIND):
        where, words = f"{root}, line {number}", rest[:4]
        if not label:
            raise ValueError(f"{where}: no label; expected a class's name or index")
        if split and not rest[4]:
            raise ValueError(f"{where}: no split; expected a name such as test, or no such column")
        path = regular(inside(root.parent, image, where), f"image, though {where} names it")
        try:
            box = as_box(words) if any(words) else None
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        lines.append(Line(number, where, path, label, box, rest[4] if split else ""))
    if not lines:
        raise ValueError(f"{root}: lists no image; expected lines of {','.join(COLUMNS)}")
    _agree(lines)
    return lines


def _agree(lines: Sequence[Line]) -> None:
    """Raise `ValueError` for a line that says again, or otherwise, what another says."""
    firsts: dict[Path, Line] = {}
    numbers: dict[tuple[Path, str, Box | None], int] = {}
    for line in lines:
        first = firsts.setdefault(line.path, line)
        if first.split != line.split:
            what = f"split is {line.split!r}, but {first.split!r} in line {first.number}"
            raise ValueError(f"{line.where}: {what}, of the same image")
        if first is not line and None in (first.box, line.box):
            what = f"of the image of line {first.number}, one of them without a box"
            raise ValueError(f"{line.where}: {what}; expected boxes, or one line without")
        number = numbers.setdefault((line.path, line.label, line.box), line.number)
        if number != line.number:
            raise ValueError(f"{line.where}: is line {number} once more")


def _classes(lines: Sequence[Line], folder: Path) -> tuple[tuple[str, ...], Callable[[str], int]]:
    """The classes' names by index, and a label's index. Raises naming a label that has none."""
    labels = {line.label for line in lines}
    indices = all(re.fullmatch("[0-9]+", label) for label in labels)
    path = folder / "classes.txt"
    if os.path.lexists(path):
        names = read_names(path)
        if labels <= set(names) or not indices:
            return _listed(names, names, lines, str(path))
        return _listed(names, [str(index) for index in range(len(names))], lines, str(path))
    if indices:
        _in_range(lines)
        names = tuple(str(index) for index in range(1 + max(map(int, labels))))
        return names, int
    words = by_class.classes_of(sorted(labels), folder)
    names = tuple(name for _, name in words.values())
    return _listed(names, list(words), lines, f"the data set's {len(names)}")


def _listed(
    names: Sequence[str], accepted: Sequence[str], lines: Sequence[Line], origin: str
) -> tuple[tuple[str, ...], Callable[[str], int]]:
    places = {label: place for place, label in enumerate(accepted)}
    for line in lines:
        if line.label not in places:
            what = f"label {line.label!r} is not one of {origin}"
            raise ValueError(f"{line.where}: {what}: {accepted[0]} to {accepted[-1]}")
    return tuple(names), places.__getitem__


def _in_range(lines: Sequence[Line]) -> None:
    for line in lines:
        if len(line.label) > len(str(INDICES)) or int(line.label) >= INDICES:
            what = f"label is {line.label}; expected a name, or an index below {INDICES}"
            raise ValueError(f"{line.where}: {what}")


def read(root: Path, split: str = "") -> Dataset[Sample]:
    """Every image of the split, in the file's order. Raises naming the line and what is accepted.

    `ValueError` for a split that no line has, with those that are there.
    """
    lines = _lines(root)
    classes, index = _classes(lines, root.parent)
    splits = list(dict.fromkeys(line.split for line in lines))
    if split or set(splits) & set(USUAL):
        split = settled(split, splits, USUAL, str(root))
    images: dict[Path, list[Line]] = {}
    for line in lines:
        if not split or line.split == split:
            images.setdefault(line.path, []).append(line)
    names = names_of(list(images), root.parent)
    samples: list[Sample] = []
    for path, of_image in images.items():
        objects = [Marked(index(line.label), line.box) for line in of_image]
        samples += samples_of(names[path], path, objects, classes, of_image[0].split)
    told = fingerprint(samples)
    return Dataset(root.name, root, classes, tuple(samples), told, images=root.parent)
