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
    named = code or not root.exists() or data in plugins.names(PACKAGE)
    dataset = _by_name(data, task, split) if named else _by_folder(root, task, split)
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
        if fault := _fault(sample, task, len(dataset.classes)):
            raise ValueError(f"{sample.path}: {fault}")
        if isinstance(sample, Scene) and sample.mask and not sample.mask.is_file():
            what = f"its mask {sample.mask} is missing; expected a file, or None"
            raise FileNotFoundError(f"{sample.path}: {what}")


def _fault(sample: Sample | Scene, task: str, classes: int) -> str:
    """What makes an image unfit for the task; empty if nothing does."""
    if isinstance(sample, Scene) != (task == "segmentation"):
        return f"the reader returned a {type(sample).__name__}, which is not for {task}"
    labels = sample.labels if isinstance(sample, Scene) else (sample.label,)
    if wrong := [label for label in labels if not 0 <= label < classes]:
        return f"label {wrong[0]} is not one of the {classes} classes, 0..{classes - 1}"
    if isinstance(sample, Scene):
        if list(labels) != sorted(set(labels)):
            return f"labels are {labels}; expected each class once, ascending"
    elif task == "localization":
        if not sample.boxes or any(len(box) != 4 for box in sample.boxes):
            return f"boxes are {sample.boxes}; expected at least one (x0, y0, x1, y1)"
    elif sample.split not in ("train", "test"):
        return f"split is {sample.split!r}; accepted: train, test"
    elif sample.mask and not sample.label:
        return f"a good image has the mask {sample.mask}; either it is defective or it has no mask"
    return ""


def without(dataset: Dataset[Item], blacklist: Path) -> Dataset[Item]:
    """The data set less the images a file lists: a name a line, or a number in its order from 1.

    Raises `ValueError` for a line that names no image. The fingerprint is that of what is left.
    """
    names = {str(number): sample.image_id for number, sample in enumerate(dataset.samples, 1)}
    names |= {sample.image_id: sample.image_id for sample in dataset.samples}
    dropped = set()
    for _, line in read_lines(blacklist, "blacklist"):
        name = line if line in names else Path(line).stem
        if name not in names:
            expected = f"a name or a number from 1 to {len(dataset.samples)}"
            raise ValueError(f"{blacklist}: {line!r} names no image; expected {expected}")
        dropped.add(names[name])
    samples = tuple(s for s in dataset.samples if s.image_id not in dropped)
    return dataclasses.replace(dataset, samples=samples, fingerprint=fingerprint(samples))
