"""A run's folder: ``run.json``, which says what determined the numbers, and ``records/*.parquet``.

Another kind of row in the same run is in ``records-<kind>/``.

Parts are written under a temporary name and renamed, so a run killed at any moment loses at most the
records of the last 30 seconds and never holds half a part.
"""

import dataclasses
import json
import os
import time
import typing
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from evaluators.types import Cell

KEY = ["image_id", "method", "layer", "variant"]
PART_IMAGES = 256
PART_SECONDS = 30


ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def schema(kind: type) -> pa.Schema:
    """The columns of a record's dataclass, by its annotations: a part without a single list element must not guess them."""
    hints = typing.get_type_hints(kind)
    lists = {name: typing.get_args(hint) for name, hint in hints.items()}
    return pa.schema({name: pa.list_(ARROW[lists[name][0]]) if lists[name] else ARROW[hint] for name, hint in hints.items()})


class Writer:
    """Collects the records of whole images and writes a part per 256 images or 30 seconds.

    As a context manager it writes what is left when it is left, whatever the reason.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.images, self.total = folder, 0, 0
        self.rows: list[Any] = []
        self.last = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.flush()

    def add(self, records: Sequence[Any]) -> None:
        """Take one image's records (dataclasses of one kind)."""
        self.rows += records
        self.images += 1
        if self.images >= PART_IMAGES or time.monotonic() - self.last >= PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            name = f"part-{time.time_ns()}-{uuid.uuid4().hex[:8]}"
            temporary = self.folder / f".{name}.tmp"
            table = pa.Table.from_pylist([vars(r) for r in self.rows], schema(type(self.rows[0])))
            pq.write_table(table, temporary, compression="zstd")
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.rename(self.folder / f"{name}.parquet")
            self.total += len(self.rows)
        self.rows, self.images, self.last = [], 0, time.monotonic()


def read(run: Path, columns: list[str] | None = None, kind: str = "records") -> pd.DataFrame:
    """All records of a run, in the order of image and cell; empty if there are none yet. `kind` is their folder."""
    parts = sorted((run / kind).glob("*.parquet"))
    if not parts:
        return pd.DataFrame(columns=columns)
    try:
        frame = pyarrow.dataset.dataset(parts, format="parquet").to_table(columns=columns).to_pandas()
    except pa.ArrowException as error:
        raise ValueError(f"{run / kind}: a part is damaged; delete it and run again: {error}") from None
    # Two processes may have measured into one folder: what they both measured is the same, and counts once.
    return frame.drop_duplicates(KEY).sort_values(KEY, ignore_index=True)


def done(run: Path, kind: str = "records") -> dict[Cell, set[str]]:
    """The images that each cell already holds."""
    frame = read(run, KEY, kind)
    groups = frame.groupby(["method", "layer", "variant"])["image_id"]
    return {Cell(*map(str, key)): set(images) for key, images in groups}


def find(runs: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Every run at or below `runs`: ``(folder, its run.json)``, sorted by folder."""
    if not runs.is_dir():
        raise FileNotFoundError(f"{runs}: no such folder of runs")
    return [(path.parent, load(path.parent)) for path in sorted(runs.rglob("run.json"))]


def load(run: Path) -> dict[str, Any]:
    """The run's ``run.json``. Raises `ValueError` naming the file when it is none."""
    path = run / "run.json"
    try:
        found = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not a run.json: {error}") from None
    if not isinstance(found, dict) or not {"command", "invocations"} <= set(found):
        raise ValueError(f"{path}: not a run.json that camx wrote")
    return found


def save(run: Path, description: dict[str, Any]) -> None:
    """Write ``run.json`` whole or not at all."""
    temporary = run / f".run-{uuid.uuid4().hex[:8]}.tmp"
    with temporary.open("w") as file:
        file.write(json.dumps(description, indent=2, default=str) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(run / "run.json")


def begin(run: Path, identity: dict[str, Any], invocation: dict[str, Any], held: str = "records*/*.parquet") -> dict[str, Any]:
    """Open a run's folder for another invocation; returns its description, already saved.

    `held` is what a run has that made something. Raises `ValueError` when the folder holds a run whose identity differs:
    it names the field and a free folder. Records of another protocol, data set or network must never mix.
    """
    described, recorded = (run / "run.json").is_file(), any(run.glob(held)) or (run / "checkpoint.pt").is_file()
    if recorded and not described:
        raise ValueError(f"{run} holds records but no run.json to say what they are; choose another folder: --out {free(run)}")
    if recorded:  # a run that failed before its first record claims nothing
        description = load(run)
        for key in identity:
            _compare(run, key, description.get(key), identity[key])
        for name, sha256 in invocation.get("plugins", {}).items():
            if any(old.get("plugins", {}).get(name, sha256) != sha256 for old in description["invocations"]):
                raise ValueError(f"{run} holds records of another version of {name!r}; choose another folder: --out {free(run)}")
    else:
        run.mkdir(parents=True, exist_ok=True)
        description = {**identity, "start": invocation["start"], "invocations": []}
    description["invocations"].append(invocation)
    update(run, description, {})
    return description


def update(run: Path, description: dict[str, Any], changes: dict[str, Any]) -> None:
    """Enter `changes` of the current invocation and save; the run's own fields are those of its last one."""
    last = description["invocations"][-1]
    last |= changes
    description |= {key: value for key, value in last.items() if key != "start"}
    description |= {"invocations": description.pop("invocations")}  # the list stays last, for the reader
    save(run, description)


def _compare(run: Path, key: str, old: Any, new: Any) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        for field in sorted({**old, **new}, key=lambda f: f == "name"):  # what differs, before what it is called
            _compare(run, f"{key}.{field}", old.get(field), new.get(field))
    elif old != new:
        raise ValueError(f"{run} holds a run whose {key} is {old!r}, not {new!r}; choose another folder: --out {free(run)}")


def free(run: Path) -> Path:
    """A folder name next to `run` that is not taken."""
    return next(p for n in range(2, 10_000) if not (p := run.with_name(f"{run.name}-{n}")).exists())


def plain(value: Any) -> Any:
    """A dataclass as JSON's own types."""
    return json.loads(json.dumps(dataclasses.asdict(value), default=str))
