"""A number that is measured of a cell: name, unit, and what makes it of images' outcomes."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Metric:
    """A number that a task measures, of a cell.

    `unit` is % (a share of images, or a mean of percents) or one of its own; `counts` what a sum of
    per-image counts means, where the number is not a mean over images; `by_class` the same of a
    class's images, where it is the mean over classes, and an image's counts begin with its label;
    `shown` whether it is printed after a run, `interval` whether its interval is.
    """

    name: str
    meaning: str = ""
    unit: str = "%"
    better: Literal["higher", "lower", "neither"] = "higher"
    counts: Callable[[np.ndarray], float] | None = None
    shown: bool = True
    interval: bool = True
    by_class: Callable[[np.ndarray], float] | None = None

    def best(self, values: Mapping[Key, float]) -> set[Key]:
        """Which of the numbers are the best, as they are printed; none where all are equal."""
        shown = {key: f"{value:.2f}" for key, value in values.items() if value == value}
        if self.better == "neither" or len(set(shown.values())) < 2:
            return set()
        top = (max if self.better == "higher" else min)(shown.values(), key=float)
        return {key for key, text in shown.items() if text == top}
