"""VOC 2012 in its VOCdevkit layout, alone or with SBD's augmented set.

An image's classes are the names of its XML's objects, those marked difficult too, as the masks hold
them; without XML, those of its mask. A mask of ``SegmentationClass`` comes before one of
``SegmentationClassAug``.

``train_aug``, 10,582 images, is the list ``train_aug.txt`` where there is one. Else it is SBD's
train and val (its own lists, or else whatever ``SegmentationClassAug`` holds) and VOC's train, less
VOC's val. Without any of these it is VOC's train, and each scene's `split` says so: ``train``.

A file ``classes.txt`` beside ``JPEGImages``, one name a line in the masks' order, replaces VOC's
twenty classes. Names of the background and of what is ignored, as labelme writes them first, are no
classes. Names of folders and suffixes may be in any case.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from camx.evaluators import confusion, voc_masks
from camx.evaluators.files import below, by_stem, folders, listing, read_lines, read_xml
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
PICTURES = (".jpg", ".jpeg", ".png")
IGNORED = ("ignore", "ignored", "void", "ambiguous", "unlabeled", "unlabelled")
AUGMENTED = ("train_aug", "trainaug")  # the names this list goes by


Parts = Mapping[str, Mapping[str, Path]]  # the devkit's folders, their files by stem


def _devkit(root: Path) -> Path | None:
    """The folder that holds JPEGImages: `root` itself, VOC2012 or VOCdevkit/VOC2012 below it."""
    places = [root, *below(root, "VOC2012"), *below(root, "VOCdevkit/VOC2012")]
    return next((folder for folder in places if folders(folder, "jpegimages")), None)


def accepts(root: Path) -> bool:
    return _devkit(root) is not None


def read_classes(folder: Path) -> tuple[str, ...]:
    """The names of ``classes.txt``, or VOC's. `ValueError` for none, one twice, or too many.

    ``background``, ``_background_`` and ``__ignore__`` at the beginning are left out, since the
    masks' index 1 is the first class; so is ``__ignore__``, or ``void`` behind VOC's twenty, at the
    end. `ValueError` for such a name in between, which has an index of its own.
    """
    path = folder / "classes.txt"
    if not os.path.lexists(path):
        return CLASSES
    names = [line for _, line in read_lines(path)]
    while names and _is_none(names[0]):
        del names[0]
    while names and (_is_ignored(names[-1]) or _ends_voc(names)):
        del names[-1]
    if amid := [name for name in names if _is_none(name)]:
        what = f"{amid[0]!r} is no class, but is number {names.index(amid[0]) + 1} of them"
        raise ValueError(f"{path}: {what}; expected it first, or left out")
    if not 0 < len(set(names)) == len(names) < confusion.IGNORED:
        what = f"{len(names)} names, {len(set(names))} of them different"
        raise ValueError(f"{path}: {what}; expected 1 to 254, one a line, all different")
    return tuple(names)


def _is_none(name: str) -> bool:
    return name.strip("_").lower() == "background" or _is_ignored(name)


def _is_ignored(name: str) -> bool:
    """``__ignore__`` and the like; without its underlines a name may well be a class's."""
    return name.startswith("_") and name.endswith("_") and name.strip("_").lower() in IGNORED


def _ends_voc(names: Sequence[str]) -> bool:
    return tuple(names[:-1]) == CLASSES and names[-1].lower() in IGNORED


def read_list(path: Path) -> list[str]:
    """The ids of a list, one a line: ``2007_000032``, or ``/JPEGImages/2007_000032.jpg``.

    Raises `FileNotFoundError` saying which lists are there, `ValueError` for an id twice or none.
    """
    if not os.path.lexists(path):
        there = ", ".join(p.stem for p in listing(path.parent, (".txt",), "list")) or "none"
        expected = f"expected one id a line (lists there: {there})"
        raise FileNotFoundError(f"{path}: no such list of images; {expected}")
    numbers: dict[str, int] = {}
    for number, line in read_lines(path):
        name = line.split()[0].replace("\\", "/").rpartition("/")[2]
        if os.path.splitext(name)[1].lower() in PICTURES:
            name = os.path.splitext(name)[0]
        first = numbers.setdefault(name, number)
        if first != number:
            what = f"{name} is listed twice, first in line {first}"
            raise ValueError(f"{path}, line {number}: {what}")
    if not numbers:
        raise ValueError(f"{path}: lists no image; expected one id a line")
    return list(numbers)


