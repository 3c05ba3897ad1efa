"""KolektorSDD: surfaces of 50 commutators, each seen in some eight images, few with a crack.

``kosNN/PartK.jpg`` and its mask ``PartK_label.bmp``; an image is defective if its mask is not all
zero. There is no split. Images of one commutator resemble each other, so the authors' folds keep
its images together, and so does camx: half of the commutators train and half test
(`splits.halves`), those with and without a defect in proportion. The authors' later code leaves
out ``kos21/Part7``; it is read here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from camx.evaluators import splits
from camx.evaluators.datasets._defects import nothing_else
from camx.evaluators.datasets.dagm import CLASSES, pictures, with_distinct_names
from camx.evaluators.files import by_stem, folders
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.object_masks import opened
from camx.evaluators.types import Dataset, Sample

TITLE = "KolektorSDD, surfaces of commutators with cracks"
SOURCE = "Tabernik et al. 2019, J. Intell. Manuf.; vicos.si/resources/kolektorsdd"
TASK = "defects"
LAYOUT = (
    "kosNN/Part*.jpg with masks Part*_label.bmp beside them, of the kosNN half trains and half "
    "tests (KolektorSDD)"
)
MARKS = ("kos*",)
LABEL = "_label"  # at the end of a mask's name


def _items(root: Path) -> list[Path]:
    return [folder for folder in folders(root) if re.fullmatch(r"kos\d+", folder.name.lower())]


def accepts(root: Path) -> bool:
    return bool(_items(root))


def beside(paths: Sequence[Path], suffix: str) -> Iterator[tuple[Path, Path | None]]:
    """``(image, mask)`` of pictures whose masks lie beside them and end in `suffix`, in any case.

    The mask is None where it marks nothing: the image is good. `ValueError` for an image without a
    mask, and a mask without its image.
    """
    end = suffix.lower()
    masks = by_stem((path for path in paths if path.stem.lower().endswith(end)), end)
    images = by_stem(path for path in paths if not path.stem.lower().endswith(end))
    if lacking := sorted(set(images) - set(masks)):
        path, count = images[lacking[0]], f"{len(lacking)} of {len(images)} have none"
        what = f"no mask beside it called {lacking[0]}{suffix}"
        raise ValueError(f"{path}: {what} ({count})")
    if orphans := sorted(set(masks) - set(images)):
        path = masks[orphans[0]]
        raise ValueError(f"{path}: a mask without its image; expected {orphans[0]} beside it")
    for stem, path in images.items():
        yield path, masks[stem] if opened(masks[stem]).any() else None


def _halved(samples: Sequence[Sample], root: Path) -> tuple[Sample, ...]:
    """The images with the split of their commutator."""
    items: dict[str, Sample] = {}
    for sample in samples:
        first = items.setdefault(sample.group, replace(sample, group="", mask=None))
        items[sample.group] = replace(first, label=max(first.label, sample.label))
    halved = splits.halves(list(items.values()), root)
    split = {name: item.split for name, item in zip(items, halved)}
    return tuple(replace(sample, split=split[sample.group]) for sample in samples)


def read(root: Path, name: str = "kolektor", model: str = "resnet50") -> Dataset[Sample]:
    """Every image, commutator by commutator. Raises naming what is not as it should be."""
    listed: list[Sample] = []
    items = _items(root)
    for item in items:
        for path, mask in beside(pictures(item), LABEL):
            listed.append(Sample(path.stem, path, int(bool(mask)), mask=mask, group=item.name))
    if not listed:
        raise FileNotFoundError(f"{root}: no image; expected {LAYOUT}")
    nothing_else(root, items, {path for item in items for path in pictures(item)}, LAYOUT)
    samples = _halved(with_distinct_names(listed, root), root)
    return Dataset(name, root, CLASSES, samples, fingerprint(samples), model)
