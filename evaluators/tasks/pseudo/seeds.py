"""Seeds for DGCN (Table XI): cues from maps, in the form that hustvl/DGCN reads."""

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from camx.evaluators.files import read_lines, write_whole
from camx.evaluators.tasks.pseudo.labels import check
from camx.evaluators.values import whole_of


def cues(
    maps: np.ndarray,
    labels: Sequence[int],
    size: int = 41,
    foreground: float = 0.2,
    background: float = 0.05,
) -> np.ndarray:
    """Seeds as DGCN takes them: ``(3,N) int64``, index of the mask, y and x, on a `size` grid.

    A cell is a class's where its map ``(H,W)`` of ``maps (K,H,W)`` exceeds the share `foreground`
    of its maximum; of several, the class with the fewest cells takes it (as in hustvl/DGCN,
    dsrg_cues.py). It is background where every map is below the share `background` of its maximum:
    DGCN has it from a saliency model, which camx has not. A class whose map is empty may be
    anywhere, so that there is no background then.
    """
    check(maps, labels)
    maps = maps.astype(np.float32)
    small = [cv2.resize(m, (size, size), interpolation=cv2.INTER_AREA) for m in maps]
    indices = np.zeros((size, size), int)
    for grid in small:
        indices[grid >= background * grid.max()] = -1
    taken = [(grid > foreground * grid.max(), label) for grid, label in zip(small, labels)]
    for cells, label in sorted(taken, key=lambda pair: -int(pair[0].sum())):
        indices[cells] = label + 1
    y, x = np.nonzero(indices >= 0)
    return np.stack([indices[y, x], y, x])


def input_list(path: Path) -> dict[str, int]:
    """``{image_id: i}`` of DGCN's ``input_list.txt``, whose lines are ``image.jpg i``."""
    numbers: dict[str, int] = {}
    for line, text in read_lines(path, "list, DGCN's dataset/list/input_list.txt"):
        words = text.split()
        if len(words) != 2 or whole_of(words[1]) < 0:
            what = "is not an image and its number, such as 2008_007028.jpg 0"
            raise ValueError(f"{path}, line {line}: {text!r} {what}")
        if numbers.setdefault(Path(words[0]).stem, int(words[1])) != int(words[1]):
            raise ValueError(f"{path}, line {line}: {words[0]} has two numbers")
    if not numbers:
        raise ValueError(f"{path}: lists no image; expected lines such as 2008_007028.jpg 0")
    return numbers


def export_cues(
    path: Path, numbers: Mapping[str, int], seeds: Iterable[tuple[str, Sequence[int], np.ndarray]]
) -> list[str]:
    """Write DGCN's pickle of ``(image_id, class indices, cues)``; returns the images without any.

    Image i of `numbers` has ``i_labels``, the indices of the mask that are in it without the
    background, and ``i_cues (3,N)``. Whole or not at all, and one image at a time in memory.
    """
    missing = dict.fromkeys(numbers)

    def items() -> Iterator[tuple[str, np.ndarray]]:
        for image_id, labels, cues in seeds:
            if image_id not in numbers:
                raise ValueError(f"{image_id}: not in DGCN's list of {len(numbers)} images")
            missing.pop(image_id, None)
            yield f"{numbers[image_id]}_labels", np.asarray(labels, np.int64) + 1
            yield f"{numbers[image_id]}_cues", cues

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            _Pickler(file).dump(_Items(items()))

    write_whole(path, write)
    return list(missing)


@dataclass(frozen=True)
class _Items:
    """What a pickled dictionary shall hold, taken one by one."""

    pairs: Iterator[tuple[str, np.ndarray]]


class _Pickler(pickle.Pickler):
    """Writes `_Items` as a dictionary, and arrays as ``numpy.array(list, dtype)``.

    A plain array of NumPy 2 names a module that the older NumPy of DGCN's time lacks.
    """

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=4)  # the first that goes to the file as it grows
        self.fast = True  # keeps no reference to what was written

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, _Items):
            return dict, (), None, None, value.pairs
        if isinstance(value, np.ndarray):
            return np.array, (value.tolist(), value.dtype.name)
        return NotImplemented
