"""What readers hand over as the types that camx means: boxes, class indices, paths."""

import math
import operator
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Box = tuple[int, int, int, int]
DIGITS = 18  # of a number in a file, at most: those of thousands, Python refuses to read


def as_box(values: Iterable[Any]) -> Box:
    """Four numbers, or words that are, as a box, rounded. `ValueError` for what encloses nothing.

    Zero is the picture's edge: whether the box lies in its picture is asked once that is read
    (`Sample.within`).
    """
    words = tuple(values)
    told = f"box ({', '.join(map(str, words))})"
    try:
        numbers = [float(word) for word in words]
    except (TypeError, ValueError):
        raise ValueError(f"{told} is not four numbers x0, y0, x1, y1") from None
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{told} is not four finite numbers x0, y0, x1, y1")
    x0, y0, x1, y1 = map(round, numbers)
    if x1 < x0 or y1 < y0:
        raise ValueError(f"{told} is turned inside out; expected x0 < x1 and y0 < y1")
    if x1 == x0 or y1 == y0:
        raise ValueError(f"{told} is of no size; expected x0 < x1 and y0 < y1")
    if x1 <= 0 or y1 <= 0:
        raise ValueError(f"{told} lies outside the picture, which begins at 0, 0")
    return x0, y0, x1, y1


def whole(name: str, value: Any) -> int:
    """A class index as ``int``, NumPy's too. `ValueError` for another thing, a float among them."""
    if type(value).__name__ in ("bool", "bool_"):
        return int(value)
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{name} is {value!r}; expected a whole number") from None


def whole_of(word: str) -> int:
    """The whole number from 0 on that a word of a file is; -1 for what is none."""
    return int(word) if word.isdecimal() and len(word) <= DIGITS else -1


def path_of(name: str, value: Any) -> Path:
    """A path, given as a text too. `ValueError` for another thing."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is {value!r}; expected a path")
    return Path(value)


def settle(item: object, values: Mapping[str, Any]) -> None:
    """Give a frozen item its fields' values in their types."""
    for name, value in values.items():
        object.__setattr__(item, name, value)
