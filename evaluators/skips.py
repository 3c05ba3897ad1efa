"""Images that cannot be measured: the run stops at the first, or goes on and lists them.

An image is left out whole, with all its cells, so that those of a run are measured on the same
images. What is skipped stands in ``skipped.csv``; the same command tries it again.
"""

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from camx.camcore.faults import Fault, NotFinite
from camx.evaluators.files import read_text, write_text

T = TypeVar("T")
R = TypeVar("R")
FILE = "skipped.csv"
COLUMNS = ("image_id", "path", "method", "layer", "error")
UNREADABLE = (ValueError, OSError)  # what an image, or what is said of it, may be refused with


@dataclass(frozen=True)
class Failed:
    """What was attempted with a sample, and what went wrong."""

    sample: Any
    error: Exception


@dataclass(frozen=True)
class Skips:
    """Whether a run goes on without an image that cannot be measured, and `rows` of such by id."""

    going_on: bool = False
    rows: dict[str, dict[str, str]] = field(default_factory=dict)

    def take(self, sample: Any, error: Exception, fault: Fault | None = None) -> None:
        """Enter a sample that cannot be measured. Raises the error where the run does not go on."""
        if fault:
            what = f"{fault}; --on-error skip leaves such images out"
            error = ValueError(f"image {sample.image_id} ({sample.path}): {what}")
        if not self.going_on:
            raise error
        words = " ".join(str(fault or error).split())
        cell = (fault.method, fault.layer) if fault else ("", "")
        row = (sample.image_id, str(sample.path), *cell, words)
        self.rows.setdefault(sample.image_id, dict(zip(COLUMNS, row)))

    def attempt(self, work: Callable[[T], R], sample: Callable[[T], Any], of: T) -> R | Failed:
        """What work makes of it, or that it failed: in a thread, where nothing may be entered."""
        try:
            return work(of)
        except UNREADABLE as error:
            return Failed(sample(of), error)

    def tried(
        self, work: Callable[[T], R], sample: Callable[[T], Any]
    ) -> Callable[[T], R | Failed]:
        """`work` for threads, of things that are about a `sample`; see `sound`."""
        return partial(self.attempt, work, sample)

    def sound(self, results: Iterable[R | Failed], tick: Callable[[], Any]) -> Iterator[R]:
        """The results that are some; the others are entered."""
        for result in results:
            if isinstance(result, Failed):
                self.take(result.sample, result.error)
                tick()
            else:
                yield result

    def without(self, batch: list[T], error: NotFinite, sample: Callable[[T], Any]) -> list[T]:
        """The batch without the rows at fault, which are entered."""
        for fault in error.faults:
            self.take(sample(batch[fault.row]), error, fault)
        return [item for row, item in enumerate(batch) if row not in error.rows]

    def standing(
        self, before: Mapping[str, dict[str, str]], missing: Mapping[str, Collection[Any]]
    ) -> dict[str, dict[str, str]]:
        """The rows of ``skipped.csv`` now: an image leaves it with the last of its records."""
        return {i: row for i, row in before.items() if missing.get(i, True)} | self.rows

    def told(self, run: Path, count: int) -> str:
        """A line about what was skipped of `count` images. `ValueError` if all were."""
        if not self.rows:
            return ""
        first, path = next(iter(self.rows.values())), run / FILE
        if len(self.rows) == count:
            what = f"none of {count} images could be measured; of {first['image_id']}"
            raise ValueError(f"{path}: {what}: {first['error']}")
        why = f"{path} says why, and the same command tries them again"
        return f"skipped {len(self.rows)} of {count} images: {why}"


def read(run: Path) -> dict[str, dict[str, str]]:
    """The rows of a run's ``skipped.csv`` by image. `ValueError` for a file that is none."""
    path = run / FILE
    if not path.is_file():
        return {}
    reader = csv.DictReader(io.StringIO(read_text(path)))
    rows = list(reader)
    if tuple(reader.fieldnames or ()) != COLUMNS or any(None in row.values() for row in rows):
        what = f"not a list of images that camx wrote; expected columns {','.join(COLUMNS)}"
        raise ValueError(f"{path}: {what}")
    return {row["image_id"]: row for row in rows}


def write(run: Path, rows: Mapping[str, Mapping[str, str]]) -> None:
    """Write ``skipped.csv`` whole or not at all; without rows there is none."""
    if not rows:
        (run / FILE).unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[image_id] for image_id in sorted(rows))
    write_text(run / FILE, text.getvalue())
