"""Files of weights: what one holds, and what one is that holds none. No pickle is ever executed."""

import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

PLAIN = "plain weights, a state dict of tensors in .pth or .safetensors"
NESTED = ("state_dict", "model_state_dict", "model", "net", "weights", "ema", "model_ema")
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's files were four pickles until 1.6
HEAD = 4096  # bytes that tell what a file is
PAGE = "a page of the web, not the file it is about; download the file itself"
# What files begin with that are taken for weights.
BEGINNINGS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself; `git lfs pull` in its "
     "repository fetches that"),
    (b"\x89HDF", "an HDF5 file (Keras); its arrays must be saved as a state dict of tensors"),
    (b"\x93NUMPY", "one array of NumPy; expected names to tensors"),
    (b"MATLAB", "a MATLAB file; its arrays must be saved as a state dict of tensors"),
    (b"GGUF", "a GGUF file; its tensors must be saved as a state dict"),
    (b"\x1f\x8b", "compressed by gzip; unpack it first"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
)  # fmt: skip
# Members of a zip archive that tell what it is.
MEMBERS = (
    (r"\.npy$", "an archive of NumPy's arrays; two lines of Python convert it: `import numpy, "
     "torch; c = numpy.load({0!r})` and `torch.save({{k: torch.from_numpy(c[k]) for k in c.files}}"
     ", {1!r})`"),
    (r"(^|/)constants\.pkl$", "a TorchScript archive, which is a program; if you trust it, two "
     "lines of Python convert it: `import torch; c = torch.jit.load({0!r}, map_location='cpu')` "
     "and `torch.save(c.state_dict(), {1!r})`"),
    (r"\.weights\.h5$", "a Keras archive; its arrays must be saved as a state dict of tensors"),
    (r"", "a zip archive; unpack it first"),
)  # fmt: skip


def read(path: Path) -> Any:
    """What a file of weights holds: tensors in mappings, on the CPU.

    What it is, its first bytes say, whatever its name. Raises `FileNotFoundError`, or `ValueError`
    that names what the file is instead, and for other objects than tensors the two lines of Python
    that convert it.
    """
    if not path.is_file():
        kind = "no such" if not path.exists() else "a folder, not a" if path.is_dir() else "not a"
        raise FileNotFoundError(f"{path}: {kind} weights file")
    if kind := _kind(path):
        raise ValueError(f"{path}: not {PLAIN}: {kind}")
    try:
        return _content(path)
    except Exception as error:  # damaged bytes may fail anywhere in the readers
        reason = "it is damaged, or no weights at all"
        if _is_pickle(path) and ("WeightsUnpickler" in str(error) or "Unsupported" in str(error)):
            reason = f"it holds other objects than tensors{_culprit(error)} (nothing was executed)"
            reason += _conversion(path)
        raise ValueError(f"{path}: not {PLAIN}: {reason}") from error


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: the header's length, and its brace."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in (b"PK", *(b"\x80" + bytes([protocol]) for protocol in range(2, 6)))


def _content(path: Path) -> Any:
    if is_safetensors(path):
        return safetensors.torch.load_file(path)
    with warnings.catch_warnings():  # on pickles that torch then refuses
        warnings.simplefilter("ignore")
        with path.open("rb") as file:  # by its path, torch would go by its suffix
            return torch.load(file, map_location="cpu", weights_only=True)


