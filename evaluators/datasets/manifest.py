"""Pictures of one's own with defects: a CSV file ``image,defective,mask,split``.

``defective`` is 0 or 1 (also good/defective, false/true, no/yes), ``mask`` is empty for good
images, ``split`` is ``train`` or ``test``. The columns ``mask`` and ``split`` may be left out:
without any mask there is a classifier to train, but nothing for maps to be measured on; without any
split half of the good and half of the defective images train and half test (`splits.halves`), and
then either all of the defective ones have masks or none has.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from camx.evaluators import splits
from camx.evaluators.datasets.dagm import CLASSES, SPLITS, with_distinct_names
from camx.evaluators.files import read_csv
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample

TITLE = "pictures of one's own with defects: FILE.csv of image,defective[,mask][,split]"
SOURCE = "this project"
TASK = "defects"
LAYOUT = "a manifest FILE.csv with the columns image,defective[,mask][,split]"
COLUMNS, OPTIONAL = ("image", "defective"), ("mask", "split")
LABELS = {"0": 0, "good": 0, "false": 0, "no": 0, "1": 1, "defective": 1, "true": 1, "yes": 1}


def accepts(root: Path) -> bool:
    return root.suffix.lower() == ".csv"


def _sample(folder: Path, row: Sequence[str], where: str, accepted: Sequence[str]) -> Sample:
    """A line's image. Raises `ValueError` beginning with `where`, and saying what is accepted."""
    image, defective, mask, split = row
    path = folder / image
    if not image or not os.path.isfile(path):
        raise FileNotFoundError(f"{where}: no such image {path}")
    if defective.lower() not in LABELS:
        raise ValueError(f"{where}: defective is {defective!r}; accepted: {', '.join(LABELS)}")
    if split.lower() not in accepted:
        raise ValueError(f"{where}: split is {split!r}; accepted: {', '.join(SPLITS)}")
    if mask and not os.path.isfile(folder / mask):
        raise FileNotFoundError(f"{where}: no such mask {folder / mask}")
    label = LABELS[defective.lower()]
    if mask and not label:
        what = f"a good image has the mask {mask}"
        raise ValueError(f"{where}: {what}; either it is defective or it has no mask")
    return Sample(path.stem, path, label, (), folder / mask if mask else None, split.lower())


def _halved(samples: Sequence[Sample], root: Path) -> tuple[Sample, ...]:
    """The images of a manifest without a split. `ValueError` if some defects have no mask."""
    defective = [sample for sample in samples if sample.label]
    lacking = [sample for sample in defective if not sample.mask]
    if 0 < len(lacking) < len(defective):
        what = f"{len(lacking)} of {len(defective)} defective images have no mask"
        expected = (
            "expected one for each, none at all, or a column split (those of train need none)"
        )
        raise ValueError(f"{root}: {what}, {lacking[0].path} the first; {expected}")
    return splits.halves(samples, root)


def read(root: Path) -> Dataset[Sample]:
    """Every line, in order. Raises `ValueError` naming the line and what is accepted."""
    folder, numbers = root.parent, dict[Path, int]()
    samples: list[Sample] = []
    rows = read_csv(root, COLUMNS, "manifest", OPTIONAL)
    accepted = SPLITS if any(row[3] for _, row in rows) else ("",)
    for number, row in rows:
        where = f"{root}, line {number}"
        sample = _sample(folder, row, where, accepted)
        first = numbers.setdefault(sample.path.resolve(), number)
        if first != number:
            raise ValueError(f"{where}: {row[0]} is listed twice, first in line {first}")
        samples.append(sample)
    if not samples:
        raise ValueError(f"{root}: the manifest lists no image")
    images = tuple(samples)
    places = [sample.path for sample in samples]
    if all(p.is_relative_to(folder) and ".." not in p.relative_to(folder).parts for p in places):
        images = with_distinct_names(samples, folder)
    if accepted is not SPLITS:
        images = _halved(images, root)
    return Dataset(root.stem, root, CLASSES, images, fingerprint(images), "resnet50")
