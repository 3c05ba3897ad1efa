"""GlaS, stained tissue of the colon, benign and malignant, its glands marked.

``train_1.bmp``, ``testA_1.bmp``, ``testB_1.bmp`` and their masks ``train_1_anno.bmp``, whose values
from 1 on number the glands; ``Grade.csv`` lists ``name`` and ``grade (GlaS)``. The object of an
image is all its glands together: its pixels, and the one box around them. Images whose names begin
with ``test`` are the test split, as in weakly supervised work on GlaS.
"""

from collections.abc import Mapping
from pathlib import Path

from camx.evaluators.datasets._objects import settled
from camx.evaluators.datasets.dagm import pictures
from camx.evaluators.files import by_stem, listing, read_csv
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.object_masks import GreyMasks
from camx.evaluators.types import Dataset, Sample

TITLE = "GlaS: tissue of the colon, benign and malignant, with its glands marked"
SOURCE = "Sirinukunwattana et al. 2017, Medical Image Analysis; Warwick QU data set"
TASK = "localization"
LAYOUT = "{train,testA,testB}_*.bmp with masks *_anno.bmp and Grade.csv (GlaS)"
MARKS = ("*_anno.bmp", "testA_*.bmp")
CLASSES = ("benign", "malignant")
COLUMNS = ("name", "grade (GlaS)")
PREFIXES = {"train": "train", "testA": "test", "testB": "test"}  # of names, and their splits
MASK = "_anno"  # at the end of a mask's name


def _list(root: Path) -> Path | None:
    return next((p for p in listing(root, (".csv",)) if p.stem.lower() == "grade"), None)


def accepts(root: Path) -> bool:
    return _list(root) is not None


def _grades(path: Path) -> dict[str, tuple[str, int, str]]:
    """``{name: (where, label, split)}``. `ValueError` naming a line of no grade or no split."""
    grades: dict[str, tuple[str, int, str]] = {}
    for number, (name, grade) in read_csv(path, COLUMNS, "list of grades"):
        where, prefix = f"{path}, line {number}", name.partition("_")[0]
        if grade not in CLASSES:
            raise ValueError(f"{where}: grade is {grade!r}; accepted: {', '.join(CLASSES)}")
        if prefix not in PREFIXES:
            accepted = ", ".join(f"{prefix}_<number>" for prefix in PREFIXES)
            raise ValueError(f"{where}: name is {name!r}; accepted: {accepted}")
        if name in grades:
            raise ValueError(f"{where}: {name} is listed twice, first in {grades[name][0]}")
        grades[name] = where, CLASSES.index(grade), PREFIXES[prefix]
    return grades


def _matching(images: Mapping[str, Path], masks: Mapping[str, Path], listed: set[str]) -> None:
    """Raise `ValueError` for an image without its mask or grade, or a mask without its image."""
    for what, there, others in (
        ("mask", images, set(masks)), ("image", masks, set(images)), ("grade", images, listed),
    ):  # fmt: skip
        if lacking := sorted(set(there) - others):
            count = f"{len(lacking)} of {len(there)} have none"
            path, stem = there[lacking[0]], lacking[0]
            called = f" {stem}{MASK}" if what == "mask" else ""
            raise ValueError(f"{path}: no {what}{called} of it ({count}); expected {LAYOUT}")


def read(root: Path, split: str = "") -> Dataset[Sample]:
    """The images of ``test`` or ``train`` in the order of the list.

    Raises `FileNotFoundError` for a listed image that is missing, `ValueError` naming a line that
    is wrong, or an image without its mask or grade.
    """
    path = _list(root)
    if path is None:
        raise FileNotFoundError(f"{root}: no Grade.csv; expected {LAYOUT}")
    grades, files = _grades(path), pictures(root)
    wanted = settled(split, PREFIXES.values(), ("test",), str(root))
    masks = by_stem((p for p in files if p.stem.lower().endswith(MASK)), MASK)
    images = by_stem(p for p in files if not p.stem.lower().endswith(MASK))
    for name, (where, *_) in grades.items():
        if name not in images:
            raise FileNotFoundError(f"{where}: no such image {root / name}.bmp")
    _matching(images, masks, set(grades))
    samples = [
        Sample(name, images[name], label, mask=GreyMasks((masks[name],)), split=part)
        for name, (_, label, part) in grades.items()
        if part == wanted
    ]
    return Dataset("glas", root, CLASSES, tuple(samples), fingerprint(samples), "resnet50")
