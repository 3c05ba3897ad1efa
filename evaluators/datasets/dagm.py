"""DAGM 2007: textures, some with a defect. The official layout, and the older mirror's.

Official: ``Class1/{Train,Test}/0001.PNG``, masks ``Label/0001_label.PNG`` for defective images only. Older mirror:
``Class1/1.png`` good, ``Class1_def/1.png`` defective, whose ``labels.txt`` gives each defect's ellipse (number,
semi-axes, angle in radians, centre x and y); it has no split, so half of its images train and half test, seeded.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from evaluators.datasets import fingerprint
from evaluators.types import Dataset, Ellipse, Sample

TITLE = "DAGM 2007, textures with defects: the official layout and the older mirror's"
SOURCE = "Wieler and Hahn 2007, DAGM symposium; hci.iwr.uni-heidelberg.de"
TASK = "defects"
LAYOUT = "Class*/{Train,Test}/*.PNG with masks in Label/*_label.PNG, or Class*/*.png and Class*_def/*.png with labels.txt (DAGM)"
CLASSES = ("good", "defective")
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


def _folders(root: Path) -> list[Path]:
    """The class folders in natural order, Class2 before Class10; the root itself if it holds Train or Test."""
    found = [root, *(p for p in root.iterdir() if p.is_dir())]
    known = [p for p in found if (p / "Train").is_dir() or (p / "Test").is_dir() or (p.with_name(f"{p.name}_def").is_dir() and p != root)]
    return sorted(known, key=lambda p: [int(w) if w.isdigit() else w for w in re.split(r"(\d+)", p.name)])


def accepts(root: Path) -> bool:
    return root.is_dir() and bool(_folders(root))


def pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES) if folder.is_dir() else []


def _by_stem(paths: list[Path], suffix: str) -> dict[str, Path]:
    """Files by their stem, less its suffix. `ValueError` naming two of one stem."""
    found: dict[str, Path] = {}
    for path in paths:
        stem = path.stem.removesuffix(suffix)
        if stem in found:
            raise ValueError(f"{path}: {found[stem].name} stands beside it for the same image; keep one")
        found[stem] = path
    return found


def _official(folder: Path, split: str) -> Iterator[Sample]:
    """The images of one part of a class. Raises `ValueError` for a mask without its image."""
    part = folder / split.capitalize()
    images, masks = _by_stem(pictures(part), ""), _by_stem(pictures(part / "Label"), "_label")
    if orphans := sorted(set(masks) - set(images)):
        raise ValueError(f"{masks[orphans[0]]}: a mask without its image; expected {part / orphans[0]}.PNG")
    for stem, path in images.items():
        yield Sample(stem, path, int(stem in masks), mask=masks.get(stem), split=split, group=folder.name)


def read_ellipses(path: Path) -> dict[str, Ellipse]:
    """``{number: ellipse}`` of the mirror's ``labels.txt``. `ValueError` naming a line that is none."""
    found = {}
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing; it says where the defects are")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split()
        try:
            name, (major, minor, angle, x, y) = words[0], map(float, words[1:])
        except (ValueError, IndexError):
            if not words:
                continue
            raise ValueError(f"{path}: line {number} is {line!r}; expected number, two semi-axes, angle, x and y") from None
        found[Path(name).stem.rstrip(".")] = Ellipse(x, y, major, minor, angle)
    return found


def _mirror(folder: Path) -> Iterator[Sample]:
    defective = folder.with_name(f"{folder.name}_def")
    ellipses = read_ellipses(defective / "labels.txt")
    for path in pictures(folder):
        yield Sample(path.stem, path, 0, group=folder.name)
    for path in pictures(defective):
        if path.stem not in ellipses:
            raise ValueError(f"{path}: {defective / 'labels.txt'} has no line for it")
        yield Sample(path.stem, path, 1, mask=ellipses[path.stem], group=folder.name)


def named(samples: list[Sample], root: Path) -> list[Sample]:
    """Images are called by their file's stem, or, where two would share one, all by their path below `root`."""
    stems = [s.path.stem for s in samples]
    if len(set(stems)) == len(stems):
        return samples
    return [Sample(**{**vars(s), "image_id": s.path.relative_to(root).with_suffix("").as_posix()}) for s in samples]


def read(root: Path, name: str = "dagm", model: str = "resnet50") -> Dataset[Sample]:
    """Every image, classes and parts in order. A class has the official layout or the mirror's."""
    from evaluators import splits

    found: list[Sample] = []
    unsplit = False
    for folder in _folders(root):
        if (folder / "Train").is_dir() or (folder / "Test").is_dir():
            found += [*_official(folder, "train"), *_official(folder, "test")]
        else:
            found, unsplit = [*found, *_mirror(folder)], True
    samples = tuple(named(found, root))
    if not samples:
        raise FileNotFoundError(f"{root}: no image; expected {LAYOUT}")
    if unsplit:
        samples = splits.stratified(samples, len(samples) - len(samples) // 2, len(samples) // 2, 0)
    return Dataset(name, root, CLASSES, samples, fingerprint(samples), model)
