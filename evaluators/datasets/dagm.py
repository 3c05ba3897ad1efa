"""DAGM 2007: textures, some with a defect. The official layout, and the older mirror's.

Official: ``Class1/{Train,Test}/0001.PNG``, masks ``Label/0001_label.PNG`` for defective images
only. Older mirror: ``Class1/1.png`` good, ``Class1_def/1.png`` defective, whose ``labels.txt``
gives each defect's ellipse (number, semi-axes, angle in radians, centre x and y); it has no split,
so half of its images train and half test, seeded.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from camx.evaluators import splits
from camx.evaluators.files import read_lines
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Ellipse, Sample

TITLE = "DAGM 2007, textures with defects: the official layout and the older mirror's"
SOURCE = "Wieler and Hahn 2007, DAGM symposium; hci.iwr.uni-heidelberg.de"
TASK = "defects"
LAYOUT = (
    "Class*/{Train,Test}/*.PNG with masks in Label/*_label.PNG, "
    "or Class*/*.png and Class*_def/*.png with labels.txt (DAGM)"
)
CLASSES = ("good", "defective")
PARTS = {"Train": "train", "Test": "test"}  # of a class in the official layout, and their splits
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


def _folders(root: Path) -> list[Path]:
    """The class folders, Class2 before Class10; the root itself if it holds Train or Test."""
    below = [path for path in root.iterdir() if path.is_dir()]
    folders = [p for p in below if _is_official(p) or _defective(p).is_dir()]
    return sorted([root, *folders] if _is_official(root) else folders, key=_natural)


def _natural(path: Path) -> list[int | str]:
    return [int(w) if w.isdecimal() else w for w in re.split(r"(\d+)", path.name)]


def _is_official(folder: Path) -> bool:
    return any((folder / part).is_dir() for part in PARTS)


def _defective(folder: Path) -> Path:
    """The mirror's folder of a class's defective images."""
    return folder.with_name(f"{folder.name}_def")


def accepts(root: Path) -> bool:
    return root.is_dir() and bool(_folders(root))


def pictures(folder: Path) -> list[Path]:
    """The pictures in a folder, sorted; none if it is missing."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in paths if path.suffix.lower() in PICTURES)


def _by_stem(paths: Sequence[Path], suffix: str = "") -> dict[str, Path]:
    """Files by their stem, less its suffix. `ValueError` naming two of one stem."""
    stems: dict[str, Path] = {}
    for path in paths:
        stem = path.stem.removesuffix(suffix)
        if stem in stems:
            what = f"{stems[stem].name} stands beside it for the same image; keep one"
            raise ValueError(f"{path}: {what}")
        stems[stem] = path
    return stems


def _official(folder: Path) -> Iterator[Sample]:
    """A class's images, part by part. Raises `ValueError` for a mask without its image."""
    for part, split in PARTS.items():
        images = _by_stem(pictures(folder / part))
        masks = _by_stem(pictures(folder / part / "Label"), "_label")
        if orphans := sorted(set(masks) - set(images)):
            expected = f"expected {folder / part / orphans[0]}.PNG"
            raise ValueError(f"{masks[orphans[0]]}: a mask without its image; {expected}")
        for stem, path in images.items():
            yield Sample(stem, path, int(stem in masks), (), masks.get(stem), split, folder.name)


def read_ellipses(path: Path) -> dict[str, Ellipse]:
    """``{number: ellipse}`` of the mirror's ``labels.txt``. `ValueError` naming a bad line."""
    ellipses = {}
    for number, line in read_lines(path, "list of where the defects are"):
        name, *words = line.split()
        try:
            major, minor, angle, x, y = map(float, words)
        except ValueError:
            expected = "expected number, two semi-axes, angle, x and y"
            raise ValueError(f"{path}: line {number} is {line!r}; {expected}") from None
        ellipses[Path(name).stem.rstrip(".")] = Ellipse(x, y, major, minor, angle)
    return ellipses


def _mirror(folder: Path) -> Iterator[Sample]:
    path = _defective(folder) / "labels.txt"
    ellipses = read_ellipses(path)
    for good in pictures(folder):
        yield Sample(good.stem, good, 0, group=folder.name)
    for bad in pictures(path.parent):
        if bad.stem not in ellipses:
            raise ValueError(f"{bad}: {path} has no line for it")
        yield Sample(bad.stem, bad, 1, mask=ellipses[bad.stem], group=folder.name)


def with_distinct_names(samples: Sequence[Sample], root: Path) -> tuple[Sample, ...]:
    """Images are called by their stem, or, where two share one, by their path below `root`."""
    if len({sample.path.stem for sample in samples}) == len(samples):
        return tuple(samples)
    names = [s.path.relative_to(root).with_suffix("").as_posix() for s in samples]
    return tuple(dataclasses.replace(s, image_id=name) for s, name in zip(samples, names))


def read(root: Path, name: str = "dagm", model: str = "resnet50") -> Dataset[Sample]:
    """Every image, classes and parts in order. A class has the official layout or the mirror's."""
    images: list[Sample] = []
    for folder in _folders(root):
        images += _official(folder) if _is_official(folder) else _mirror(folder)
    if not images:
        raise FileNotFoundError(f"{root}: no image; expected {LAYOUT}")
    samples = with_distinct_names(images, root)
    if not all(sample.split for sample in samples):
        half = len(samples) // 2
        samples = splits.stratified(samples, len(samples) - half, half, 0)
    return Dataset(name, root, CLASSES, samples, fingerprint(samples), model)
