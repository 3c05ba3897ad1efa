"""DAGM 2007: textures, some with a defect. The official layout, and the older mirror's.

Official: ``Class1/{Train,Test}/0001.PNG``, masks ``Label/0001_label.PNG`` for defective images
only. Older mirror: ``Class1/1.png`` good, ``Class1_def/1.png`` defective, whose ``labels.txt``
gives each defect's ellipse (number, semi-axes, angle in radians, centre x and y); it has no split,
so half of its images train and half test, seeded. Names of folders may be in any case.
"""

import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from camx.evaluators import splits
from camx.evaluators.datasets._objects import names_of
from camx.evaluators.files import by_stem, folders, listing, read_lines
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Ellipse, Sample

TITLE = "DAGM 2007, textures with defects: the official layout and the older mirror's"
SOURCE = "Wieler and Hahn 2007, DAGM symposium; hci.iwr.uni-heidelberg.de"
TASK = "defects"
LAYOUT = (
    "Class*/{Train,Test}/*.PNG with masks in Label/*_label.PNG, "
    "or Class*/*.png and Class*_def/*.png with labels.txt (DAGM)"
)
MARKS = ("Class[0-9]*",)
CLASSES = ("good", "defective")
SPLITS = ("train", "test")  # a class's folders in the official layout
MASK, MIRROR = "_label", "_def"  # at the end of a mask's name, of the folder of the defective
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


def _folders(root: Path) -> list[Path]:
    """The class folders, Class2 before Class10; the root itself if it holds Train or Test."""
    classes = [p for p in folders(root) if _is_official(p) or _defective(p)]
    return sorted([root, *classes] if _is_official(root) else classes, key=_natural)


def _natural(path: Path) -> list[int | str]:
    return [int(w) if w.isdecimal() else w for w in re.split(r"(\d+)", path.name)]


def _is_official(folder: Path) -> bool:
    """Whether there are Train or Test with pictures, or Label, in them.

    Pictures in further folders are MVTec's or such as `good_bad` reads, masks beside their images
    that end in ``_GT`` are KolektorSDD2's.
    """
    parts = [part for split in SPLITS for part in folders(folder, split)]
    stems = [path.stem.lower() for part in parts for path in pictures(part)]
    labels = any(folders(part, "label") for part in parts)
    return bool(stems or labels) and not any(stem.endswith("_gt") for stem in stems)


def _defective(folder: Path) -> list[Path]:
    """The mirror's folder of a class's defective images, if there is one."""
    return folders(folder.parent, f"{folder.name}{MIRROR}".lower())


def accepts(root: Path) -> bool:
    return root.is_dir() and bool(_folders(root))


def pictures(folder: Path) -> list[Path]:
    """The pictures in a folder, sorted; none if it is missing."""
    return listing(folder, PICTURES, "picture")


def _official(folder: Path) -> Iterator[Sample]:
    """A class's images, part by part. Raises `ValueError` for a mask without its image."""
    for split in SPLITS:
        parts = folders(folder, split)
        images = by_stem(path for part in parts for path in pictures(part))
        labels = [label for part in parts for label in folders(part, "label")]
        masks = by_stem((path for label in labels for path in pictures(label)), MASK)
        _nothing_else(parts, images)
        if orphans := sorted(set(masks) - set(images)):
            path = masks[orphans[0]]
            expected = f"expected {path.parent.parent / orphans[0]}.PNG"
            raise ValueError(f"{path}: a mask without its image; {expected}")
        for stem, path in images.items():
            yield Sample(stem, path, int(stem in masks), (), masks.get(stem), split, folder.name)


def _nothing_else(parts: Sequence[Path], images: dict[str, Path]) -> None:
    """Raise `ValueError` for pictures that may be masks and do not lie where masks are sought."""
    for stem, path in images.items():
        if stem.lower().endswith(MASK) and stem[: -len(MASK)] in images:
            raise ValueError(f"{path}: a mask beside its image; expected it in {path.parent}/Label")
    for other in (folder for part in parts for folder in folders(part)):
        if other.name.lower() != "label" and (count := len(pictures(other))):
            what = f"{count} pictures that are neither images nor masks"
            raise ValueError(f"{other}: {what}; expected masks in {other.with_name('Label')}")