def _kind(path: Path) -> str:
    """What a file is that cannot hold weights; empty for one that may."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        return "it is empty; download or copy it again"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return PAGE
    if head.startswith(b"PK\x03\x04"):
        return _archived(path)
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    if path.suffix == ".caffemodel" or _is_caffe(head):
        how = "convert them to tensors named conv1_1.weight, conv1_1.bias, ... first"
        return f"Caffe's own weights (.caffemodel); {how}"
    if path.suffix == ".onnx" or (head[:1] == b"\x08" and b"\x12" in head[:4]):
        return "an ONNX graph; its initializers must be saved as a state dict of tensors"
    if kinds := [what for beginning, what in BEGINNINGS if head.startswith(beginning)]:
        return kinds[0]
    return "" if b"\0" in head or head[:1] == b"\x80" else _text(head)


def _text(head: bytes) -> str:
    try:
        line = head.decode("ascii").strip().partition("\n")[0]
    except UnicodeDecodeError:
        return ""
    return f"a text that begins with {line[:30]!r}; it is damaged, or no weights at all"


def _is_caffe(head: bytes) -> bool:
    """Whether bytes begin as a NetParameter does: its name, then a field of it."""
    if head[:1] != b"\n" or len(head) < 3:
        return False
    name, rest = head[2 : 2 + head[1]], head[2 + head[1] :]
    return bool(name) and name.isascii() and rest[:1] in (b"\x12", b"\x1a", b"\xa2", b"\xa0")


def _archived(path: Path) -> str:
    """What a zip archive is; empty for torch's own."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return f"it is damaged: cut short at {path.stat().st_size} bytes; download it again"
    except Exception as error:  # names that are no text, versions that nobody wrote
        return f"it is damaged: {' '.join(str(error).split())}; download it again"
    torch_s = any(name.endswith("data.pkl") for name in names)
    for pattern, what in MEMBERS if not torch_s else MEMBERS[1:2]:
        if any(re.search(pattern, name) for name in names):
            return what.format(str(path), _converted(path))
    return ""


def _culprit(error: Exception) -> str:
    """The first of the other objects, as torch names it."""
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f", {named[1]} among them" if named else ""


def _converted(path: Path) -> str:
    """A name for the same weights as plain ones."""
    return str(path.with_name(f"{path.name.partition('.')[0]}-plain.pth"))


def _conversion(path: Path) -> str:
    """The two lines of Python that make plain weights of a pickle, by what it seems to hold."""
    with path.open("rb") as file:
        head = file.read(len(LEGACY))
    load = f"import torch; c = torch.load({str(path)!r}, map_location='cpu', weights_only=False)"
    if head[:2] != b"PK" and head != LEGACY:
        load = (
            f"import pickle, torch; c = pickle.load(open({str(path)!r}, 'rb'), encoding='latin1')"
        )
    words = list(_words(path))
    key = next((key for key in NESTED if key in words[1:]), "")
    state = f"c.get({key!r}, c)" if key else "c"
    if key and not key.endswith("state_dict"):  # a module, perhaps
        state = f"getattr({state}, 'state_dict', lambda: {state})()"
    if words[:1] not in (["{}"], ["collections OrderedDict"], ["collections"]):
        state = "c.state_dict()"
    tensors = "torch.is_tensor(v) or getattr(v, 'ndim', 0)"  # or arrays, but no array's scalar
    kept = f"{{k: torch.as_tensor(v) for k, v in {state}.items() if {tensors}}}"
    save = f"torch.save({kept}, {_converted(path)!r})"
    return f"; if you trust who made it, two lines of Python convert it: `{load}` and `{save}`"


def _words(path: Path) -> Iterator[str]:
    """What a pickle begins with, ``{}`` or a class, then its strings; it is only looked at."""
    started = False
    for opcode, argument, _ in _operations(path):
        if opcode.name in ("EMPTY_DICT", "GLOBAL", "DICT") and not started:
            started = True
            yield str(argument or "{}")
        elif isinstance(argument, str) and opcode.name != "GLOBAL":
            yield argument


def _operations(path: Path) -> Iterator[Any]:
    """The operations of a file's pickle, up to where it is damaged."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
                yield from pickletools.genops(archive.read(name))
            return
        with path.open("rb") as file:
            legacy = file.read(len(LEGACY)) == LEGACY
            file.seek(0)
            for _ in range(3 if legacy else 0):  # magic number, version, about the system
                for _ in pickletools.genops(file):
                    pass
            yield from pickletools.genops(file)
    except Exception:  # wherever the damage is met
        return
