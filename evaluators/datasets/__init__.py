"""Data-set readers, one a file: ``TITLE``, ``SOURCE``, ``TASK``, ``LAYOUT``, ``accepts(root)`` and ``read(root) -> Dataset``.

`load` finds the reader of a folder or file by asking each of the task's; a reader that needs none is called by its
name. ``TASK`` is ``localization`` or ``defects``.
"""

import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path

from camcore import plugins
from evaluators.types import Dataset, Sample

PACKAGE = "evaluators.datasets"


def fingerprint(samples: Iterable[Sample]) -> str:
    """SHA-256 over every sample's name, size in bytes, label, and boxes or mask and split, in order."""
    digest = hashlib.sha256()
    for s in samples:
        mask = s.mask.stat().st_size if isinstance(s.mask, Path) else s.mask
        marked = f" {mask} {s.split}" if s.split or s.mask else ""
        digest.update(f"{s.image_id} {s.path.stat().st_size} {s.label} {s.boxes}{marked}\n".encode())
    return digest.hexdigest()


def load(data: str = "mini", task: str = "localization") -> Dataset:
    """The data set at a folder or file, or a reader by name (``mini``), ``module:function`` or ``FILE.py``.

    Raises `FileNotFoundError` or `ValueError` in one line that says what a folder should hold.
    """
    root = Path(data)
    if data in plugins.names(PACKAGE) or not root.exists() or root.suffix == ".py":
        if root.suffix != ".py" and ("/" in data or root.suffix == ".csv"):
            raise FileNotFoundError(f"{data}: no such data folder or file")
        plugin = plugins.load(PACKAGE, "read", data)
        if layout := getattr(plugin.module, "LAYOUT", ""):
            raise ValueError(f"{data} needs a folder: --data FOLDER (a folder of that name is ./{data}), which holds {layout}")
        return _checked(plugin.function(task) if plugin.shipped else plugin.function(), task)
    layouts = []
    for name in plugins.names(PACKAGE):
        module = plugins.load(PACKAGE, "read", name).module
        if getattr(module, "TASK", "localization") != task:
            continue
        if module.accepts(root):
            return _checked(module.read(root), task)
        if module.LAYOUT:
            layouts.append(module.LAYOUT)
    raise ValueError(f"{data} is no data set for {task} that camx knows: expected {'; or '.join(layouts)}")


def _checked(dataset: Dataset, task: str) -> Dataset:
    """The data set, if every image has a name of its own, a known class and what the task needs. `ValueError` naming it if not."""
    if not isinstance(dataset, Dataset):
        raise ValueError(f"a data set's read() must return evaluators.types.Dataset, not {type(dataset).__name__}")
    if not dataset.samples:
        raise ValueError(f"{dataset.root}: the data set holds no image")
    seen: dict[str, Path] = {}
    for sample in dataset.samples:
        if sample.image_id in seen:
            raise ValueError(f"{sample.path}: another image has the same name, {seen[sample.image_id]}; names must differ")
        seen[sample.image_id] = sample.path
        if not 0 <= sample.label < len(dataset.classes):
            raise ValueError(
                f"{sample.path}: label {sample.label} is not one of the {len(dataset.classes)} classes, 0..{len(dataset.classes) - 1}"
            )
        if task == "localization" and (not sample.boxes or any(len(box) != 4 for box in sample.boxes)):
            raise ValueError(f"{sample.path}: boxes are {sample.boxes}; expected at least one (x0, y0, x1, y1)")
        if task == "defects" and sample.split not in ("train", "test"):
            raise ValueError(f"{sample.path}: split is {sample.split!r}; accepted: train, test")
        if task == "defects" and bool(sample.mask) > bool(sample.label):
            raise ValueError(f"{sample.path}: a good image has the mask {sample.mask}; either it is defective or it has no mask")
    return dataset


def without(dataset: Dataset, blacklist: Path) -> Dataset:
    """The data set less the images a file lists, one a line: a name, or a number in the data set's order from 1.

    Raises `ValueError` for a line that names no image. The fingerprint is that of what is left.
    """
    if not blacklist.is_file():
        raise FileNotFoundError(f"{blacklist}: no such blacklist")
    by_name = {s.image_id: s for s in dataset.samples}
    for number, s in enumerate(dataset.samples, 1):
        by_name.setdefault(str(number), s)
    dropped = set()
    for line in filter(None, map(str.strip, blacklist.read_text().splitlines())):
        name = line if line in by_name else Path(line).stem
        if name not in by_name:
            raise ValueError(f"{blacklist}: {line!r} names no image; expected a name or a number from 1 to {len(dataset.samples)}")
        dropped.add(by_name[name].image_id)
    kept = tuple(s for s in dataset.samples if s.image_id not in dropped)
    return dataclasses.replace(dataset, samples=kept, fingerprint=fingerprint(kept))
