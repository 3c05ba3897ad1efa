"""Images of one's own in two folders: those that are good, and those with a defect.

``good/`` and ``bad/`` (or ``ok normal``, ``nok ng anomaly anomalous defective``, in any case), both
in one folder or in each of ``train/`` and ``test/``. Without these half of each trains and half
tests (`splits.halves`). A folder ``masks/`` (or ``ground_truth/``) beside the two holds
``<stem>.png`` or ``<stem>_mask.png`` for every defective image; without masks there is a classifier
to train, but nothing for maps to be measured on.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from camx.evaluators import splits
from camx.evaluators.datasets import mvtec
from camx.evaluators.datasets._defects import MASK, called, nothing_else, one
from camx.evaluators.datasets.dagm import CLASSES, SPLITS, pictures, with_distinct_names
from camx.evaluators.files import by_stem, folders
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample

TITLE = "pictures of one's own with defects: a folder of good and one of bad ones"
SOURCE = "this project"
TASK = "defects"
LAYOUT = (
    "good/ and bad/ of pictures, perhaps with masks/ of <stem>.png, "
    "perhaps in each of train/ and test/"
)
MARKS = ("masks",)
GOOD = ("good", "ok", "normal")
BAD = ("bad", "nok", "ng", "anomaly", "anomalous", "defective")
MASKS = ("masks", "ground_truth")


def accepts(root: Path) -> bool:
    places = [root, *(part for split in SPLITS for part in folders(root, split))]
    named = any(called(place, (*GOOD, *BAD)) for place in places)
    return named and not mvtec.accepts(root)


def _parts(root: Path) -> dict[str, Path]:
    """``{split: folder}``; a data set without a split is ``{"": root}``. Raises naming a fault."""
    parts = {split: part for split in SPLITS if (part := one(root, split))}
    if not parts:
        return {"": root}
    if both := called(root, (*GOOD, *BAD)):
        what = f"it stands beside {next(iter(parts.values()))}; which images test?"
        raise ValueError(f"{both[0]}: {what} Expected {LAYOUT}")
    for split in SPLITS:
        if split not in parts:
            what = f"no such folder beside {next(iter(parts.values()))}; expected {LAYOUT}"
            raise FileNotFoundError(f"{root / split}: {what}")
    return parts


def _images(part: Path, names: Sequence[str], kind: str) -> dict[str, Path]:
    """The images of a kind by stem. Raises naming a folder that is missing or empty."""
    folder = one(part, *names)
    if folder is None:
        raise FileNotFoundError(f"{part}: no folder of {kind} images; accepted: {', '.join(names)}")
    images = by_stem(pictures(folder))
    if not images:
        raise ValueError(f"{folder}: no picture in it; expected the {kind} images")
    return images


def _masks(part: Path, bad: dict[str, Path]) -> dict[str, Path]:
    """The masks of the defective images by these' stems: of all, or of none without a folder.

    `ValueError` for a mask of no defective image, and for some that are missing.
    """
    folder = one(part, *MASKS)
    if folder is None:
        return {}
    masks = by_stem(pictures(folder), MASK)
    place = next(iter(bad.values())).parent
    if orphans := sorted(set(masks) - set(bad)):
        expected = f"expected {orphans[0]} in {place}"
        raise ValueError(f"{masks[orphans[0]]}: a mask without its defective image; {expected}")
    if lacking := sorted(set(bad) - set(masks)):
        count = f"{len(lacking)} of the {len(bad)} in {place} have none"
        expected = f"expected one for each, or no folder {folder.name}"
        raise ValueError(f"{bad[lacking[0]]}: no mask in {folder}, {count}; {expected}")
    return masks


def _samples(part: Path, split: str) -> Iterator[Sample]:
    good, bad = _images(part, GOOD, "good"), _images(part, BAD, "defective")
    masks = _masks(part, bad)
    for stem, path in good.items():
        yield Sample(stem, path, 0, split=split)
    for stem, path in bad.items():
        yield Sample(stem, path, 1, mask=masks.get(stem), split=split)


def read(root: Path, model: str = "resnet50") -> Dataset[Sample]:
    """Every image, part by part, the good ones first. Raises naming what is not as it should be."""
    parts = _parts(root)
    listed = [sample for split, part in parts.items() for sample in _samples(part, split)]
    files = {sample.path for sample in listed}
    files |= {sample.mask for sample in listed if isinstance(sample.mask, Path)}
    nothing_else(root, called(root, (*SPLITS, *GOOD, *BAD, *MASKS)), files, LAYOUT)
    samples = with_distinct_names(listed, root)
    if "" in parts:
        samples = splits.halves(samples, root)
    return Dataset(root.resolve().name, root, CLASSES, samples, fingerprint(samples), model)