def _lists(folder: Path) -> Path:
    return next(iter(below(folder, LISTS)), folder / LISTS)


def _sbd(folder: Path) -> list[str]:
    """The ids of SBD's images, by its lists or the augmented masks; empty if there is neither."""
    place = folder.resolve()
    beside = [f"{path}/benchmark_RELEASE/dataset/" for path in (place, *place.parents[:2])]
    for prefix in (f"{_lists(folder)}/sbd_", *beside):
        train, val = Path(f"{prefix}train.txt"), Path(f"{prefix}val.txt")
        if os.path.lexists(train) or os.path.lexists(val):
            return read_list(train) + read_list(val)
    return list(stems(folder, MASKS[1], (".png",)))


def members(folder: Path, split: str) -> tuple[str, list[str]]:
    """The split as it is called and its ids, a derived list's sorted. Raises as `read_list`."""
    lists = _lists(folder)
    if split not in AUGMENTED:
        return split, read_list(lists / f"{split}.txt")
    for name in AUGMENTED:
        if os.path.lexists(lists / f"{name}.txt"):
            return AUGMENTED[0], read_list(lists / f"{name}.txt")
    train, more = read_list(lists / "train.txt"), _sbd(folder)
    if not more:
        return "train", train
    return AUGMENTED[0], sorted({*train, *more} - set(read_list(lists / "val.txt")))


def read_annotation(path: Path, classes: Sequence[str]) -> tuple[int, ...]:
    """The labels of an XML's objects, ascending. `ValueError` naming an unknown class."""
    nodes = read_xml(path, "VOC annotation").findall("object")
    names = {node.findtext("name", "").strip() for node in nodes}
    if unknown := sorted(names.difference(classes)):
        accepted = f"the data set's {len(classes)}: {', '.join(classes)} (classes.txt, or VOC's)"
        raise ValueError(f"{path}: class {unknown[0]!r} is not one of {accepted}")
    return tuple(sorted(map(classes.index, names)))


def stems(folder: Path, part: str, suffixes: Sequence[str]) -> dict[str, Path]:
    """The files of a part of the devkit by their stems."""
    return by_stem(
        path for place in folders(folder, part.lower()) for path in listing(place, suffixes)
    )


def _scene(folder: Path, image_id: str, split: str, classes: Sequence[str], parts: Parts) -> Scene:
    path = parts["JPEGImages"].get(image_id)
    if path is None:
        path = folder / "JPEGImages" / f"{image_id}.jpg"
        raise FileNotFoundError(f"{path}: no such image, but the list of {split} names it")
    mask = next((parts[part][image_id] for part in MASKS if image_id in parts[part]), None)
    annotation = parts["Annotations"].get(image_id)
    labels = read_annotation(annotation, classes) if annotation else ()
    if not labels and mask:
        labels = voc_masks.labels(voc_masks.read_mask(mask, len(classes)))
    if not labels and split != "test":
        place = folder / "Annotations" / f"{image_id}.xml"
        expected = f"expected objects in {place}, or a mask in {' or '.join(MASKS)}"
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
    parts = {part: stems(folder, part, (".png",)) for part in MASKS}
    parts["JPEGImages"] = stems(folder, "JPEGImages", PICTURES)
    parts["Annotations"] = stems(folder, "Annotations", (".xml",))
    scenes = tuple(_scene(folder, image_id, split, classes, parts) for image_id in ids)
    return Dataset(name, root, classes, scenes, fingerprint(scenes), model)
