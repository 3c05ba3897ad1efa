"""ILSVRC validation in Kaggle's layout; labels are indices into the sorted wnids."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

from evaluators.datasets import fingerprint
from evaluators.types import Box, Dataset, Sample

TITLE = "ILSVRC validation, Kaggle layout"
SOURCE = "Russakovsky et al. 2015; image-net.org, Kaggle imagenet-object-localization-challenge"
LAYOUT = "ILSVRC/Data/CLS-LOC/val/*.JPEG with ILSVRC/Annotations/CLS-LOC/val/*.xml and LOC_synset_mapping.txt (Kaggle's ILSVRC)"
PICTURES = {".jpeg", ".jpg", ".png"}


def accepts(root: Path) -> bool:
    return (root / "ILSVRC/Data/CLS-LOC/val").is_dir()


def read_classes(path: Path) -> dict[str, tuple[int, str]]:
    """``{wnid: (label, readable name)}`` from LOC_synset_mapping.txt, labels in the order of sorted wnids."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected lines 'n01440764 tench, Tinca tinca'")
    lines = [line.partition(" ") for line in path.read_text().splitlines() if line.strip()]
    names = {wnid: name.strip() for wnid, _, name in lines}
    return {wnid: (label, names[wnid]) for label, wnid in enumerate(sorted(names))}


def read_annotation(path: Path, classes: Mapping[str, tuple[int, str]]) -> tuple[int, tuple[Box, ...]]:
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
    if wnid not in classes:
        raise ValueError(f"{path}: class {wnid!r} is not in LOC_synset_mapping.txt")
    return classes[wnid][0], tuple(box for name, box in found if name == wnid)


def _box(node: ElementTree.Element) -> Box:
    values = [node.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    if None in values:
        raise ValueError("an object has no bndbox with xmin, ymin, xmax and ymax")
    x0, y0, x1, y1 = (round(float(str(v))) for v in values)
    if x1 < x0 or y1 < y0:
        raise ValueError(f"box ({x0}, {y0}, {x1}, {y1}) is turned inside out")
    return x0, y0, x1, y1


def read(root: Path, name: str = "ilsvrc", model: str = "vgg16") -> Dataset:
    """Every image of ``val`` with its annotation, sorted by name."""
    classes = read_classes(root / "LOC_synset_mapping.txt")
    pictures = root / "ILSVRC/Data/CLS-LOC/val"
    annotations = root / "ILSVRC/Annotations/CLS-LOC/val"
    paths = sorted(p for p in pictures.iterdir() if p.suffix.lower() in PICTURES)
    if not paths:
        raise FileNotFoundError(f"{pictures}: no image; expected *.JPEG")
    samples = tuple(Sample(p.stem, p, *read_annotation(annotations / f"{p.stem}.xml", classes)) for p in paths)
    return Dataset(name, root, tuple(n for _, n in classes.values()), samples, fingerprint(samples), model)
