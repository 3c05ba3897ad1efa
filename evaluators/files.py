"""Files: written whole or not at all, listed, digested, and text read in one way.

Hidden files and folders, those that systems leave behind, are nobody's data; pipes and devices are
refused without being opened.
"""

import contextlib
import csv
import glob
import hashlib
import io
import json
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import yaml
from defusedxml import DefusedXmlException, ElementTree

XML_BYTES = 1 << 24  # of an annotation; those of real data sets have a few thousand
LEFTOVER = re.compile(r"\..+-[0-9a-f]{8}\.tmp")  # the temporary names of `write_whole`
STALE = 3600  # seconds after which a temporary file's writer is taken to have died
LITTER = ("thumbs.db", "desktop.ini", "__macosx")  # what Windows and macOS leave, besides dot files
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def temporary(path: Path) -> Path:
    """A hidden name beside `path` that is nobody's yet, and that `LEFTOVER` tells."""
    return path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}.tmp")


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file beside `path` that then becomes `path`, on disk before it does.

    The temporary name is unique, hidden and ends in ``.tmp``, so that no other writer and no
    reader's pattern meets it; it goes if writing fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = temporary(path)
    try:
        half.touch()  # with the mode that the umask says, which not every writer keeps
        mode = half.stat().st_mode
        write(half)
        half.chmod(mode)
        with half.open("rb") as file:
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:  # of a full disk, say, which names no file, or the temporary one
        if error.errno is not None:
            error.filename = str(path)
        raise
    finally:
        half.unlink(missing_ok=True)
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


def free(folder: Path) -> Path:
    """A folder name next to `folder` that is not taken."""
    names = (folder.with_name(f"{folder.name}-{n}") for n in range(2, 10_000))
    return next(path for path in names if not path.exists())


def sweep(folder: Path, older: float = 0) -> None:
    """Remove what a killed `write_whole` left half in a run's folder, but of no run within it.

    Where no lock tells that nobody writes, only what is `older` than so many seconds.
    """
    for place, below, names in os.walk(folder):
        below[:] = [name for name in below if not (Path(place, name) / "run.json").exists()]
        for path in (Path(place, name) for name in filter(LEFTOVER.fullmatch, names)):
            with contextlib.suppress(FileNotFoundError):  # its writer may end just now
                if time.time() - path.stat().st_mtime >= older:
                    path.unlink()


