"""Pictures of one's own with defects: a CSV file ``image,defective,mask,split``, its paths relative to the file.

``defective`` is 0 or 1 (also good/defective, false/true, no/yes), ``mask`` is empty for good images, ``split`` is
``train`` or ``test``.
"""

from pathlib import Path

import pandas as pd

from evaluators.datasets import fingerprint
from evaluators.datasets.dagm import CLASSES, named
from evaluators.types import Dataset, Sample

TITLE = "pictures of one's own with defects: FILE.csv of image,defective,mask,split"
SOURCE = "this project"
TASK = "defects"
LAYOUT = "a manifest FILE.csv with the columns image,defective,mask,split"
COLUMNS = ("image", "defective", "mask", "split")
LABELS = {"0": 0, "good": 0, "false": 0, "no": 0, "1": 1, "defective": 1, "true": 1, "yes": 1}


def accepts(root: Path) -> bool:
    return root.suffix.lower() == ".csv"


def read(root: Path) -> Dataset[Sample]:
    """Every line, in order. Raises `ValueError` naming the line and what is accepted."""
    try:
        frame = pd.read_csv(root, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{root}: not a CSV file: {error}") from None
    frame.columns = [str(c).strip() for c in frame.columns]
    if missing := [c for c in COLUMNS if c not in frame]:
        raise ValueError(f"{root}: column {missing[0]!r} is missing; expected {','.join(COLUMNS)}")
    samples: list[Sample] = []
    seen: dict[Path, int] = {}
    for number, row in enumerate(frame[list(COLUMNS)].itertuples(index=False), 2):
        image, defective, mask, split = (str(word).strip() for word in row)
        where = f"{root}, line {number}"
        path = root.parent / image
        if not image or not path.is_file():
            raise FileNotFoundError(f"{where}: no such image {path}")
        if path.resolve() in seen:
            raise ValueError(f"{where}: {image} is listed twice, first in line {seen[path.resolve()]}")
        seen[path.resolve()] = number
        if defective.lower() not in LABELS:
            raise ValueError(f"{where}: defective is {defective!r}; accepted: {', '.join(LABELS)}")
        if split.lower() not in ("train", "test"):
            raise ValueError(f"{where}: split is {split!r}; accepted: train, test")
        if mask and not (root.parent / mask).is_file():
            raise FileNotFoundError(f"{where}: no such mask {root.parent / mask}")
        label = LABELS[defective.lower()]
        if mask and not label:
            raise ValueError(f"{where}: a good image has the mask {mask}; either it is defective or it has no mask")
        samples.append(Sample(path.stem, path, label, mask=root.parent / mask if mask else None, split=split.lower()))
    if not samples:
        raise ValueError(f"{root}: the manifest lists no image")
    samples = named(samples, root.parent) if all(s.path.is_relative_to(root.parent) for s in samples) else samples
    return Dataset(root.stem, root, CLASSES, tuple(samples), fingerprint(samples), "resnet50")
