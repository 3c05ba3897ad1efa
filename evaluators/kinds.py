"""What kind of data a data set is: one the paper measured, the miniature, or somebody's own."""

import re
from pathlib import Path

from camx.evaluators.datasets import dagm, ilsvrc, mini, voc
from camx.evaluators.miniature.drawing import SHAPES
from camx.evaluators.types import Dataset, Item

OWN = "own"
PAPER = ("ilsvrc", "dagm", "voc")
NAMES = {"ilsvrc": r"ILSVRC2012_val_\d{8}", "voc": r"\d{4}_\d{6}"}  # of their images
DRAWN = r"mini_(val_\d{8}|\d{6})"  # of the miniature's
TEXTURES = {f"Class{number}" for number in range(1, 11)}


def kind(dataset: Dataset[Item]) -> str:
    """``mini``, ``ilsvrc``, ``dagm`` or ``voc`` by its classes and names, else ``own``.

    A folder in the layout of one of them is not it: ILSVRC has its thousand synsets, VOC its twenty
    classes, DAGM its ten textures, and their images have names of their own. So has the miniature,
    wherever it is rendered to.
    """
    name = dataset.name
    if name == "mini":
        return "mini" if dataset.root.is_relative_to(mini.cache()) else OWN
    if name in NAMES and dataset.classes == tuple(sorted(SHAPES)) and _named(dataset, DRAWN):
        return "mini"
    if not _named(dataset, NAMES.get(name, ".*")):
        return OWN
    if name == "ilsvrc":
        shipped = ilsvrc.read_classes(Path(__file__))  # beside a file there is no list: camx's own
        same = set(ilsvrc.read_classes(dataset.root)) == set(shipped)
        return name if same and len(dataset.classes) == len(shipped) else OWN
    if name == "dagm":
        groups = {getattr(sample, "group", "") for sample in dataset.samples}
        return name if dataset.classes == dagm.CLASSES and groups <= TEXTURES else OWN
    return name if name == "voc" and dataset.classes == voc.CLASSES else OWN


def _named(dataset: Dataset[Item], pattern: str) -> bool:
    """Whether all its images have such names."""
    return all(re.fullmatch(pattern, sample.image_id) for sample in dataset.samples)
