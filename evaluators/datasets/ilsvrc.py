"""ILSVRC validation in the layouts found in the wild; labels are indices into the sorted wnids.

Pictures: Kaggle's ``ILSVRC/Data/CLS-LOC/val``, a flat ``val`` or ``val/<wnid>``. Boxes: XML files, the
devkit's ``val_box.mat`` with ``val_list.txt``, or Kaggle's ``LOC_val_solution.csv``; the first found is used.
"""

import csv
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

import scipy.io
from scipy.io.matlab import MatReadError

from evaluators.datasets import fingerprint
from evaluators.types import Box, Dataset, Sample

TITLE = "ILSVRC validation: Kaggle's layout, flat or in wnid folders, XML or val_box.mat"
SOURCE = "Russakovsky et al. 2015; image-net.org, Kaggle imagenet-object-localization-challenge"
TASK = "localization"
LAYOUT = (
    "ILSVRC/Data/CLS-LOC/val/*.JPEG, val/*.JPEG or val/<wnid>/*.JPEG, with XML annotations "
    "(ILSVRC/Annotations/CLS-LOC/val, Annotations or beside the images), val_box.mat + val_list.txt, or LOC_val_solution.csv (ILSVRC)"
)
PICTURES = {".jpeg", ".jpg", ".png"}
PICTURE_FOLDERS = ("ILSVRC/Data/CLS-LOC/val", "Data/CLS-LOC/val", "val", ".")
XML_FOLDERS = (
    "ILSVRC/Annotations/CLS-LOC/val", "Annotations/CLS-LOC/val", "Annotations/val", "Annotations", "annotations/val",
    "annotations", "bbox/val", ".",
)  # fmt: skip
Annotation = tuple[int, tuple[Box, ...]]
Classes = Mapping[str, tuple[int, str]]


def _pictures(root: Path) -> list[Path]:
    for folder in PICTURE_FOLDERS:
        for pattern in ("*", "n????????/*"):
            found = sorted((p for p in (root / folder).glob(pattern) if p.suffix.lower() in PICTURES), key=lambda p: p.name)
            if found:
                return found
    return []


def accepts(root: Path) -> bool:
    known = any((root / folder).is_dir() for folder in PICTURE_FOLDERS[:3])
    return known or ((root / "val_box.mat").is_file() and bool(_pictures(root)))


def read_classes(root: Path) -> dict[str, tuple[int, str]]:
    """``{wnid: (label, readable name)}``, labels in the order of sorted wnids.

    From ``LOC_synset_mapping.txt`` or ``synset_words.txt``; without them, ILSVRC's thousand classes.
    """
    named = [path for name in ("LOC_synset_mapping.txt", "synset_words.txt") if (path := root / name).is_file()]
    text = named[0].read_text() if named else (resources.files("configs") / "ilsvrc_synsets.txt").read_text()
    lines = [line.partition(" ") for line in text.splitlines() if line.strip()]
    names = {wnid: name.strip() for wnid, _, name in lines}
    return {wnid: (label, names[wnid]) for label, wnid in enumerate(sorted(names))}


def _label(wnid: str, classes: Classes, origin: object) -> int:
    if wnid not in classes:
        raise ValueError(f"{origin}: class {wnid!r} is not one of the data set's {len(classes)} (LOC_synset_mapping.txt)")
    return classes[wnid][0]