def sweep_beside(path: Path) -> None:
    """Remove what a killed process left half beside `path`, under its `temporary` names."""
    for entry in path.parent.glob(f".{glob.escape(path.name)}-*.tmp"):
        if not LEFTOVER.fullmatch(entry.name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def regular(path: Path, kind: str = "file") -> Path:
    """The path, if a regular file or a link to one is there; nothing is opened.

    Raises `FileNotFoundError` that says what is there instead.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        link = ", but a link to nothing" if path.is_symlink() else ""
        raise FileNotFoundError(f"{path}: no such {kind}{link}") from None
    except (ValueError, OSError) as error:  # a zero byte in the name, too long a name, no access
        raise ValueError(f"{str(path)!r}: no such {kind}: {error}") from None
    if not stat.S_ISREG(mode):
        what = next((words for is_kind, words in KINDS if is_kind(mode)), "something else")
        raise FileNotFoundError(f"{path}: no such {kind}, but {what}; expected a file")
    return path


def hidden(name: str) -> bool:
    """Whether a name is a dot file's or one that a system leaves behind: nobody's data."""
    return name.startswith(".") or name.lower() in LITTER


def listing(folder: Path, suffixes: Collection[str], kind: str = "file") -> list[Path]:
    """A folder's files with one of `suffixes`, in any case, sorted; none if there is no folder.

    Raises `FileNotFoundError` naming what bears such a suffix and is no file.
    """
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not hidden(entry.name)]
        wanted = [e for e in visible if os.path.splitext(e.name)[1].lower() in suffixes]
        plain = {e.name: e.is_file() for e in wanted}
    return [folder / n if plain[n] else regular(folder / n, kind) for n in sorted(plain)]


def by_stem(paths: Iterable[Path], suffix: str = "") -> dict[str, Path]:
    """Files by their stem, less its suffix in any case. `ValueError` naming two of one stem."""
    stems: dict[str, Path] = {}
    for path in paths:
        stem = path.stem
        if suffix and stem.lower().endswith(suffix):
            stem = stem[: -len(suffix)]
        if stem in stems:
            what = f"{stems[stem]} stands beside it for the same image; keep one"
            raise ValueError(f"{path}: {what}")
        stems[stem] = path
    return stems


def folders(parent: Path, name: str = "") -> list[Path]:
    """The folders in a folder that are called `name` in any case, or all that are not hidden."""
    if not parent.is_dir():
        return []
    with os.scandir(parent) as entries:
        visible = [e for e in entries if not hidden(e.name) and e.is_dir()]
        return sorted(parent / e.name for e in visible if not name or e.name.lower() == name)


def below(root: Path, part: str) -> list[Path]:
    """The folders at ``root/part``, whose names may be in any case."""
    places = [root]
    for name in Path(part).parts:
        places = [folder for place in places for folder in folders(place, name.lower())]
    return places


def read_text(path: Path, kind: str = "text file") -> str:
    """The text of a file in UTF-8, with or without a byte-order mark, its lines ended by ``\\n``.

    Raises `FileNotFoundError` or `ValueError` naming the file and what it should be.
    """
    content = regular(path, kind).read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        what = "it is in UTF-16" if utf16 else str(error)
        raise ValueError(f"{path}: not a {kind} in UTF-8: {what}; save it as UTF-8") from None
    if "\0" in text:
        what = "it holds zero bytes, as UTF-16 and binary files do"
        raise ValueError(f"{path}: not a {kind} in UTF-8: {what}; save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path, kind: str = "list") -> list[tuple[int, str]]:
    """``(number from 1, line)`` of each line of a text file that is not blank, stripped.

    So are the byte-order marks that joining files leaves inside.
    """
    lines = enumerate(read_text(path, kind).split("\n"), 1)
    stripped = [(number, line.lstrip("\ufeff").strip()) for number, line in lines]
    return [(number, line) for number, line in stripped if line]


def read_csv(
    path: Path, columns: Sequence[str], kind: str, optional: Sequence[str] = ()
) -> list[tuple[int, list[str]]]:
    """``(line, values of columns)`` of each line of a CSV file with a header, blank ones left out.

    The values of `optional` columns follow, empty where there is none of that name. Raises
    `ValueError` naming the file and the line that lacks a value or has one too many.
    """
    rows = csv.reader(io.StringIO(read_text(path, kind)), skipinitialspace=True, strict=True)
    try:
        lines = [(rows.line_num, [word.strip() for word in row]) for row in rows]
    except csv.Error as error:
        raise ValueError(f"{path}, line {rows.line_num}: not a CSV file: {error}") from None
    lines = [(number, row) for number, row in lines if any(row)]
    _, header = lines[0] if lines else (1, [])
    expected = f"expected {','.join(columns)}{''.join(f'[,{name}]' for name in optional)}"
    for column in (*columns, *(name for name in optional if name in header)):
        if header.count(column) != 1:
            what = "stands twice" if column in header else "is missing"
            marks = [mark for mark in (";", "\t") if len(header) == 1 and mark in header[0]]
            told = f" (the line is separated by {marks[0]!r}, not by commas)" if marks else ""
            raise ValueError(f"{path}: column {column!r} {what}; {expected}{told}")
    wanted = (*columns, *optional)
    for word in header:
        if word not in wanted and word.lower().rstrip("s") in optional:
            raise ValueError(f"{path}: column {word!r} is not read; {expected}, or another name")
    last = max(header.index(name) for name in wanted if name in header)
    for number, row in lines[1:]:
        if len(row) <= last or any(row[len(header) :]):
            what = f"{len(row)} values, but the header names {len(header)}"
            raise ValueError(f"{path}, line {number}: {what}; {expected}")
    named = [(number, dict(zip(header, row))) for number, row in lines[1:]]
    return [(number, [row.get(name, "") for name in wanted]) for number, row in named]


def read_xml(path: Path, kind: str) -> Element:
    """The root ``annotation`` of an XML file, which says its encoding itself. Raises naming it."""
    try:
        if (size := regular(path, kind).stat().st_size) > XML_BYTES:
            raise ValueError(f"it has {size} bytes; expected at most {XML_BYTES}")
        root = ElementTree.fromstring(path.read_bytes(), forbid_dtd=True)
        if root.tag != "annotation":
            raise ValueError(f"its root is {root.tag!r}; expected 'annotation'")
        return root
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        article = "an" if kind[0] in "AEIO" else "a"
        raise ValueError(f"{path}: not {article} {kind}: {error}") from None


def read_mat(path: Path, kind: str) -> dict[str, Any]:
    """The variables of a MATLAB file. `ValueError` for a damaged one, or one of version 7.3."""
    import scipy.io  # takes a moment to import

    try:
        return dict(scipy.io.loadmat(regular(path)))
    except NotImplementedError:
        raise ValueError(f"{path}: a MATLAB 7.3 file; save it with -v7") from None
    except FileNotFoundError:
        raise
    except Exception as error:  # a file that is not MATLAB's may fail anywhere in the reader
        raise ValueError(f"{path}: not {kind}: {error}") from None


def parse_json(text: str, origin: str) -> Any:
    """JSON, or a `ValueError` that says where it is broken."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # also of a number of thousands of digits
        raise ValueError(f"{origin}: not JSON: {error}") from None


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
