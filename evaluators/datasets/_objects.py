"""Marked objects as samples, one for each class on an image: what readers of boxes share."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from camx.evaluators.files import read_lines
from camx.evaluators.object_masks import ObjectMask
from camx.evaluators.types import Sample
from camx.evaluators.values import Box


@dataclass(frozen=True)
class Marked:
    """An object on an image: its class index, its box if it has one, whether it is difficult."""

    label: int
    box: Box | None
    difficult: bool = False


def names_of(paths: Sequence[Path], root: Path) -> dict[Path, str]:
    """Images by their stem, or, where two share one, by their path below `root`."""
    if len({path.stem for path in paths}) == len(paths):
        return {path: path.stem for path in paths}
    return {path: path.relative_to(root).with_suffix("").as_posix() for path in paths}


def samples_of(
    image_id: str,
    path: Path,
    objects: Iterable[Marked],
    classes: Sequence[str],
    split: str = "",
    masks: Mapping[int, ObjectMask] | None = None,
) -> list[Sample]:
    """An image's samples, one a class, ascending; `masks` are by label.

    Of several, each is called ``<image_id>/<class>``, its slashes made underlines.
    """
    by_label: dict[int, list[Marked]] = {}
    for marked in objects:
        by_label.setdefault(marked.label, []).append(marked)
    samples = []
    for label, of_class in sorted(by_label.items()):
        boxes = tuple(marked.box for marked in of_class if marked.box)
        name = re.sub(r"[/\\]", "_", classes[label])
        name = f"{image_id}/{name}" if len(by_label) > 1 else image_id
        difficult = all(marked.difficult for marked in of_class)
        mask, present = (masks or {}).get(label), len(by_label)
        samples.append(Sample(name, path, label, boxes, mask, split, "", difficult, present))
    return samples


def read_names(path: Path) -> tuple[str, ...]:
    """The class names of a ``classes.txt``, one a line. `ValueError` for none, or one twice."""
    numbers: dict[str, int] = {}
    for number, name in read_lines(path, "list of classes"):
        first = numbers.setdefault(name, number)
        if first != number:
            raise ValueError(f"{path}, line {number}: {name!r} stands in line {first} already")
    if not numbers:
        raise ValueError(f"{path}: names no class; expected one a line")
    return tuple(numbers)


def settled(split: str, splits: Iterable[str], usual: Sequence[str], where: str) -> str:
    """The split that is read: the one asked for, or else the first of `usual` that is there.

    Raises `ValueError` beginning with `where`, with those that there are.
    """
    there = list(dict.fromkeys(splits))
    wanted = split or next((name for name in usual if name in there), "")
    if wanted in there:
        return wanted
    what = f"split is {split!r}" if split else f"no split is called {' or '.join(usual)}"
    raise ValueError(f"{where}: {what}; there are: {', '.join(filter(None, there)) or 'none'}")
