"""Are two trees of results the same? What differs is said, a line each; the exit code is 1 then.

    python scripts/same_records.py BEFORE AFTER
    python scripts/same_records.py BEFORE AFTER --renamed old_column=new_column \\
        --renamed-value old=new

Compared are records by their key and column (bit for bit, not a number being equal to itself),
pictures by their pixels (maps, labels, masks, drawings), tables, claims and logs cell by cell,
weights tensor by tensor, seeds and lists by their bytes. Not compared are timings, ``run.json`` but
for what determines the numbers (protocol, weights, model, data), and the terminal's log.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import safetensors.torch
from PIL import Image

KEY = ["image_id", "method", "layer", "variant"]
IDENTITY = (
    "command",
    "data",
    "model",
    "weights_sha256",
    "protocol",
    "seed",
    "recipe",
    "init",
    "labels",
    "shown",
)
Names = dict[str, str]


def _plain(value: Any) -> Any:
    """Values that compare with ``==``: arrays as lists, not-a-number as a text."""
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float | np.floating) and math.isnan(value):
        return "nan"
    return value


def _frame(folder: Path, renamed: Names) -> pd.DataFrame:
    """The records of a folder, sorted by key; the order of parts does not matter."""
    parts = [pq.read_table(path).to_pandas() for path in sorted(folder.glob("*.parquet"))]
    frame = pd.concat(parts, ignore_index=True).rename(columns=renamed)
    return frame.sort_values([k for k in KEY if k in frame], ignore_index=True)


def frames(before: pd.DataFrame, after: pd.DataFrame) -> Iterator[str]:
    """What differs between two tables of which rows belong together by their order."""
    if list(before.columns) != list(after.columns):
        lost, new = set(before) - set(after), set(after) - set(before)
        yield f"columns: lost {sorted(lost)}, new {sorted(new)}"
    if len(before) != len(after):
        yield f"{len(before)} rows before, {len(after)} after"
        return
    for column in (c for c in before if c in after):
        pairs = enumerate(zip(before[column].map(_plain), after[column].map(_plain)))
        unlike = [(row, old, new) for row, (old, new) in pairs if old != new]
        if unlike:
            row, old, new = unlike[0]
            key = " ".join(str(before[k][row]) for k in KEY if k in before) or f"row {row}"
            count = f"{len(unlike)} of {len(before)} differ"
            yield f"column {column}: {count}; {key}: {old!r} before, {new!r} after"


def records(before: Path, after: Path, renamed: Names) -> Iterator[str]:
    yield from frames(_frame(before, renamed), _frame(after, {}))


def pictures(before: Path, after: Path, _renamed: Names) -> Iterator[str]:
    with Image.open(before) as old, Image.open(after) as new:
        if old.mode != new.mode or old.size != new.size:
            yield f"{old.mode} {old.size} before, {new.mode} {new.size} after"
        elif unlike := int((np.asarray(old) != np.asarray(new)).sum()):
            yield f"{unlike} values differ"


def texts(before: Path, after: Path, renamed: Names) -> Iterator[str]:
    old, new = (pd.read_csv(path, keep_default_na=False, dtype=str) for path in (before, after))
    yield from frames(old.rename(columns=renamed), new)


def weights(before: Path, after: Path, _renamed: Names) -> Iterator[str]:
    old, new = (safetensors.torch.load_file(path) for path in (before, after))
    if list(old) != list(new):
        yield f"names of tensors differ: {sorted({*old} ^ {*new})[:3]}"
    for name in (n for n in old if n in new and not old[n].equal(new[n])):
        yield f"tensor {name} differs"


def runs(before: Path, after: Path, _renamed: Names) -> Iterator[str]:
    """What determined the numbers; values that are gone or new are not a difference, values that
    changed are.
    """
    old, new = (json.loads(path.read_text()) for path in (before, after))
    for key in IDENTITY:
        if old.get(key) is not None and new.get(key) is not None and old[key] != new[key]:
            yield f"{key}: {old[key]!r} before, {new[key]!r} after"


def raw(before: Path, after: Path, _renamed: Names) -> Iterator[str]:
    if before.read_bytes() != after.read_bytes():
        yield "the bytes differ"


READERS: dict[str, Callable[[Path, Path, Names], Iterator[str]]] = {
    ".png": pictures, ".csv": texts, ".safetensors": weights, ".pickle": raw, ".json": runs,
}  # fmt: skip


def compare(before: Path, after: Path, renamed: Names) -> Iterator[str]:
    """Every difference between two trees, the file first."""
    trees = [{p.relative_to(root) for p in root.rglob("*")} for root in (before, after)]
    watched = [
        {p for p in tree if p.suffix in READERS or (p.name.startswith("records") and not p.suffix)}
        for tree in trees
    ]
    for path in sorted(watched[0] ^ watched[1]):
        yield f"{path}: only {'before' if path in watched[0] else 'after'}"
    for path in sorted(watched[0] & watched[1]):
        reader = READERS.get(path.suffix, records)
        for line in reader(before / path, after / path, renamed):
            yield f"{path}: {line}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument(
        "--renamed",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="A column renamed on purpose.",
    )
    options = parser.parse_args()
    renamed = dict(pair.split("=", 1) for pair in options.renamed)
    count = 0
    for line in compare(options.before, options.after, renamed):
        count += 1
        print(line)
    compared = sum(
        1 for p in options.before.rglob("*") if p.suffix in READERS or p.suffix == ".parquet"
    )
    print(f"{count} differences; {compared} files before")
    sys.exit(count > 0)


if __name__ == "__main__":
    main()