def read_annotation(path: Path, classes: Classes) -> Annotation:
    """``(label, boxes)`` of an image's XML: the class of its first object, and every box of that class."""
    try:
        objects = ElementTree.parse(path).findall("object")
        found = [(o.findtext("name", "").strip(), _box(o)) for o in objects]
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: missing annotation; every image needs one") from None
    except (ElementTree.ParseError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: not an ILSVRC annotation: {error}") from None
    if not found:
        raise ValueError(f"{path}: the annotation names no object")
    wnid = found[0][0]
    return _label(wnid, classes, path), tuple(box for name, box in found if name == wnid)


def _box(node: ElementTree.Element) -> Box:
    values = [node.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    if None in values:
        raise ValueError("an object has no bndbox with xmin, ymin, xmax and ymax")
    return _checked(*(round(float(str(v))) for v in values))


def _checked(x0: int, y0: int, x1: int, y1: int) -> Box:
    if x1 < x0 or y1 < y0:
        raise ValueError(f"box ({x0}, {y0}, {x1}, {y1}) is turned inside out")
    return x0, y0, x1, y1


def read_val_box(path: Path) -> list[tuple[Box, ...]]:
    """Every image's boxes of the devkit's ``val_box.mat``, in validation order; stored unsigned, cast here."""
    try:
        images = scipy.io.loadmat(path)["rec"][0]
        return [tuple(_checked(*map(int, box["bbox"][0])) for box in image["objects"][0]) for image in images]
    except (MatReadError, ValueError, KeyError, IndexError, TypeError, NotImplementedError) as error:
        raise ValueError(f"{path}: not the devkit's val_box.mat: {error!r}") from None


def read_val_list(path: Path) -> dict[str, tuple[int, int]]:
    """``{stem: (place in validation order from 0, label)}`` of lines ``ILSVRC2012_val_00000001.JPEG 65``."""
    found = {}
    for place, line in enumerate(path.read_text().splitlines()):
        name, _, label = line.rpartition(" ")
        if not name or not label.isdigit():
            raise ValueError(f"{path}: line {place + 1} is {line!r}; expected 'ILSVRC2012_val_00000001.JPEG 65'")
        found[Path(name).stem] = place, int(label)
    return found


def _from_mat(root: Path, classes: Classes) -> Callable[[Path], Annotation]:
    """Labels from ``val_list.txt``, or else from the wnid folder and the number in the file's name."""
    boxes = read_val_box(root / "val_box.mat")
    listed = read_val_list(root / "val_list.txt") if (root / "val_list.txt").is_file() else {}

    def annotate(path: Path) -> Annotation:
        number = re.search(r"_val_(\d{8})$", path.stem)
        if path.stem in listed:
            place, label = listed[path.stem]
        elif not listed and number and path.parent.name in classes:
            place, label = int(number[1]) - 1, classes[path.parent.name][0]
        else:
            raise ValueError(f"{path}: val_box.mat alone does not say its class; expected a line for it in {root / 'val_list.txt'}")
        if place >= len(boxes) or label >= len(classes):
            raise ValueError(f"{path}: val_list.txt and val_box.mat do not belong together (place {place + 1}, label {label})")
        return label, boxes[place]

    return annotate


def _from_solution(path: Path, classes: Classes) -> Callable[[Path], Annotation]:
    """Kaggle's ``LOC_val_solution.csv``: ``ImageId,wnid x0 y0 x1 y1 wnid x0 ...``."""
    with path.open(newline="") as file:
        rows = {row["ImageId"]: row["PredictionString"].split() for row in csv.DictReader(file)}

    def annotate(picture: Path) -> Annotation:
        words = rows.get(picture.stem)
        if not words or len(words) % 5:
            raise ValueError(f"{path}: no boxes for {picture.stem}; expected 'wnid x0 y0 x1 y1 ...'")
        groups = [words[i : i + 5] for i in range(0, len(words), 5)]
        boxes = tuple(_checked(*(round(float(v)) for v in g[1:])) for g in groups if g[0] == words[0])
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
    classes = read_classes(root)
    paths = _pictures(root)
    if not paths:
        raise FileNotFoundError(f"{root}: no image in {', '.join(PICTURE_FOLDERS[:3])}; expected *.JPEG")
    annotate = _annotations(root, classes, paths[0])
    samples = tuple(Sample(path.stem, path, *annotate(path)) for path in paths)
    return Dataset(name, root, tuple(n for _, n in classes.values()), samples, fingerprint(samples), model)
