"""Data-set readers, one a file: ``TITLE``, ``SOURCE``, ``TASK``, ``LAYOUT``, ``accepts(root)`` and ``read(root) -> Dataset``.

`load` finds the reader of a folder or file by asking each of the task's; a reader that needs none is called by its
name. ``TASK`` is ``localization``, ``defects`` or ``segmentation``, whose ``read(root, split=...)`` returns Scenes.
"""

import dataclasses
import hashlib
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from camcore import plugins
from evaluators.types import Dataset, Item, Sample, Scene

PACKAGE = "evaluators.datasets"


def fingerprint(samples: Iterable[Sample | Scene]) -> str:
    """SHA-256 over every sample's name, size in bytes, label, and boxes or mask and split, in order; of a scene no split."""
    digest = hashlib.sha256()
    for s in samples:
        mask = s.mask.stat().st_size if isinstance(s.mask, Path) else s.mask
        if isinstance(s, Scene):
            marks = f"{s.labels} {mask}"
        else:
            marks = f"{s.label} {s.boxes}" + (f" {mask} {s.split}" if s.split or s.mask else "")
        digest.update(f"{s.image_id} {s.path.stat().st_size} {marks}\n".encode())
    return digest.hexdigest()


def _options(read: Callable[..., Dataset], task: str, split: str) -> dict[str, str]:
    """What a reader is told beyond its folder: `split` if one is asked for. `ValueError` for a reader without splits."""
    if split and (task != "segmentation" or "split" not in inspect.signature(read).parameters):
        raise ValueError(f"split is {split!r}, but {read.__module__}.{read.__name__} reads no splits for {task}; leave it out")
    return {"split": split} if split else {}


def load(data: str = "mini", task: str = "localization", split: str = "") -> Dataset[Any]:
    """The data set at a folder or file, or a reader by name (``mini``), ``module:function`` or ``FILE.py``.

    `split` is what of a segmentation data set is read, by default the reader's choice. Raises `FileNotFoundError` or
    `ValueError` in one line that says what a folder should hold.
    """
    root = Path(data)
    if data in plugins.names(PACKAGE) or not root.exists() or root.suffix == ".py":
        if root.suffix != ".py" and ("/" in data or root.suffix == ".csv"):
            raise FileNotFoundError(f"{data}: no such data folder or file")
        plugin = plugins.load(PACKAGE, "read", data)
        if layout := getattr(plugin.module, "LAYOUT", ""):
            raise ValueError(f"{data} needs a folder: --data FOLDER (a folder of that name is ./{data}), which holds {layout}")
        options = _options(plugin.function, task, split)
        return _checked(plugin.function(task, **options) if plugin.shipped else plugin.function(**options), task)
    layouts = []
    for name in plugins.names(PACKAGE):
        module = plugins.load(PACKAGE, "read", name).module
        if getattr(module, "TASK", "localization") != task:
            continue
        if module.accepts(root):
            return _checked(module.read(root, **_options(module.read, task, split)), task)
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
        if isinstance(sample, Scene) != (task == "segmentation"):
            raise ValueError(f"{sample.path}: the reader returned a {type(sample).__name__}, which is not for {task}")
        for label in sample.labels if isinstance(sample, Scene) else (sample.label,):
            if not 0 <= label < len(dataset.classes):
                known = f"{len(dataset.classes)} classes, 0..{len(dataset.classes) - 1}"
                raise ValueError(f"{sample.path}: label {label} is not one of the {known}")
        _CHECKS[task](sample)
    return dataset


def _check_boxes(sample: Sample) -> None:
    if not sample.boxes or any(len(box) != 4 for box in sample.boxes):
        raise ValueError(f"{sample.path}: boxes are {sample.boxes}; expected at least one (x0, y0, x1, y1)")


def _check_defect(sample: Sample) -> None:
    if sample.split not in ("train", "test"):
        raise ValueError(f"{sample.path}: split is {sample.split!r}; accepted: train, test")
    if bool(sample.mask) > bool(sample.label):
        raise ValueError(f"{sample.path}: a good image has the mask {sample.mask}; either it is defective or it has no mask")


def _check_scene(scene: Scene) -> None:
    if list(scene.labels) != sorted(set(scene.labels)):
        raise ValueError(f"{scene.path}: labels are {scene.labels}; expected each class once, ascending")
    if scene.mask and not scene.mask.is_file():
        raise FileNotFoundError(f"{scene.path}: its mask {scene.mask} is missing; expected a file, or None")


_CHECKS: dict[str, Callable[[Any], None]] = {"localization": _check_boxes, "defects": _check_defect, "segmentation": _check_scene}


def without(dataset: Dataset[Item], blacklist: Path) -> Dataset[Item]:
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
