"""ILSVRC validation in the layouts found in the wild; labels are indices into the sorted wnids.

Pictures: Kaggle's ``ILSVRC/Data/CLS-LOC/val``, a flat ``val`` or ``val/<wnid>``. Boxes: XML files,
the devkit's ``val_box.mat`` with ``val_list.txt``, or Kaggle's ``LOC_val_solution.csv``; the first
of them that is there is used.
"""

import csv
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path

import scipy.io
from scipy.io.matlab import MatReadError

from camx.evaluators.files import read_lines, read_text
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Box, Dataset, Sample

TITLE = "ILSVRC validation: Kaggle's layout, flat or in wnid folders, XML or val_box.mat"
SOURCE = "Russakovsky et al. 2015; image-net.org, Kaggle imagenet-object-localization-challenge"
TASK = "localization"
LAYOUT = (
    "ILSVRC/Data/CLS-LOC/val/*.JPEG, val/*.JPEG or val/<wnid>/*.JPEG, with XML annotations "
    "(ILSVRC/Annotations/CLS-LOC/val, Annotations or beside the images), "
    "val_box.mat + val_list.txt, or LOC_val_solution.csv (ILSVRC)"
)
PICTURES = {".jpeg", ".jpg", ".png"}
PICTURE_FOLDERS = ("ILSVRC/Data/CLS-LOC/val", "Data/CLS-LOC/val", "val", ".")
XML_FOLDERS = (
    "ILSVRC/Annotations/CLS-LOC/val", "Annotations/CLS-LOC/val", "Annotations/val", "Annotations",
    "annotations/val", "annotations", "bbox/val", ".",
)  # fmt: skip
MAPPINGS = ("LOC_synset_mapping.txt", "synset_words.txt")
NO_MAT = (MatReadError, ValueError, KeyError, IndexError, TypeError, NotImplementedError)
Annotation = tuple[int, tuple[Box, ...]]
Classes = Mapping[str, tuple[int, str]]


def _pictures(root: Path) -> list[Path]:
    """The images of the first folder that holds any, sorted by name."""
    for folder in PICTURE_FOLDERS:
        for pattern in ("*", "n????????/*"):
            paths = [p for p in (root / folder).glob(pattern) if p.suffix.lower() in PICTURES]
            if paths:
                return sorted(paths, key=lambda path: path.name)
    return []


def accepts(root: Path) -> bool:
    folders = any((root / folder).is_dir() for folder in PICTURE_FOLDERS[:3])
    return folders or ((root / "val_box.mat").is_file() and bool(_pictures(root)))


def read_classes(root: Path) -> dict[str, tuple[int, str]]:
    """``{wnid: (label, readable name)}``, labels in the order of sorted wnids.

    From ``LOC_synset_mapping.txt`` or ``synset_words.txt``, or else ILSVRC's thousand classes.
    """
    shipped = Path(str(resources.files("camx.configs") / "ilsvrc_synsets.txt"))
    paths = (root / name for name in MAPPINGS)
    path = next((path for path in paths if path.is_file()), shipped)
    lines = [line.partition(" ") for _, line in read_lines(path, "list of classes")]
    names = {wnid: name.strip() for wnid, _, name in lines}
    return {wnid: (label, names[wnid]) for label, wnid in enumerate(sorted(names))}


def _label(wnid: str, classes: Classes, origin: Path) -> int:
    if wnid not in classes:
        accepted = f"the data set's {len(classes)} ({MAPPINGS[0]})"
        raise ValueError(f"{origin}: class {wnid!r} is not one of {accepted}")
    return classes[wnid][0]


