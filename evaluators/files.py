"""Files: written whole or not at all, digested, and text read in one way."""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file beside `path` that then becomes `path`, on disk before it does.

    The temporary name is unique, hidden and ends in ``.tmp``, so that no other writer and no
    reader's pattern meets it; it goes if writing fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # a folder can be opened, and so be flushed, there only
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes whole or not at all."""
    write_whole(path, lambda temporary: temporary.write_bytes(content))


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all, in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all; what JSON does not know is written as text."""
    write_text(path, json.dumps(content, indent=2, default=str) + "\n")


def read_text(path: Path, kind: str = "text file") -> str:
    """The text of a file in UTF-8, with or without a byte-order mark. Raises naming the file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such {kind}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a {kind} in UTF-8: {error}") from None


def read_lines(path: Path, kind: str = "list") -> list[tuple[int, str]]:
    """``(number from 1, line)`` of each line of a text file that is not blank, stripped."""
    lines = enumerate(read_text(path, kind).splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def parse_yaml(text: str, origin: str) -> Any:
    """YAML, or a `ValueError` that says where it is broken, in one line."""
    try:
        return yaml.safe_load(text)
    except Exception as error:  # a date or a number of YAML's may fail in Python's own ways
        raise ValueError(f"{origin}: not YAML: {' '.join(str(error).split())}") from None


def digest(parts: Iterable[bytes]) -> str:
    """SHA-256 over parts, in order."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return whole.hexdigest()
