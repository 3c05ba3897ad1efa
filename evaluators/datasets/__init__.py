"""Data-set readers, one a file: ``TITLE SOURCE TASK LAYOUT accepts(root) read(root)``.

`load` finds the reader of a folder or file by asking each of the task's; a reader that needs none
is called by its name. ``TASK`` is ``localization``, ``defects`` or ``segmentation``, whose
``read(root, split=...)`` returns Scenes.
"""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from camx.camcore import plugins
from camx.evaluators.files import read_lines
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Item, Sample, Scene

PACKAGE = "camx.evaluators.datasets"


def load(data: str = "mini", task: str = "localization", split: str = "") -> Dataset[Any]:
    """The data set at a folder or file, or a reader by name, ``module:function`` or ``FILE.py``.

    `split` is what of a segmentation data set is read, by default the reader's choice. Raises
    `FileNotFoundError` or `ValueError` in one line that says what a folder should hold.
    """
    root = Path(data)
    code = root.suffix == ".py"
    if not (code or root.exists()) and ("/" in data or root.suffix == ".csv"):
        raise FileNotFoundError(f"{data}: no such data folder or file")
    if code or not root.exists() or data in plugins.names(PACKAGE):
        dataset = _by_name(data, task, split)
    else:
        dataset = _by_folder(root, task, split)
    _check(dataset, task)
    return dataset


def _by_name(data: str, task: str, split: str) -> Any:
    plugin = plugins.load(PACKAGE, "read", data)
    if layout := getattr(plugin.module, "LAYOUT", ""):
        how = f"--data FOLDER (a folder of that name is ./{data})"
        raise ValueError(f"{data} needs a folder: {how}, which holds {layout}")
    arguments = [task] if plugin.shipped else []
    return plugin.object(*arguments, **_options(plugin.object, plugin.reference, task, split))


def _by_folder(root: Path, task: str, split: str) -> Any:
    layouts = []
    for name in plugins.names(PACKAGE):
        reader: Any = plugins.load(PACKAGE, "read", name).module
        if getattr(reader, "TASK", "localization") != task:
            continue
        if reader.accepts(root):
            return reader.read(root, **_options(reader.read, name, task, split))
        layouts.append(reader.LAYOUT)
    expected = "; or ".join(filter(None, layouts))
    raise ValueError(f"{root} is no data set for {task} that camx knows: expected {expected}")


def _options(read: Callable[..., Any], name: str, task: str, split: str) -> dict[str, str]:
    """What a reader is told: `split` if asked for. `ValueError` for one without splits."""
    if not split:
        return {}
    if task != "segmentation" or "split" not in inspect.signature(read).parameters:
        raise ValueError(f"split is {split!r}, but {name} reads no splits for {task}")
    return {"split": split}


def _check(dataset: Any, task: str) -> None:
    """Raise `ValueError` naming an image that shares its name or lacks what the task needs."""
    if not isinstance(dataset, Dataset):
        expected = f"evaluators.types.Dataset, not {type(dataset).__name__}"
        raise ValueError(f"a data set's read() must return {expected}")
    if not dataset.samples:
        raise ValueError(f"{dataset.root}: the data set holds no image")
    paths: dict[str, Path] = {}
    for sample in dataset.samples:
        if sample.image_id in paths:
            what = f"another image has the same name, {paths[sample.image_id]}"
            raise ValueError(f"{sample.path}: {what}; names must differ")
        paths[sample.image_id] = sample.path
        if isinstance(sample, Scene) != (task == "segmentation"):
            what = f"the reader returned a {type(sample).__name__}, which is not for {task}"
            raise ValueError(f"{sample.path}: {what}")
        _check_labels(sample, len(dataset.classes))
        _CHECKS[task](sample)


def _check_labels(sample: Sample | Scene, classes: int) -> None:
    for label in sample.labels if isinstance(sample, Scene) else (sample.label,):
        if not 0 <= label < classes:
            accepted = f"{classes} classes, 0..{classes - 1}"
            raise ValueError(f"{sample.path}: label {label} is not one of the {accepted}")


def _check_boxes(sample: Sample) -> None:
    if not sample.boxes or any(len(box) != 4 for box in sample.boxes):
        expected = "expected at least one (x0, y0, x1, y1)"
        raise ValueError(f"{sample.path}: boxes are {sample.boxes}; {expected}")


def _check_defect(sample: Sample) -> None:
    if sample.split not in ("train", "test"):
        raise ValueError(f"{sample.path}: split is {sample.split!r}; accepted: train, test")
    if sample.mask and not sample.label:
        what = f"a good image has the mask {sample.mask}"
        raise ValueError(f"{sample.path}: {what}; either it is defective or it has no mask")


def _check_scene(scene: Scene) -> None:
    if list(scene.labels) != sorted(set(scene.labels)):
        expected = "expected each class once, ascending"
        raise ValueError(f"{scene.path}: labels are {scene.labels}; {expected}")
    if scene.mask and not scene.mask.is_file():
        what = f"its mask {scene.mask} is missing; expected a file, or None"
        raise FileNotFoundError(f"{scene.path}: {what}")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "localization": _check_boxes,
    "defects": _check_defect,
    "segmentation": _check_scene,
}


def without(dataset: Dataset[Item], blacklist: Path) -> Dataset[Item]:
    """The data set less the images a file lists: a name a line, or a number in its order from 1.

    Raises `ValueError` for a line that names no image. The fingerprint is that of what is left.
    """
    names = {sample.image_id: sample.image_id for sample in dataset.samples}
    for number, sample in enumerate(dataset.samples, 1):
        names.setdefault(str(number), sample.image_id)
    dropped = set()
    for _, line in read_lines(blacklist, "blacklist"):
        name = line if line in names else Path(line).stem
        if name not in names:
            expected = f"a name or a number from 1 to {len(dataset.samples)}"
            raise ValueError(f"{blacklist}: {line!r} names no image; expected {expected}")
        dropped.add(names[name])
    samples = tuple(s for s in dataset.samples if s.image_id not in dropped)
    return dataclasses.replace(dataset, samples=samples, fingerprint=fingerprint(samples))