def read_annotation(path: Path, classes: Classes) -> Annotation:
    """``(label, boxes)`` of an image's XML: its first object's class, and that class's boxes."""
    try:
        nodes = ElementTree.parse(path).findall("object")
        objects = [(node.findtext("name", "").strip(), _xml_box(node)) for node in nodes]
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: missing annotation; every image needs one") from None
    except (ElementTree.ParseError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: not an ILSVRC annotation: {error}") from None
    if not objects:
        raise ValueError(f"{path}: the annotation names no object")
    first, _ = objects[0]
    return _label(first, classes, path), tuple(box for wnid, box in objects if wnid == first)


def _xml_box(node: ElementTree.Element) -> Box:
    values = [node.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    if None in values:
        raise ValueError("an object has no bndbox with xmin, ymin, xmax and ymax")
    return _rounded_box([str(value) for value in values])


def _rounded_box(words: Sequence[str]) -> Box:
    return _box(*(round(float(word)) for word in words))


def _box(x0: int, y0: int, x1: int, y1: int) -> Box:
    """The box, or a `ValueError` if it ends before it begins."""
    if x1 < x0 or y1 < y0:
        raise ValueError(f"box ({x0}, {y0}, {x1}, {y1}) is turned inside out")
    return x0, y0, x1, y1


def read_val_box(path: Path) -> list[tuple[Box, ...]]:
    """Every image's boxes of the devkit's ``val_box.mat``, in validation order."""
    try:
        lists = [image["objects"][0] for image in scipy.io.loadmat(path)["rec"][0]]
        return [tuple(_box(*map(int, item["bbox"][0])) for item in items) for items in lists]
    except NO_MAT as error:
        raise ValueError(f"{path}: not the devkit's val_box.mat: {error!r}") from None


def read_val_list(path: Path) -> dict[str, tuple[int, int]]:
    """``{stem: (place from 0, label)}`` of lines ``ILSVRC2012_val_00000001.JPEG 65``."""
    entries = {}
    for place, (number, line) in enumerate(read_lines(path)):
        name, _, label = line.rpartition(" ")
        if not name or not label.isdecimal():
            expected = "expected 'ILSVRC2012_val_00000001.JPEG 65'"
            raise ValueError(f"{path}: line {number} is {line!r}; {expected}")
        entries[Path(name).stem] = place, int(label)
    return entries


def _from_mat(root: Path, classes: Classes) -> Callable[[Path], Annotation]:
    """Labels from ``val_list.txt``, or else from the wnid folder and the file's number."""
    boxes, path = read_val_box(root / "val_box.mat"), root / "val_list.txt"
    entries = read_val_list(path) if path.is_file() else {}

    def annotate(picture: Path) -> Annotation:
        number = re.search(r"_val_(\d{8})$", picture.stem)
        if picture.stem in entries:
            place, label = entries[picture.stem]
        elif not entries and number and picture.parent.name in classes:
            place, label = int(number[1]) - 1, classes[picture.parent.name][0]
        else:
            what = f"val_box.mat alone does not say its class; expected a line for it in {path}"
            raise ValueError(f"{picture}: {what}")
        if place >= len(boxes) or label >= len(classes):
            what = "val_list.txt and val_box.mat do not belong together"
            raise ValueError(f"{picture}: {what} (place {place + 1}, label {label})")
        return label, boxes[place]

    return annotate


def _from_solution(path: Path, classes: Classes) -> Callable[[Path], Annotation]:
    """Kaggle's ``LOC_val_solution.csv``: ``ImageId,wnid x0 y0 x1 y1 wnid x0 ...``."""
    rows = csv.DictReader(io.StringIO(read_text(path, "list of boxes")))
    if not {"ImageId", "PredictionString"} <= set(rows.fieldnames or ()):
        raise ValueError(f"{path}: expected the columns ImageId,PredictionString")
    texts = {row["ImageId"]: row["PredictionString"] for row in rows}

    def annotate(picture: Path) -> Annotation:
        words = (texts.get(picture.stem) or "").split()
        if not words or len(words) % 5:
            expected = "expected 'wnid x0 y0 x1 y1 ...'"
            raise ValueError(f"{path}: no boxes for {picture.stem}; {expected}")
        groups = [words[i : i + 5] for i in range(0, len(words), 5)]
        try:
            boxes = tuple(_rounded_box(box) for wnid, *box in groups if wnid == words[0])
        except ValueError as error:
            raise ValueError(f"{path}: boxes of {picture.stem}: {error}") from None
        return _label(words[0], classes, path), boxes

    return annotate


def _annotations(root: Path, classes: Classes, first: Path) -> Callable[[Path], Annotation]:
    if first.with_suffix(".xml").is_file():
        return lambda picture: read_annotation(picture.with_suffix(".xml"), classes)
    for folder in XML_FOLDERS:
        if next((root / folder).glob("*.xml"), None):
            return lambda picture: read_annotation(root / folder / f"{picture.stem}.xml", classes)
    if (root / "val_box.mat").is_file():
        return _from_mat(root, classes)
    if (root / "LOC_val_solution.csv").is_file():
        return _from_solution(root / "LOC_val_solution.csv", classes)
    raise FileNotFoundError(f"{root}: images but no boxes; expected {LAYOUT}")


def read(root: Path, name: str = "ilsvrc", model: str = "vgg16") -> Dataset[Sample]:
    """Every validation image with its label and boxes, sorted by name."""
    classes, paths = read_classes(root), _pictures(root)
    if not paths:
        folders = ", ".join(PICTURE_FOLDERS[:3])
        raise FileNotFoundError(f"{root}: no image in {folders}; expected *.JPEG")
    annotate = _annotations(root, classes, paths[0])
    samples = tuple(Sample(path.stem, path, *annotate(path)) for path in paths)
    names = tuple(words for _, words in classes.values())
    return Dataset(name, root, names, samples, fingerprint(samples), model)