def _all_marked(samples: Sequence[Sample]) -> None:
    """Raise `ValueError` for a class whose part has no mask, though another class's has some.

    Its defective images would count as good ones.
    """
    counts: dict[str, dict[str, list[int]]] = {split: {} for split in SPLITS}
    for sample in (sample for sample in samples if sample.split):
        counts[sample.split].setdefault(sample.group, []).append(sample.label)
    for split, groups in counts.items():
        marked = sum(map(sum, groups.values()))
        for group, labels in groups.items():
            if marked and not sum(labels):
                what = f"none of its {len(labels)} images of {split} has a mask (Label/*_label.PNG)"
                raise ValueError(f"{group}: {what}, but {marked} of the other classes' have")


def _all_read(root: Path, classes: Sequence[Path]) -> None:
    """Raise `ValueError` for a class folder with pictures that is neither layout's."""
    taken = {path for folder in classes for path in (folder, *_defective(folder))}
    for other in folders(root):
        named = re.fullmatch(rf"class\d+({MIRROR})?", other.name.lower())
        if named and other not in taken and (count := len(pictures(other))):
            what = f"{count} pictures, but it has no Train or Test, nor a folder beside it"
            partner = "without _def" if named[1] else "with _def"
            raise ValueError(f"{other}: {what} of its name {partner}; expected {LAYOUT}")


def read_ellipses(path: Path) -> dict[str, Ellipse]:
    """``{number: ellipse}`` of the mirror's ``labels.txt``. `ValueError` naming a bad line."""
    ellipses = {}
    for number, line in read_lines(path, "list of where the defects are"):
        name, *words = line.split()
        try:
            major, minor, angle, x, y = map(float, words)
        except ValueError:
            major, angle, x, y, minor = 0.0, 0.0, 0.0, 0.0, 0.0
        if not (math.isfinite(x + y + angle) and 0 < major < math.inf and 0 < minor < math.inf):
            expected = "expected number, two semi-axes above 0, angle, x and y"
            raise ValueError(f"{path}: line {number} is {line!r}; {expected}")
        stem = Path(name).stem.rstrip(".")
        if stem in ellipses:
            raise ValueError(f"{path}: line {number}: image {stem} is listed twice")
        ellipses[stem] = Ellipse(x, y, major, minor, angle)
    return ellipses


def _mirror(folder: Path) -> Iterator[Sample]:
    for good in pictures(folder):
        yield Sample(good.stem, good, 0, group=folder.name)
    for defective in _defective(folder):
        names = [path for path in listing(defective, (".txt",)) if path.stem.lower() == "labels"]
        path = names[0] if names else defective / "labels.txt"
        ellipses = read_ellipses(path)
        for bad in pictures(defective):
            if bad.stem not in ellipses:
                raise ValueError(f"{bad}: {path} has no line for it")
            yield Sample(bad.stem, bad, 1, mask=ellipses[bad.stem], group=folder.name)


def with_distinct_names(samples: Sequence[Sample], root: Path) -> tuple[Sample, ...]:
    """Images are called by their stem, or, where two share one, by their path below `root`."""
    names = names_of([sample.path for sample in samples], root)
    return tuple(dataclasses.replace(s, image_id=names[s.path]) for s in samples)


def read(root: Path, name: str = "dagm", model: str = "resnet50") -> Dataset[Sample]:
    """Every image, classes and parts in order. A class has the official layout or the mirror's."""
    images: list[Sample] = []
    classes = _folders(root)
    _all_read(root, classes)
    for folder in classes:
        images += _official(folder) if _is_official(folder) else _mirror(folder)
    if not images:
        raise FileNotFoundError(f"{root}: no image; expected {LAYOUT}")
    _all_marked(images)
    samples = with_distinct_names(images, root)
    if not all(sample.split for sample in samples):
        samples = splits.halves(samples, root)
    return Dataset(name, root, CLASSES, samples, fingerprint(samples), model)
