"""Pictures of one's own with defects: a CSV file ``image,defective,mask,split``.

``defective`` is 0 or 1 (also good/defective, false/true, no/yes), ``mask`` is empty for good
images, ``split`` is ``train`` or ``test``.
"""

from collections.abc import Sequence
from pathlib import Path

from camx.evaluators.datasets.dagm import CLASSES, with_distinct_names
from camx.evaluators.files import read_csv
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample

TITLE = "pictures of one's own with defects: FILE.csv of image,defective,mask,split"
SOURCE = "this project"
TASK = "defects"
LAYOUT = "a manifest FILE.csv with the columns image,defective,mask,split"
COLUMNS = ("image", "defective", "mask", "split")
LABELS = {"0": 0, "good": 0, "false": 0, "no": 0, "1": 1, "defective": 1, "true": 1, "yes": 1}


def accepts(root: Path) -> bool:
    return root.suffix.lower() == ".csv"


def _sample(folder: Path, row: Sequence[str], where: str) -> Sample:
    """A line's image. Raises `ValueError` beginning with `where`, and saying what is accepted."""
    image, defective, mask, split = row
    path = folder / image
    if not image or not path.is_file():
        raise FileNotFoundError(f"{where}: no such image {path}")
    if defective.lower() not in LABELS:
        raise ValueError(f"{where}: defective is {defective!r}; accepted: {', '.join(LABELS)}")
    if split.lower() not in ("train", "test"):
        raise ValueError(f"{where}: split is {split!r}; accepted: train, test")
    if mask and not (folder / mask).is_file():
        raise FileNotFoundError(f"{where}: no such mask {folder / mask}")
    label = LABELS[defective.lower()]
    if mask and not label:
        what = f"a good image has the mask {mask}"
        raise ValueError(f"{where}: {what}; either it is defective or it has no mask")
    return Sample(path.stem, path, label, (), folder / mask if mask else None, split.lower())


def read(root: Path) -> Dataset[Sample]:
    """Every line, in order. Raises `ValueError` naming the line and what is accepted."""
    folder, numbers = root.parent, dict[Path, int]()
    samples: list[Sample] = []
    for number, row in read_csv(root, COLUMNS, "manifest"):
        where = f"{root}, line {number}"
        sample = _sample(folder, row, where)
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
    return Dataset(root.stem, root, CLASSES, images, fingerprint(images), "resnet50")
