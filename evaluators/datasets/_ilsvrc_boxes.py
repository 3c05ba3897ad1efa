"""An ILSVRC image's class and boxes: of XML files, ``val_box.mat`` or ``LOC_val_solution.csv``.

Boxes and labels belong to an image by the number in its name, never by its place in what happens to
be there.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from camx.evaluators.files import listing, read_csv, read_lines, read_mat, read_xml
from camx.evaluators.values import Box, as_box, whole_of

IMAGES = 50_000  # of ILSVRC's validation set
NUMBER = re.compile(r"_val_(\d{8})(?!\d)", re.IGNORECASE)
MAPPING = "LOC_synset_mapping.txt"
DEVKIT = "the devkit's val_box.mat"
NO_MAT = (ValueError, KeyError, IndexError, TypeError, AttributeError)
Annotation = tuple[int, tuple[Box, ...]]
Annotate = Callable[[Path], Annotation]
Classes = Mapping[str, tuple[int, str]]
Record = tuple[Any, tuple[Box, ...]]  # an image's class as the file numbers it, and its boxes


def number_of(name: str) -> int | None:
    """The number in a name such as ``ILSVRC2012_val_00000057.JPEG``, or None."""
    match = NUMBER.search(name)
    return int(match[1]) if match else None


def _label(wnid: str, classes: Classes, origin: Path) -> int:
    if wnid not in classes:
        accepted = f"the data set's {len(classes)} ({MAPPING})"
        raise ValueError(f"{origin}: class {wnid!r} is not one of {accepted}")
    return classes[wnid][0]


def read_annotation(path: Path, classes: Classes) -> Annotation:
    """``(label, boxes)`` of an image's XML: its first object's class, and that class's boxes.

    `ValueError` if the XML says that it is of an image of another number.
    """
    root = read_xml(path, "ILSVRC annotation")
    name = root.findtext("filename") or ""
    said, meant = number_of(name), number_of(path.stem)
    if None not in (said, meant) and said != meant:
        raise ValueError(f"{path}: the annotation is of another image, {name}")
    nodes = root.findall("object")
    try:
        objects = [(node.findtext("name", "").strip(), _xml_box(node)) for node in nodes]
    except ValueError as error:
        raise ValueError(f"{path}: not an ILSVRC annotation: {error}") from None
    if not objects:
        raise ValueError(f"{path}: the annotation names no object")
    first, _ = objects[0]
    return _label(first, classes, path), tuple(box for wnid, box in objects if wnid == first)


def from_xml(
    folders: Sequence[Path], pictures: Sequence[Path], classes: Classes
) -> Annotate | None:
    """XML files of the pictures' names, in `folders` or beside them; None if there are none.

    Raises `FileNotFoundError` with the counts for an image without one.
    """
    places = dict.fromkeys([*folders, *(picture.parent for picture in pictures)])
    paths: dict[str, Path] = {}
    for path in (path for folder in places for path in listing(folder, (".xml",), "annotation")):
        first = paths.setdefault(path.stem, path)
        if first != path and first.read_bytes() != path.read_bytes():
            raise ValueError(f"{path}: {first} says something else of the same image; keep one")
    count = sum(picture.stem in paths for picture in pictures)

    def annotate(picture: Path) -> Annotation:
        if picture.stem not in paths:
            beside = next(paths[p.stem] for p in pictures if p.stem in paths)
            missing = beside.with_name(f"{picture.stem}.xml")
            what = f"every image needs one, and {count} of {len(pictures)} have one"
            raise FileNotFoundError(f"{missing}: missing annotation; {what}")
        return read_annotation(paths[picture.stem], classes)

    if not count:
        return None
    return annotate


def _xml_box(node: Any) -> Box:
    values = [node.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    if None in values:
        raise ValueError("an object with no bndbox of xmin, ymin, xmax and ymax")
    return as_box(values)


def read_val_box(path: Path) -> list[Record]:
    """Every image's class, as the file numbers it, and boxes, in validation order.

    The class is None where the file has no labels. `ValueError` naming the file and the image.
    """
    content = read_mat(path, DEVKIT)
    try:
        lists = [image["objects"].ravel() for image in content["rec"].ravel()]
        records = [[i for part in parts for i in np.atleast_1d(part).ravel()] for parts in lists]
    except NO_MAT as error:
        raise ValueError(f"{path}: not {DEVKIT}: {error}") from None
    return [_record(items, f"{path}: image {place}") for place, items in enumerate(records, 1)]


def _record(items: Sequence[Any], where: str) -> Record:
    try:
        boxes = tuple(as_box(item["bbox"].ravel().tolist()) for item in items)
        named = bool(items) and "label" in (items[0].dtype.names or ())
        ids = {item["label"].ravel().tolist()[0] for item in items} if named else set()
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    except NO_MAT as error:
        raise ValueError(f"{where}: expected objects with label and bbox: {error}") from None
    if len(ids) > 1:
        raise ValueError(f"{where}: its boxes are of several classes, {sorted(map(str, ids))}")
    return next(iter(ids), None), boxes


def read_val_list(path: Path) -> dict[str, tuple[int, int]]:
    """``{stem: (place from 0, label)}`` of lines ``ILSVRC2012_val_00000001.JPEG 65``."""
    entries: dict[str, tuple[int, int]] = {}
    for place, (number, line) in enumerate(read_lines(path)):
        name, label = [*line.rsplit(None, 1), ""][:2]
        if whole_of(label) < 0:
            expected = "expected 'ILSVRC2012_val_00000001.JPEG 65'"
            raise ValueError(f"{path}: line {number} is {line!r}; {expected}")
        stem = Path(name.replace("\\", "/")).stem
        if stem in entries:
            raise ValueError(f"{path}: line {number}: {stem} is listed twice")
        entries[stem] = place, int(label)
    return entries


def from_mat(root: Path, classes: Classes, pictures: Sequence[Path]) -> Annotate:
    """Boxes by the number in an image's name, labels of ``val_list.txt`` or the wnid folder.

    Names without numbers go by the list's lines, if it has one for every image of the file. Raises
    `ValueError` where list, folder and the file's own class do not agree.
    """
    path, boxes = root / "val_list.txt", read_val_box(root / "val_box.mat")
    entries = read_val_list(path) if path.exists() else {}
    if beyond := [name for name in entries if (number_of(name) or 0) > len(boxes)]:
        what = f"{beyond[0]} is listed, but val_box.mat has {len(boxes)} images"
        raise ValueError(f"{path}: {what}; the two do not belong together")
    annotations, ids = {}, {}
    for picture in pictures:
        place = _place(picture, entries, len(boxes), path)
        label = _listed(picture, entries, classes, path)
        ids[picture], marked = boxes[place]
        annotations[picture] = label, marked
    _agree({p: (i, annotations[p][0]) for p, i in ids.items() if i is not None}, classes, root)
    return annotations.__getitem__


def _place(picture: Path, entries: Mapping[str, tuple[int, int]], count: int, path: Path) -> int:
    """An image's place from 0 in ``val_box.mat``, which has `count`."""
    number = number_of(picture.stem)
    if number is not None:
        if not 1 <= number <= count:
            what = f"val_box.mat has the images 1 to {count}"
            raise ValueError(f"{picture}: {what}, and this is number {number}")
        return number - 1
    if picture.stem in entries and len(entries) == count:
        return entries[picture.stem][0]
    what = "its name holds no number (ILSVRC2012_val_00000001) that says which boxes are its own"
    lines = f"{path} has {len(entries)} lines for the {count} images of val_box.mat"
    raise ValueError(f"{picture}: {what}; {lines}")


