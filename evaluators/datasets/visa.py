"""VisA: twelve objects, good and with defects, in the split that has defects to learn from.

``split_csv/2cls_highshot.csv`` lists ``object,split,label,image,mask``: ``train`` or ``test``,
``normal`` or ``anomaly``, and paths below the root such as
``candle/Data/Images/Anomaly/000.JPG`` and ``candle/Data/Masks/Anomaly/000.png``. A mask's values
name kinds of defects; whatever is above 0 is one. Of the folder of one object its own images are
read, by the list beside that folder.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from camx.evaluators.datasets._paths import inside
from camx.evaluators.datasets.dagm import CLASSES, SPLITS, with_distinct_names
from camx.evaluators.files import below, folders, read_csv
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.object_masks import GreyMasks
from camx.evaluators.types import Dataset, Sample

TITLE = "VisA, twelve objects with defects: all or one, in the split 2cls_highshot"
SOURCE = "Zou et al. 2022, ECCV; github.com/amazon-science/spot-diff"
TASK = "defects"
LAYOUT = (
    "split_csv/2cls_highshot.csv of object,split,label,image,mask beside "
    "<object>/Data/{Images,Masks} (VisA), or one <object> of them"
)
MARKS = ("Data", "split_csv")
LIST = "split_csv/2cls_highshot.csv"
COLUMNS = ("object", "split", "label", "image", "mask")
LABELS = {"normal": 0, "anomaly": 1}


def _is_object(folder: Path) -> bool:
    return bool(below(folder, "Data/Images"))


def accepts(root: Path) -> bool:
    listed = (root / LIST).is_file() or bool(below(root, "split_csv"))
    return listed or _is_object(root) or any(map(_is_object, folders(root)))


def _file(root: Path, name: str, kind: str, where: str) -> Path:
    """The file of a name below `root`. Raises, beginning with `where`, for another and for none."""
    path = inside(root, name, f"{where}: {kind}")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{where}: no such {kind} {path}")
    return path


def _one_of(name: str, value: str, accepted: Sequence[str], where: str) -> None:
    if value not in accepted:
        raise ValueError(f"{where}: {name} is {value!r}; accepted: {', '.join(accepted)}")


def _sample(root: Path, row: Sequence[str], where: str) -> Sample:
    """A line's image. Raises beginning with `where`, and saying what is accepted."""
    item, split, label, image, mask = row
    _one_of("split", split, SPLITS, where)
    _one_of("label", label, tuple(LABELS), where)
    path = _file(root, image, "image", where)
    if path.relative_to(root).parts[0] != item:
        raise ValueError(f"{where}: the image {image} is not of the object {item!r}")
    if bool(mask) != bool(LABELS[label]):
        what = f"a normal image has the mask {mask}" if mask else "an anomaly without a mask"
        raise ValueError(f"{where}: {what}; expected masks of anomalies, and of these only")
    truth = GreyMasks((_file(root, mask, "mask", where),)) if mask else None
    return Sample(path.stem, path, LABELS[label], mask=truth, split=split, group=item)


def _rows(root: Path) -> Iterator[tuple[str, Sequence[str]]]:
    """``(where, values)`` of each line of the list."""
    path = root / LIST
    if not path.is_file():
        what = "no such list of VisA's images (its repository has it)"
        raise FileNotFoundError(f"{path}: {what}; expected {LAYOUT}")
    for number, row in read_csv(path, COLUMNS, "list of images"):
        yield f"{path}, line {number}", row


def read(root: Path, name: str = "visa", model: str = "resnet50") -> Dataset[Sample]:
    """Every listed image, in order; of an object's folder that object's.

    Raises `ValueError` naming the line and what is accepted, `FileNotFoundError` for a missing
    list, image or mask.
    """
    single = _is_object(root)
    place = root.absolute().parent if single else root
    objects = root.absolute().name if single else ""
    lines: dict[Path, str] = {}
    listed: list[Sample] = []
    for where, row in _rows(place):
        if objects and row[0] != objects:
            continue
        sample = _sample(place, row, where)
        first = lines.setdefault(sample.path.resolve(), where)
        if first != where:
            raise ValueError(f"{where}: {row[3]} is listed twice, first in {first}")
        listed.append(sample)
    if not listed:
        of = f" of {objects}" if objects else ""
        raise ValueError(f"{place / LIST}: lists no image{of}; expected {','.join(COLUMNS)}")
    samples = with_distinct_names(listed, place)
    return Dataset(name, root, CLASSES, samples, fingerprint(samples), model)
