"""The lists of wsolevaluation's layout: images, classes, sizes, and boxes or masks of a split."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from camx.evaluators.files import folders, read_lines
from camx.evaluators.values import Box, as_box, whole_of

IDS = "image_ids.txt"
BOXES, MASKS = "path,x0,y0,x1,y1", "path,mask.png,ignore.png"  # a line of localization.txt
Lines = Mapping[str, str]  # of an image: where it is listed


@dataclass
class Truth:
    """Of one image: boxes in its pixels, or masks' paths as they are listed, each with its line."""

    boxes: list[Box] = field(default_factory=list)
    masks: dict[str, str] = field(default_factory=dict)
    ignore: dict[str, str] = field(default_factory=dict)


def metadata(root: Path) -> list[Path]:
    """The folders ``metadata/<NAME>`` that a folder means: itself, its partner's, or all below."""
    place = Path(os.path.abspath(root))
    if place.parent.name in ("metadata", "dataset"):
        folder = place.parent.parent / "metadata" / place.name
        if splits(folder):
            return [folder]
    return [folder for folder in folders(place / "metadata") if splits(folder)]


def splits(folder: Path) -> list[str]:
    """The names of a data set's splits."""
    return [place.name for place in folders(folder) if (place / IDS).is_file()]


def read_ids(path: Path) -> dict[str, str]:
    """``{image: where it is listed}``, in order. `ValueError` for one listed twice, or none."""
    ids: dict[str, str] = {}
    for number, line in read_lines(path):
        where = f"{path}, line {number}"
        if line in ids:
            raise ValueError(f"{where}: {line} is listed twice, first in {ids[line]}")
        ids[line] = where
    if not ids:
        raise ValueError(f"{path}: lists no image; expected one a line, such as a/b.jpg")
    return ids


def _rows(path: Path, ids: Lines, form: str) -> Iterator[tuple[str, str, list[str]]]:
    """``(where, image, values)`` of each line. `ValueError` for another form or image."""
    for number, line in read_lines(path):
        where, (image, *values) = f"{path}, line {number}", line.split(",")
        if len(values) != form.count(","):
            raise ValueError(f"{where}: {line!r}; expected {form}")
        if image not in ids:
            raise ValueError(f"{where}: {image!r} is not an image of {IDS}")
        yield where, image, [value.strip() for value in values]


def _whole(words: list[str]) -> list[int]:
    return [whole_of(word) for word in words]


def read_labels(path: Path, ids: Lines) -> dict[str, int]:
    """``{image: label}`` of every image. `ValueError` for one that has none, or two."""
    labels: dict[str, int] = {}
    for where, image, words in _rows(path, ids, "path,label"):
        (label,) = _whole(words)
        if label < 0:
            raise ValueError(f"{where}: label {words[0]!r}; expected a whole number from 0 on")
        if image in labels:
            raise ValueError(f"{where}: {image} has a label already, {labels[image]}")
        labels[image] = label
    _all(path, ids, labels)
    return labels


def _all(path: Path, ids: Lines, there: Mapping[str, object]) -> None:
    if lacking := next((image for image in ids if image not in there), None):
        count = f"{len(there)} of {len(ids)} images have one"
        raise ValueError(f"{path}: no line for {lacking} ({ids[lacking]}); {count}")


def read_sizes(path: Path, ids: Lines) -> dict[str, tuple[int, int]]:
    """``{image: (width, height)}`` of those that are listed; a data set of masks lists none."""
    sizes: dict[str, tuple[int, int]] = {}
    for where, image, words in _rows(path, ids, "path,width,height") if path.exists() else ():
        width, height = _whole(words)
        if min(width, height) < 1:
            raise ValueError(f"{where}: size {','.join(words)}; expected width,height in pixels")
        if image in sizes:
            raise ValueError(f"{where}: {image} has a size already, {sizes[image]}")
        sizes[image] = width, height
    return sizes


def read_truth(folder: Path, ids: Lines) -> dict[str, Truth]:
    """``{image: truth}`` of every image, as the first line's form says; empty without any line.

    Raises `ValueError` naming the line that is wrong, or an image that has none.
    """
    path, sizes = folder / "localization.txt", read_sizes(folder / "image_sizes.txt", ids)
    lines = read_lines(path) if path.exists() else []
    if not lines:
        return {}
    truths: dict[str, Truth] = {}
    fields = lines[0][1].count(",")
    if fields == MASKS.count(","):
        for where, image, (mask, ignore) in _rows(path, ids, MASKS):
            _add(truths.setdefault(image, Truth()), where, mask, ignore)
    elif fields == BOXES.count(","):
        for where, image, words in _rows(path, ids, BOXES):
            truths.setdefault(image, Truth()).boxes.append(_box(where, image, words, sizes))
    else:
        number, line = lines[0]
        raise ValueError(f"{path}, line {number}: {line!r}; expected {BOXES} or {MASKS}")
    _all(path, ids, truths)
    return truths


def _add(truth: Truth, where: str, mask: str, ignore: str) -> None:
    """One more mask of an image, whose first line alone may name what is ignored."""
    if ignore and truth.masks:
        first = next(iter(truth.masks.values()))
        what = f"ignore mask {ignore!r}, which an image's first line alone may name"
        raise ValueError(f"{where}: {what} ({first})")
    if mask in truth.masks:
        raise ValueError(f"{where}: mask {mask!r} stands in {truth.masks[mask]} already")
    truth.masks[mask] = where
    if ignore:
        truth.ignore[ignore] = where


def _box(where: str, image: str, words: list[str], sizes: Mapping[str, tuple[int, int]]) -> Box:
    try:
        box = as_box(words)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if image not in sizes:
        raise ValueError(f"{where}: {image} has no size in image_sizes.txt")
    width, height = sizes[image]
    if min(box[:2]) < 0 or box[2] > width or box[3] > height:
        what = f"box {box} leaves the picture, {width} x {height} (image_sizes.txt)"
        raise ValueError(f"{where}: {what}")
    return box
