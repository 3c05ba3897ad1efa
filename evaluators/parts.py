"""Parts: the Parquet files that a run's records lie in, checked when they are read.

A part's name ends in the first digits of its SHA-256, and it bears the mark of the run that made it
(`records.Run`), so that neither a flipped bit nor a part of another run goes unseen. It is read as
a whole, never mapped into memory: a mapped file that is cut short meanwhile kills the process.
"""

import hashlib
import re
import time
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from camx.evaluators.files import write_bytes

MARK = b"camx.run"  # the key of a part's metadata
DIGITS = 16  # of its SHA-256 in its name
NAME = re.compile(rf"part-\d+-([0-9a-f]{{{DIGITS}}})\.parquet")  # those of earlier runs have 8
ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def schema(kind: type) -> pa.Schema:
    """A record's columns, by its annotations: a part of empty lists could not tell their types."""
    columns = {}
    for name, hint in typing.get_type_hints(kind).items():
        element = typing.get_args(hint)
        columns[name] = pa.list_(ARROW[element[0]]) if element else ARROW[hint]
    return pa.schema(columns)


def write(folder: Path, rows: Sequence[Any], mark: str = "") -> None:
    """Write a part of the rows, dataclasses of one kind, if there are any."""
    if not rows:
        return
    table = pa.Table.from_pylist([vars(row) for row in rows], schema(type(rows[0])))
    table = table.replace_schema_metadata({MARK: mark.encode()} if mark else None)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    content = sink.getvalue().to_pybytes()
    write_bytes(folder / f"part-{time.time_ns()}-{_digits(content)}.parquet", content)


def _digits(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def read(path: Path, columns: Sequence[str] | None = None) -> tuple[pa.Table, str]:
    """A part's rows and its mark ('' of earlier runs). `ValueError` naming a damaged one."""
    content = path.read_bytes()
    named = NAME.fullmatch(path.name)
    try:
        if named and named[1] != _digits(content):
            raise ValueError("its content is not what its name says")
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        mark = (file.schema_arrow.metadata or {}).get(MARK, b"").decode()
        return file.read(columns), mark
    except (pa.ArrowException, OSError, ValueError) as error:
        words = " ".join(str(error).split())
        what = f"a part is damaged; delete it and run again: {words}"
        raise ValueError(f"{path}: {what}") from None


def joined(paths: Sequence[Path], columns: Sequence[str] | None = None, mark: str = "") -> pa.Table:
    """The rows of several parts of one run. `ValueError` naming a part of another run than `mark`.

    Without a mark all that bear one must bear the same.
    """
    tables, first = [], None
    for path in paths:
        table, of = read(path, columns)
        if of and of != (mark or (first := first or of)):
            what = "a part of another run (other data, network or protocol) lies among these"
            raise ValueError(f"{path}: {what}; move it where it belongs, or delete it")
        tables.append(table)
    return pa.concat_tables(tables, promote_options="default").replace_schema_metadata()
