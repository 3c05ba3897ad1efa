"""Things timed by turns in one process, so that a machine that slows down slows all of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Clock = Callable[[], float]
Run = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds that things took, by name, in the order of the rounds.

    `units` is how many images or maps each makes in a round, `against` the name of what it is
    compared with; one that is compared with nothing is left out.
    """

    seconds: Mapping[str, tuple[float, ...]]
    units: Mapping[str, int]
    against: Mapping[str, str]

    @property
    def medians(self) -> dict[str, float]:
        """The median of a round's seconds, by name."""
        return {name: statistics.median(taken) for name, taken in self.seconds.items()}

    @property
    def each(self) -> dict[str, float]:
        """The median seconds of a unit, by name."""
        return {name: median / self.units[name] for name, median in self.medians.items()}

    @property
    def ratios(self) -> dict[str, float]:
        """How many times the seconds of a unit of what it is compared with, by name."""
        each = self.each
        return {name: each[name] / each[base] for name, base in self.against.items()}

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "seconds": {name: list(taken) for name, taken in self.seconds.items()},
            "medians": self.medians, "units": dict(self.units), "seconds_a_unit": self.each,
            "against": dict(self.against), "ratios": self.ratios,
        }  # fmt: skip


def nothing() -> None:
    """What a processor does before its clock may be read; a GPU has to be waited for."""


def taken(
    runs: Mapping[str, Run], rounds: int, settle: Run = nothing, clock: Clock = time.perf_counter
) -> dict[str, tuple[float, ...]]:
    """Seconds of each run in `rounds` rounds, by name, in which they alternate.

    The round before the first warms up: what is compiled or allocated once is nobody's time.
    `settle` waits for what a run has left under way, before its clock starts and before it stops.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            settle()
            begun = clock()
            run()
            settle()
            ended = clock()
            if turn:
                seconds[name].append(ended - begun)
    return {name: tuple(each) for name, each in seconds.items()}
