"""Data-set readers, one a file: ``TITLE SOURCE TASK LAYOUT accepts(root) read(root[, split])``.

`load` finds the reader of a folder or file by asking each of the task's, those with ``LAST = True``
after all others; ``READER:FOLDER`` names it, and a reader that needs no folder is called by its
name. ``TASK`` is ``localization``, ``defects``, ``classification`` or ``segmentation``, whose
readers return Scenes. A data set in splits has a reader with the parameter `split`, ``""`` for its
own choice. ``MARKS`` are patterns of files and folders by which an error tells the layout that is
meant where it is half there.
"""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

from camx.evaluators.datasets import _readers
from camx.evaluators.datasets._ilsvrc_boxes import IMAGES, number_of
from camx.evaluators.datasets._readers import PACKAGE as PACKAGE
from camx.evaluators.datasets._readers import shipped as shipped
from camx.evaluators.files import read_lines, regular
from camx.evaluators.fingerprints import fingerprint as fingerprint
from camx.evaluators.types import Dataset, Item, Sample, Scene

BOXES_BY = "a FILE.csv of image,label,x0,y0,x1,y1 (docs/datasets.md)"


def load(
    data: str = "mini", task: str = "localization", split: str = "", truth: bool = True
) -> Dataset[Any]:
    """The data set of a folder or file, of ``READER:FOLDER``, or of a reader that needs no folder.

    A reader is one of camx's own by name, ``module:function`` or ``FILE.py``. `split` is what of
    the data set is read, by default the reader's choice; without `truth` an image of a
    localization data set needs neither boxes nor a mask. Raises `FileNotFoundError` or `ValueError`
    in one line that says what a folder should hold.
    """
    dataset = _readers.read(data, task, split)
    _check(dataset, task, truth)
    return dataset


def _check(dataset: Any, task: str, truth: bool) -> None:
    """Raise `ValueError` naming an image that shares its name or lacks what the task needs."""
    if not isinstance(dataset, Dataset):
        expected = f"evaluators.types.Dataset, not {type(dataset).__name__}"
        raise ValueError(f"a data set's read() must return {expected}")
    if not dataset.samples:
        raise ValueError(f"{dataset.root}: the data set holds no image")
    paths: dict[str, Path] = {}
    for sample in dataset.samples:
        if not isinstance(sample, Sample | Scene):
            expected = f"Samples or Scenes, not {sample!r}"
            raise ValueError(f"{dataset.root}: a data set's samples are {expected}")
        if fault := _misnamed(sample.image_id):
            raise ValueError(f"{sample.path}: image_id is {sample.image_id!r}: {fault}")
        if sample.image_id in paths:
            what = f"another image has the same name, {paths[sample.image_id]}"
            raise ValueError(f"{sample.path}: {what}; names must differ")
        paths[sample.image_id] = sample.path
        if fault := _fault(sample, task, len(dataset.classes), truth):
            raise ValueError(f"{sample.path}: {fault}")
        if isinstance(sample.mask, Path) and not sample.mask.is_file():
            what = f"its mask {sample.mask} is missing; expected a file, or None"
            raise FileNotFoundError(f"{sample.path}: {what}")
    for sample in dataset.samples if task != "classification" else ():  # listed as files just now
        regular(sample.path, "image")


def _misnamed(name: Any) -> str:
    """What makes an `image_id` no name: maps, masks and labels are files of that name."""
    if not isinstance(name, str) or not name.strip():
        return "expected a name"
    parts = re.split(r"[/\\]", name)
    if "" in parts or any(part.startswith(".") for part in parts) or re.match("[A-Za-z]:", name):
        return "it leaves the folder or is hidden; expected a name, or folders and a name: a/b/0001"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "it is not text in UTF-8"
    return "it holds control characters" if re.search(r"[\x00-\x1f\x7f]", name) else ""


def _fault(sample: Sample | Scene, task: str, classes: int, truth: bool) -> str:
    """What makes an image unfit for the task; empty if nothing does."""
    if isinstance(sample, Scene) != (task == "segmentation"):
        return f"the reader returned a {type(sample).__name__}, which is not for {task}"
    labels = sample.labels if isinstance(sample, Scene) else (sample.label,)
    if wrong := [label for label in labels if not 0 <= label < classes]:
        return f"label {wrong[0]} is not one of the {classes} classes, 0..{classes - 1}"
    if isinstance(sample, Scene):
        if list(labels) != sorted(set(labels)):
            return f"labels are {labels}; expected each class once, ascending"
    elif task == "classification":
        if sample.split not in ("train", "val"):
            return f"split is {sample.split!r}; accepted: train, val"
    elif task == "localization":
        if any(len(box) != 4 for box in sample.boxes):
            return f"boxes are {sample.boxes}; expected at least one (x0, y0, x1, y1)"
        if truth and not sample.boxes and sample.mask is None:
            told = "expected boxes (x0, y0, x1, y1), or a mask"
            return f"nothing says where the object is; {told}; {BOXES_BY} gives boxes"
    elif sample.split not in ("train", "test"):
        return f"split is {sample.split!r}; accepted: train, test"
    elif sample.mask and not sample.label:
        return f"a good image has the mask {sample.mask}; either it is defective or it has no mask"
    return ""


def without(dataset: Dataset[Item], blacklist: Path) -> Dataset[Item]:
    """The data set less the images a file lists; that some of these are not here is no error.

    A line is an image's name or number: that in ILSVRC's names (``ILSVRC2012_val_00000057``), or of
    data sets whose names hold none its place from 1. Raises `ValueError` for a line that can name
    no image. The fingerprint stays that of the whole, so that the list of a run may grow.
    """
    ids = {sample.image_id for sample in dataset.samples}
    numbered = {number: name for name in ids if (number := number_of(name))}
    if len(numbered) < sum(number_of(name) is not None for name in ids):
        numbered = {}  # several images of one number: it says nothing
    last = IMAGES if numbered else len(dataset.samples)
    numbers = numbered or {place: s.image_id for place, s in enumerate(dataset.samples, 1)}
    shapes = {_shape(name) for name in ids if _shape(name) != name}
    dropped = set()
    for line, text in read_lines(blacklist, "blacklist"):
        stem, number = os.path.splitext(text)[0], number_of(text) if numbered else None
        if text.isdecimal() and len(text) < 10:
            number = int(text)
        names = [text, stem, Path(stem).name, numbers.get(number or 0)]
        names = [name for name in names if name in ids]
        if names:
            dropped.add(names[0])
        elif not (_shape(Path(stem).name) in shapes if number is None else 1 <= number <= last):
            expected = f"a name such as {dataset.samples[0].image_id} or a number from 1 to {last}"
            what = f"{text!r} names no image; expected {expected}"
            raise ValueError(f"{blacklist}: line {line}: {what}")
    samples = tuple(s for s in dataset.samples if s.image_id not in dropped)
    if not samples:
        raise ValueError(f"{blacklist}: lists every image of {dataset.root}")
    return dataclasses.replace(dataset, samples=samples)


def _shape(name: str) -> str:
    """A name with every digit 0: what names of one data set have in common."""
    return re.sub(r"\d", "0", name)
