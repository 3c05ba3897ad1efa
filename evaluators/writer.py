"""What a run writes its records with: parts of whole images, every kind in a folder of its own."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from camx.evaluators import nulls, parts

PART_IMAGES = 256
PART_SECONDS = 30


class Writer:
    """Collects the records of whole images and writes a part per 256 images or 30 seconds.

    Those of null rows go to a folder beside, so that `folder` holds what was asked for, which
    `total` counts; records of further kinds go to their kinds' folders. As a context manager it
    writes what is left when it is left, for any reason.
    """

    def __init__(self, folder: Path, mark: str = "") -> None:
        self.folder, self.mark, self.images, self.total = folder, mark, 0, 0
        self.rows: dict[Path, list[Any]] = {}
        self.last = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.flush()

    def add(
        self, records: Sequence[Any], further: Mapping[str, Sequence[Any]] = MappingProxyType({})
    ) -> None:
        """Take one image's records (dataclasses of one kind), and `further` ones by their kind."""
        placed = {self.folder.with_name(kind): rows for kind, rows in further.items()}
        for folder, rows in {**placed, self.folder: records}.items():
            self.rows.setdefault(folder, []).extend(rows)
        self.images += 1
        if self.images >= PART_IMAGES or time.monotonic() - self.last >= PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        for folder, rows in self.rows.items():
            blind = [row for row in rows if row.method in nulls.NAMES]
            asked = [row for row in rows if row.method not in nulls.NAMES]
            # First the blind: a record says that its image is done.
            parts.write(beside_of(folder), blind, self.mark)
            parts.write(folder, asked, self.mark)
            self.total += len(asked) if folder == self.folder else 0
        self.rows, self.images, self.last = {}, 0, time.monotonic()


def beside_of(folder: Path) -> Path:
    """Where the null rows of a folder of records are: ``records-nulls``."""
    return folder.with_name(f"{folder.name}-nulls")
