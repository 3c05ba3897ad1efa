"""Images in a folder a class, to train on: ILSVRC's ``train/<wnid>``, or anybody's.

ILSVRC's labels are those of its validation images, whatever wnids are there; elsewhere they are the
places of the sorted folders' names, as torchvision's ``ImageFolder`` has them.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from camx.camcore.image_files import PICTURES
from camx.evaluators import files
from camx.evaluators.datasets import ilsvrc
from camx.evaluators.fingerprints import listed
from camx.evaluators.types import Dataset, Sample

TITLE = "images by class, to train on: ILSVRC's train/<wnid>, or <class>/* of one's own"
SOURCE = "image-net.org; torchvision's ImageFolder"
TASK = "classification"
LAYOUT = (
    "train/<class>/*.jpg (and val/<class>/*.jpg), <class>/*.jpg, or ILSVRC's "
    "ILSVRC/Data/CLS-LOC/train/<wnid>/*.JPEG"
)
TRAIN = ("ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train", "train")
VAL = ("ILSVRC/Data/CLS-LOC/val", "Data/CLS-LOC/val", "val")


def _place(root: Path, parts: tuple[str, ...]) -> Path | None:
    """The first of the folders below `root` that holds folders."""
    places = (place for part in parts for place in files.below(root, part))
    return next((place for place in places if files.folders(place)), None)


def accepts(root: Path) -> bool:
    return bool(_place(root, TRAIN) or files.folders(root))


def classes_of(folders: Sequence[str], root: Path) -> dict[str, tuple[int, str]]:
    """``{folder: (label, readable name)}`` of sorted names, if all are wnids ILSVRC's."""
    if folders and all(map(ilsvrc.is_wnid, folders)):
        return ilsvrc.read_classes(root)
    return {name: (label, name) for label, name in enumerate(folders)}


def images(place: Path, classes: dict[str, int], split: str) -> list[Sample]:
    """The images of each class's folder. `ValueError` for a folder of no class, or an empty one."""
    samples = []
    for folder in files.folders(place):
        if folder.name not in classes:
            accepted = ", ".join(list(classes)[:3]) + (", ..." if len(classes) > 3 else "")
            what = f"the folder is of none of the {len(classes)} classes ({accepted})"
            raise ValueError(f"{folder}: {what}")
        label, paths = classes[folder.name], files.listing(folder, PICTURES, "image")
        if not paths:
            endings = ", ".join(sorted(PICTURES))
            raise FileNotFoundError(f"{folder}: no image of the class; expected {endings}")
        before = "" if split == "train" else f"{split}/"
        names = (f"{before}{folder.name}/{path.name}" for path in paths)
        samples += [Sample(n, path, label, split=split) for n, path in zip(names, paths)]
    return samples


def _judged(root: Path, classes: dict[str, int], wnids: bool) -> list[Sample]:
    """The images of split ``val``: by folder, or else, of ILSVRC's, by their annotations."""
    if place := _place(root, VAL):
        return images(place, classes, "val")
    if wnids and ilsvrc.accepts(root):
        return [dataclasses.replace(s, split="val") for s in ilsvrc.read(root).samples]
    return []


def read(root: Path, name: str = "", model: str = "vgg16") -> Dataset[Sample]:
    """Every image with its class: split ``train``, and ``val`` where there are such.

    Raises `FileNotFoundError` or `ValueError` naming a folder that is empty or of no class.
    """
    train = _place(root, TRAIN) or root
    folders = [folder.name for folder in files.folders(train)]
    wnids = bool(folders) and all(map(ilsvrc.is_wnid, folders))
    words = classes_of(folders, root)
    classes = {folder: label for folder, (label, _) in words.items()}
    if len(folders) < 2:
        what = f"{len(folders)} class{'' if len(folders) == 1 else 'es'}"
        raise ValueError(f"{train}: {what}; expected a folder for each of two or more")
    samples = (*images(train, classes, "train"), *_judged(root, classes, wnids))
    title = name or ("ilsvrc" if wnids else root.resolve().name)
    titles = tuple(title for _, title in words.values())
    return Dataset(title, root, titles, samples, listed(samples), model)