def _listed(
    picture: Path, entries: Mapping[str, tuple[int, int]], classes: Classes, path: Path
) -> int:
    """An image's label, which the list and the wnid folder must say alike."""
    folder = picture.parent.name
    if picture.stem in entries:
        _, label = entries[picture.stem]
        if label >= len(classes):
            what = f"label {label} is not one of the data set's {len(classes)} classes"
            raise ValueError(f"{path}: {picture.name}: {what}, 0..{len(classes) - 1}")
        if folder in classes and classes[folder][0] != label:
            what = f"its folder says class {classes[folder][0]} ({folder})"
            raise ValueError(
                f"{picture}: {what}, but {path} says {label} ({_wnid(label, classes)})"
            )
        return label
    if folder not in classes:
        what = f"val_box.mat alone does not say its class; expected a line for it in {path}"
        raise ValueError(f"{picture}: {what}")
    return classes[folder][0]


def _wnid(label: int, classes: Classes) -> str:
    return next(wnid for wnid, (number, _) in classes.items() if number == label)


def _agree(named: Mapping[Path, tuple[Any, int]], classes: Classes, root: Path) -> None:
    """Raise `ValueError` unless ``objects.label`` of ``val_box.mat`` is each image's class.

    The devkit numbers ILSVRC's classes in an order of its own; other classes are only known to have
    one number each. Files that number the sorted wnids from 1, or name them, are read too.
    """
    text = (resources.files("camx.configs") / "ilsvrc_devkit.txt").read_text("utf-8")
    devkit = {wnid: number for number, wnid in enumerate(text.split(), 1)}
    wnids = {label: wnid for wnid, (label, _) in classes.items()}
    if all(i == label + 1 for i, label in named.values()):
        return
    numbers: dict[int, Any] = {}  # of classes that the devkit has not, and back
    named_so: dict[Any, int] = {}
    for picture, (i, label) in named.items():
        wnid = wnids[label]
        expected = wnid if isinstance(i, str) else devkit.get(wnid) or numbers.setdefault(label, i)
        what = f"{root / 'val_box.mat'} says class {i}"
        if i != expected:
            raise ValueError(f"{picture}: its class is {wnid}, number {expected}, but {what}")
        if (other := named_so.setdefault(i, label)) != label:
            raise ValueError(f"{picture}: its class is {wnid}, but {what}, which is {wnids[other]}")


def from_solution(path: Path, classes: Classes) -> Annotate:
    """Kaggle's ``LOC_val_solution.csv``: ``ImageId,wnid x0 y0 x1 y1 wnid x0 ...``."""
    texts: dict[str, str] = {}
    for number, (name, text) in read_csv(path, ("ImageId", "PredictionString"), "list of boxes"):
        stem = re.sub(r"\.(jpe?g|png)$", "", name, flags=re.IGNORECASE)
        if stem in texts:
            raise ValueError(f"{path}, line {number}: {stem} is listed twice")
        texts[stem] = text

    def annotate(picture: Path) -> Annotation:
        words = texts.get(picture.stem, "").split()
        if not words or len(words) % 5:
            expected = "expected 'wnid x0 y0 x1 y1 ...'"
            raise ValueError(f"{path}: no boxes for {picture.stem}; {expected}")
        groups = [words[i : i + 5] for i in range(0, len(words), 5)]
        try:
            boxes = [(wnid, as_box(box)) for wnid, *box in groups]
        except ValueError as error:
            raise ValueError(f"{path}: boxes of {picture.stem}: {error}") from None
        return _label(words[0], classes, path), tuple(b for wnid, b in boxes if wnid == words[0])

    return annotate
