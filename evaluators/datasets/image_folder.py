"""Images in a folder a class, without boxes: to measure what asks the network alone.

``<class>/*.jpg``, or ``<split>/<class>/*.jpg`` in folders called train, val or test. Labels are the
places of the sorted folders' names, as torchvision's ``ImageFolder`` has them, and ILSVRC's where
the folders are wnids. In splits they are those of train, where that is there: a network that
learned from it tells these classes apart, also where another split lacks one. What is read by
default is test, if it is there and has classes, or else val.
"""

import os
from pathlib import Path

from camx.camcore.image_files import PICTURES
from camx.evaluators import files
from camx.evaluators.datasets import by_class, ilsvrc
from camx.evaluators.datasets._objects import names_of, settled
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample

TITLE = "images by class, without boxes: occlusion and curves on anybody's folders"
SOURCE = "torchvision's ImageFolder"
TASK = "localization"
LAYOUT = (
    "<class>/*.jpg, or <split>/<class>/*.jpg for the splits train, val and test "
    "(images without boxes)"
)
MARKS = ("train", "val", "test")
LAST = True  # many a data set has folders of images
USUAL = ("test", "val", "valid", "validation")  # the first of them is read by default
SPLITS = (*USUAL, "train")


def _holds_image(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        names = (entry.name for entry in entries if not files.hidden(entry.name))
        return any(os.path.splitext(name)[1].lower() in PICTURES for name in names)


def _is_empty(folder: Path) -> bool:
    return all(files.hidden(name) for name in os.listdir(folder))


def _is_of_classes(place: Path) -> bool:
    """Whether a place's folders are classes': of images, though one may hold nothing yet."""
    holding = {folder: _holds_image(folder) for folder in files.folders(place)}
    empty = (_is_empty(folder) for folder, holds in holding.items() if not holds)
    return any(holding.values()) and all(empty)


def _is_bare(root: Path) -> bool:
    """Whether a folder's folders are classes' and not all called as splits, whose images are flat.

    One may be: a train is also a class of VOC's.
    """
    names = {folder.name.lower() for folder in files.folders(root)}
    return not names <= set(SPLITS) and _is_of_classes(root)


def _splits(root: Path) -> dict[str, Path]:
    """The folders of splits by their names; none if there is any other folder in `root`.

    A test set without labels, its images in no folder, is none.
    """
    folders = {folder.name.lower(): folder for folder in files.folders(root)}
    if "test" in folders and _holds_image(folders["test"]):
        del folders["test"]
    whole = set(folders) <= set(SPLITS) and all(map(_is_of_classes, folders.values()))
    return folders if whole else {}


def accepts(root: Path) -> bool:
    return root.is_dir() and bool(_splits(root) or _is_bare(root))


def read(root: Path, split: str = "") -> Dataset[Sample]:
    """Every image of the split with its class, classes in order.

    Raises `ValueError` for a split that is not there, or a folder of no class of train's,
    `FileNotFoundError` for a class without images.
    """
    splits = _splits(root)
    wanted = settled(split, splits, USUAL, str(root)) if split or splits else ""
    place = splits.get(wanted, root)
    names = [folder.name for folder in files.folders(splits.get("train", place))]
    words = by_class.classes_of(names, root)
    labels = {folder: label for folder, (label, _) in words.items()}
    images = by_class.images(place, labels, wanted)
    ids = names_of([image.path for image in images], place)
    samples = [Sample(ids[i.path], i.path, i.label, split=wanted) for i in images]
    name = "ilsvrc" if all(map(ilsvrc.is_wnid, names)) else root.resolve().name
    titles = tuple(title for _, title in words.values())
    return Dataset(name, root, titles, tuple(samples), fingerprint(samples))
