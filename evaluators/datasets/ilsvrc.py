"""ILSVRC validation in the layouts found in the wild; labels are indices into the sorted wnids.

Pictures: Kaggle's ``ILSVRC/Data/CLS-LOC/val``, a flat ``val`` or ``val/<wnid>``. Boxes: XML files,
the devkit's ``val_box.mat`` with ``val_list.txt``, or Kaggle's ``LOC_val_solution.csv``; the first
of them that is there is used.
"""

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from camx.evaluators import files
from camx.evaluators.datasets import _ilsvrc_boxes as boxes
from camx.evaluators.datasets import _wsol
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample

TITLE = "ILSVRC validation: Kaggle's layout, flat or in wnid folders, XML or val_box.mat"
SOURCE = "Russakovsky et al. 2015; image-net.org, Kaggle imagenet-object-localization-challenge"
TASK = "localization"
LAYOUT = (
    "ILSVRC/Data/CLS-LOC/val/*.JPEG, val/*.JPEG or val/<wnid>/*.JPEG, with XML annotations "
    "(ILSVRC/Annotations/CLS-LOC/val, Annotations or beside the images), "
    "val_box.mat + val_list.txt, or LOC_val_solution.csv (ILSVRC)"
)
MARKS = ("ILSVRC*", "LOC_*", "val_box.mat", "val_list.txt")
PICTURES = {".jpeg", ".jpg", ".png"}
PICTURE_FOLDERS = ("ILSVRC/Data/CLS-LOC/val", "Data/CLS-LOC/val", "val")
XML_FOLDERS = (
    "ILSVRC/Annotations/CLS-LOC/val", "Annotations/CLS-LOC/val", "Annotations/val", "Annotations",
    "bbox/val", ".",
)  # fmt: skip
SOLUTION = "LOC_val_solution.csv"
MAPPINGS = (boxes.MAPPING, "synset_words.txt")


def _pictures(root: Path) -> list[Path]:
    """The images of all layouts, sorted by name; of `root` itself only where there are no others.

    Raises `ValueError` with the counts if two layouts hold images of one name.
    """
    places: dict[Path, Path] = {}  # by what a link leads to
    for place in (*_places(root, PICTURE_FOLDERS), root):
        wnids = [folder for folder in files.folders(place) if is_wnid(folder.name)]
        for folder in wnids if place == root else [place, *wnids]:
            places.setdefault(folder.resolve(), folder)
    layouts: dict[str, list[Path]] = {}
    for folder in places.values():
        layout = str(folder.parent / "<wnid>") if is_wnid(folder.name) else str(folder)
        layouts.setdefault(layout, []).extend(files.listing(folder, PICTURES, "image"))
    _disjoint(layouts)
    paths = [path for layout in layouts.values() for path in layout]
    return sorted(paths or files.listing(root, PICTURES, "image"), key=lambda path: path.name)


def _places(root: Path, parts: Sequence[str]) -> list[Path]:
    return [place for part in parts for place in files.below(root, part)]


def is_wnid(name: str) -> bool:
    """Whether it looks like a WordNet id, such as n01440764."""
    return len(name) == 9 and name[0] == "n" and name[1:].isdecimal()


def _disjoint(layouts: dict[str, list[Path]]) -> None:
    seen: dict[str, tuple[str, Path]] = {}
    for layout, paths in layouts.items():
        for path in paths:
            first, other = seen.setdefault(path.stem, (layout, path))
            if first != layout:
                counts = f"{first} ({len(layouts[first])} images) and {layout} ({len(paths)})"
                what = f"both hold {path.stem} ({other}, {path}); keep one of them"
                raise ValueError(f"{counts} {what}")


def accepts(root: Path) -> bool:
    """Whether images lie flat in one of its folders, or in wnid folders and with boxes.

    Without boxes wnid folders are anybody's images by class; an empty folder is told of by `read`.
    """
    if _wsol.metadata(root):  # whose folders have a ``val`` too, and a reader of their own
        return False
    places = _places(root, PICTURE_FOLDERS)
    if not places:
        return (root / "val_box.mat").is_file() and bool(_pictures(root))
    folders = [folder for place in places for folder in files.folders(place)]
    if not folders or any(files.listing(place, PICTURES, "image") for place in places):
        return True
    return _has_boxes(root, [folder for folder in folders if is_wnid(folder.name)])


def _has_boxes(root: Path, wnids: Sequence[Path]) -> bool:
    """Whether anything says where the objects of images in wnid folders are."""
    if not wnids or any(os.path.lexists(root / name) for name in ("val_box.mat", SOLUTION)):
        return bool(wnids)
    places = (*_places(root, XML_FOLDERS), *wnids)
    return any(files.listing(place, (".xml",), "annotation") for place in places)


def read_classes(root: Path) -> dict[str, tuple[int, str]]:
    """``{wnid: (label, readable name)}``, labels in the order of sorted wnids.

    From ``LOC_synset_mapping.txt`` or ``synset_words.txt``, or else ILSVRC's thousand classes.
    """
    shipped = Path(str(resources.files("camx.configs") / "ilsvrc_synsets.txt"))
    paths = (root / name for name in MAPPINGS)
    path = next((path for path in paths if os.path.lexists(path)), shipped)
    lines = [line.split(None, 1) for _, line in files.read_lines(path, "list of classes")]
    names = {wnid: " ".join(name) for wnid, *name in lines}
    return {wnid: (label, names[wnid]) for label, wnid in enumerate(sorted(names))}


def _annotations(root: Path, classes: boxes.Classes, paths: Sequence[Path]) -> boxes.Annotate:
    """Where an image's class and boxes stand: the first of the places that hold any."""
    if annotate := boxes.from_xml(_places(root, XML_FOLDERS), paths, classes):
        return annotate
    if (root / "val_box.mat").exists():
        return boxes.from_mat(root, classes, paths)
    if (root / SOLUTION).exists():
        return boxes.from_solution(root / SOLUTION, classes)
    raise FileNotFoundError(f"{root}: images but no boxes; expected {LAYOUT}")


def read(root: Path, name: str = "ilsvrc", model: str = "vgg16") -> Dataset[Sample]:
    """Every validation image with its label and boxes, sorted by name."""
    classes, paths = read_classes(root), _pictures(root)
    if not paths:
        folders = ", ".join(PICTURE_FOLDERS)
        raise FileNotFoundError(f"{root}: no image in {folders}; expected *.JPEG")
    annotate = _annotations(root, classes, paths)
    samples = tuple(Sample(path.stem, path, *annotate(path)) for path in paths)
    names = tuple(words for _, words in classes.values())
    return Dataset(name, root, names, samples, fingerprint(samples), model)
