"""Weights: which file a network's are in, and what it holds."""

import hashlib
import re
import warnings
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from camx.camcore.spec import Spec

NESTED = ("state_dict", "model", "model_state_dict")  # where checkpoints keep the weights
SUFFIXES = (".pth", ".pt", ".safetensors")
Located = tuple[Path, str, tuple[str, ...]]  # file, label, class names
UNREADABLE = (SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError, KeyError)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _content(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    with warnings.catch_warnings():  # on pickles that torch then refuses
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in a ``.safetensors`` or ``.pth`` file of plain tensors, float32 on the CPU.

    A checkpoint's nested state dict is found, a ``module.`` prefix taken off. Raises
    `FileNotFoundError`, or `ValueError` for a file that holds anything but tensors; nothing in a
    pickle is ever executed.
    """
    if not path.is_file():
        kind = "a folder, not a" if path.is_dir() else "no such"
        raise FileNotFoundError(f"{path}: {kind} weights file")
    try:
        state = _content(path)
    except UNREADABLE as error:
        reason = "it is damaged, or no weights at all"
        if "WeightsUnpickler" in str(error) or "Unsupported" in str(error):
            reason = "it holds other objects than tensors (nothing was executed)"
        plain = "plain weights, a state dict of tensors in .pth or .safetensors"
        raise ValueError(f"{path}: not {plain}: {reason}") from error
    for key in NESTED:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    items = list(state.items()) if isinstance(state, Mapping) else []
    if not items or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in items):
        raise ValueError(f"{path}: not plain weights: expected a state dict, names to tensors")
    return {k.removeprefix("module."): v.float() if v.is_floating_point() else v for k, v in items}


def preprocessed(path: Path) -> str:
    """The preprocessing with which camx trained a ``.safetensors`` file; empty for others."""
    if path.suffix != ".safetensors":
        return ""
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("preprocessing", "")


def shipped(name: str) -> Path:
    """A file of ``configs/weights``."""
    return Path(str(resources.files("camx.configs") / "weights" / name))


def locate(spec: Spec, network: str, weights: str | None, download: bool) -> Located:
    """``(file, label, class names)`` of weights: shipped, a file, or torchvision's by name."""
    if weights is None and spec.shipped:
        path = shipped(spec.shipped)
        return path, f"shipped {path.name}", ()
    if weights and (Path(weights).suffix in SUFFIXES or Path(weights).exists()):
        return Path(weights), Path(weights).name, ()
    return _cached(spec, network, (weights or "DEFAULT").rpartition(".")[2], download)


def _cached(spec: Spec, network: str, name: str, download: bool) -> Located:
    """What `locate` says of torchvision's weights `name`, which lie in torch's cache."""
    members = [w.name for w in spec.weights or () if w.meta.get("categories")]
    if name == "DEFAULT" and members:
        name = spec.weights.DEFAULT.name
    if name not in members:
        accepted = ", ".join([*members, "FILE.pth", "FILE.safetensors"])
        raise ValueError(f"unknown weights {name!r} of {network}; accepted: {accepted}")
    weights = spec.weights[name]
    path = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    if not path.is_file() and download:
        weights.get_state_dict(progress=True, check_hash=True)
    if not path.is_file():
        raise FileNotFoundError(
            f"{network}'s weights {name} are not at {path}; --download fetches them "
            f"({weights.meta['_file_size']:.0f} MB), or give --weights FILE"
        )
    named = path.stem.rpartition("-")[2]  # torchvision names a file by its hash's first digits
    if re.fullmatch("[0-9a-f]{8,}", named) and not (actual := sha256(path)).startswith(named):
        what = f"its sha256 begins with {actual[:8]}, not {named} as its name says"
        raise ValueError(f"{path}: {what}; delete it, and --download fetches it again")
    return path, str(weights), tuple(weights.meta["categories"])
