"""VOC 2012 in its VOCdevkit layout, alone or with SBD's augmented set.

An image's classes are the names of its XML's objects, those marked difficult too, as the masks hold
them; without XML, those of its mask. A mask of ``SegmentationClass`` comes before one of
``SegmentationClassAug``.

``train_aug``, 10,582 images, is the list ``train_aug.txt`` where there is one. Else it is SBD's
train and val (its own lists, or else whatever ``SegmentationClassAug`` holds) and VOC's train, less
VOC's val. Without any of these it is VOC's train, and each scene's `split` says so: ``train``.

A file ``classes.txt`` beside ``JPEGImages``, one name a line in the masks' order, replaces VOC's
twenty classes.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from camx.evaluators import confusion, voc_masks
from camx.evaluators.files import read_lines
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Scene

TITLE = "VOC 2012 segmentation: VOCdevkit, alone or with SBD's augmented set"
SOURCE = "Everingham et al. 2015; host.robots.ox.ac.uk/pascal/VOC; SBD: Hariharan et al. 2011"
TASK = "segmentation"
LAYOUT = (
    "VOC2012/JPEGImages/*.jpg, ImageSets/Segmentation/{train,val}.txt, Annotations/*.xml, "
    "SegmentationClass/*.png, and SegmentationClassAug/*.png for SBD's images (VOC)"
)
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
LISTS = "ImageSets/Segmentation"
MASKS = ("SegmentationClass", "SegmentationClassAug")
AUGMENTED = ("train_aug", "trainaug")  # the names this list goes by


def _devkit(root: Path) -> Path | None:
    """The folder that holds JPEGImages: `root` itself, VOC2012 or VOCdevkit/VOC2012 below it."""
    folders = (root, root / "VOC2012", root / "VOCdevkit/VOC2012")
    return next((folder for folder in folders if (folder / "JPEGImages").is_dir()), None)


def accepts(root: Path) -> bool:
    return _devkit(root) is not None


def read_classes(folder: Path) -> tuple[str, ...]:
    """The names of ``classes.txt``, or VOC's. `ValueError` for none, one twice, or too many."""
    path = folder / "classes.txt"
    if not path.is_file():
        return CLASSES
    names = tuple(line for _, line in read_lines(path))
    if not 0 < len(set(names)) == len(names) < confusion.IGNORED:
        what = f"{len(names)} names, {len(set(names))} of them different"
        raise ValueError(f"{path}: {what}; expected 1 to 254, one a line, all different")
    return names


def read_list(path: Path) -> list[str]:
    """The ids of a list, one a line: ``2007_000032``, or ``/JPEGImages/2007_000032.jpg``.

    Raises `FileNotFoundError` saying which lists are there, `ValueError` for an id twice or none.
    """
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
        expected = f"expected one id a line (lists there: {there})"
        raise FileNotFoundError(f"{path}: no such list of images; {expected}")
    numbers: dict[str, int] = {}
    for number, line in read_lines(path):
        name = line.split()[0].rpartition("/")[2].removesuffix(".jpg")
        first = numbers.setdefault(name, number)
        if first != number:
            what = f"{name} is listed twice, first in line {first}"
            raise ValueError(f"{path}, line {number}: {what}")
    if not numbers:
        raise ValueError(f"{path}: lists no image; expected one id a line")
    return list(numbers)


def _sbd(folder: Path) -> list[str]:
    """The ids of SBD's images, by its lists or the augmented masks; empty if there is neither."""
    place = folder.resolve()
    beside = [f"{path}/benchmark_RELEASE/dataset/" for path in (place, *place.parents[:2])]
    for prefix in (f"{folder / LISTS}/sbd_", *beside):
        train, val = Path(f"{prefix}train.txt"), Path(f"{prefix}val.txt")
        if train.is_file() or val.is_file():
            return read_list(train) + read_list(val)
    return [path.stem for path in (folder / "SegmentationClassAug").glob("*.png")]


def members(folder: Path, split: str) -> tuple[str, list[str]]:
    """The split as it is called and its ids, a derived list's sorted. Raises as `read_list`."""
    lists = folder / LISTS
    if split not in AUGMENTED:
        return split, read_list(lists / f"{split}.txt")
    for name in AUGMENTED:
        if (lists / f"{name}.txt").is_file():
            return AUGMENTED[0], read_list(lists / f"{name}.txt")
    train, more = read_list(lists / "train.txt"), _sbd(folder)
    if not more:
        return "train", train
    return AUGMENTED[0], sorted({*train, *more} - set(read_list(lists / "val.txt")))


def read_annotation(path: Path, classes: Sequence[str]) -> tuple[int, ...]:
    """The labels of an XML's objects, ascending. `ValueError` naming an unknown class."""
    try:
        nodes = ElementTree.parse(path).findall("object")
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: not a VOC annotation: {error}") from None
    names = {node.findtext("name", "").strip() for node in nodes}
    if unknown := sorted(names.difference(classes)):
        accepted = f"the data set's {len(classes)}: {', '.join(classes)}"
        raise ValueError(f"{path}: class {unknown[0]!r} is not one of {accepted}")
    return tuple(sorted(map(classes.index, names)))


def _scene(folder: Path, image_id: str, split: str, classes: Sequence[str]) -> Scene:
    path = folder / "JPEGImages" / f"{image_id}.jpg"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such image, but the list of {split} names it")
    mask = next((m for part in MASKS if (m := folder / part / f"{image_id}.png").is_file()), None)
    annotation = folder / "Annotations" / f"{image_id}.xml"
    labels = read_annotation(annotation, classes) if annotation.is_file() else ()
    if not labels and mask:
        labels = voc_masks.labels(voc_masks.read_mask(mask, len(classes)))
    if not labels and split != "test":
        expected = f"expected objects in {annotation}, or a mask in {' or '.join(MASKS)}"
        raise ValueError(f"{path}: nothing says which classes are on it; {expected}")
    return Scene(image_id, path, labels, mask, split)


def read(
    root: Path, split: str = "train_aug", name: str = "voc", model: str = "vgg16-cam"
) -> Dataset[Scene]:
    """The images of a split, a list of ``ImageSets/Segmentation`` or ``train_aug``, in its order.

    Raises `FileNotFoundError` for a missing list or image, `ValueError` for a class that is
    unknown, or an image that shows none though it is not of ``test``.
    """
    folder = _devkit(root)
    if folder is None:
        raise FileNotFoundError(f"{root}: no folder JPEGImages; expected {LAYOUT}")
    classes = read_classes(folder)
    split, ids = members(folder, split)
    scenes = tuple(_scene(folder, image_id, split, classes) for image_id in ids)
    return Dataset(name, root, classes, scenes, fingerprint(scenes), model)
