"""VOC 2007 and 2012 with their boxes: VOCdevkit's lists of detection and its XML files.

An image is measured once for each class on it, by the boxes of all the class's objects; where all
of them are marked as difficult, so is the sample. A box of the XML counts pixels from 1, both ends
inclusive: ``(xmin - 1, ymin - 1, xmax, ymax)``, rounded where a file holds fractions. Images
without any object are left out, since nothing is to be localized on them.

The split is a list of ``ImageSets/Main``: ``test`` if it is there, else ``val``. VOC 2012's test
annotations are not public. ``classes.txt`` beside ``JPEGImages`` replaces VOC's twenty classes.
"""

import re
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from camx.evaluators.datasets import voc
from camx.evaluators.datasets._objects import Marked, samples_of, settled
from camx.evaluators.files import below, folders, listing, read_xml
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample
from camx.evaluators.values import Box, as_box

TITLE = "VOC 2007 and 2012, detection: VOCdevkit's images with their boxes"
SOURCE = "Everingham et al. 2015; host.robots.ox.ac.uk/pascal/VOC"
TASK = "localization"
LAYOUT = (
    "VOC20NN/JPEGImages/*.jpg, Annotations/*.xml and ImageSets/Main/{train,val,trainval,test}.txt "
    "(VOC detection)"
)
MARKS = ("VOC*", "JPEGImages", "Annotations", "ImageSets")
LISTS = "ImageSets/Main"
KIND = "VOC annotation"
USUAL = ("test", "val")
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def _devkits(root: Path) -> list[Path]:
    """The folders with images and lists: `root`, VOC20NN or VOCdevkit/VOC20NN below it."""
    parents = [root, *below(root, "VOCdevkit")]
    years = [f for p in parents for f in folders(p) if re.fullmatch(r"voc\d{4}", f.name.lower())]
    parts = ("JPEGImages", "Annotations", LISTS)
    return [place for place in (root, *years) if all(below(place, part) for part in parts)]


def accepts(root: Path) -> bool:
    return bool(_devkits(root))


def _lists(folder: Path, classes: Sequence[str]) -> dict[str, Path]:
    """The lists of images by name, less those of single classes (``cat_val.txt``)."""
    paths = (path for place in below(folder, LISTS) for path in listing(place, (".txt",), "list"))
    return {p.stem: p for p in paths if p.stem.rpartition("_")[0] not in classes}


def read_annotation(
    path: Path, classes: Sequence[str], images: Container[str] = ()
) -> list[Marked]:
    """The objects of an XML. `ValueError` naming it and a class or a box that is none.

    So for one that says it is of another of the `images`.
    """
    root, objects = read_xml(path, KIND), []
    said = Path(root.findtext("filename") or path.stem).stem
    if said != path.stem and said in images:
        raise ValueError(f"{path}: the annotation is of another image, {said}")
    for node in root.findall("object"):
        name = node.findtext("name", "").strip()
        if name not in classes:
            accepted = (
                f"the data set's {len(classes)}: {', '.join(classes)} (classes.txt, or VOC's)"
            )
            raise ValueError(f"{path}: class {name!r} is not one of {accepted}")
        difficult = node.findtext("difficult", "0").strip()
        if difficult not in ("0", "1"):
            what = f"difficult is {difficult!r} of an object {name}"
            raise ValueError(f"{path}: {what}; accepted: 0, 1")
        try:
            objects.append(Marked(classes.index(name), _box(node), difficult == "1"))
        except ValueError as error:
            raise ValueError(f"{path}: not a {KIND}: {error}") from None
    return objects


def _box(node: Any) -> Box:
    words = [node.findtext(f"bndbox/{corner}") for corner in CORNERS]
    if None in words:
        raise ValueError(f"an object with no bndbox of {', '.join(CORNERS)}")
    try:
        x0, y0, x1, y1 = map(float, words)
    except ValueError:
        raise ValueError(f"box ({', '.join(words)}) is not four numbers") from None
    return as_box((x0 - 1, y0 - 1, x1, y1))


def read(root: Path, split: str = "") -> Dataset[Sample]:
    """The images of a list, in its order, a sample for each class on them.

    Raises `FileNotFoundError` for a listed image or its annotation that is missing, `ValueError`
    for a list that is not there, an unknown class, a box that is none, or two years in one folder.
    """
    devkits = _devkits(root)
    if len(devkits) != 1:
        which = " and ".join(map(str, devkits)) or "none"
        raise ValueError(f"{root}: expected one folder of {LAYOUT}; there is: {which}")
    (folder,) = devkits
    classes = voc.read_classes(folder)
    lists = _lists(folder, classes)
    wanted = settled(split, lists, USUAL, str(folder / LISTS))
    pictures = voc.stems(folder, "JPEGImages", voc.PICTURES)
    annotations = voc.stems(folder, "Annotations", (".xml",))
    samples: list[Sample] = []
    for name in voc.read_list(lists[wanted]):
        if name not in pictures:
            path = folder / "JPEGImages" / f"{name}.jpg"
            raise FileNotFoundError(f"{path}: no such image, but {lists[wanted]} names it")
        if name not in annotations:
            path = folder / "Annotations" / f"{name}.xml"
            told = "VOC 2012's test set has none; say another split"
            raise FileNotFoundError(f"{path}: missing annotation, of {lists[wanted]}; {told}")
        objects = read_annotation(annotations[name], classes, pictures)
        samples += samples_of(name, pictures[name], objects, classes, wanted)
    return Dataset("voc-boxes", root, classes, tuple(samples), fingerprint(samples))
