"""Weights: which file a network's are in, and what is known of that file."""

import hashlib
import re
from importlib import resources
from pathlib import Path

import torch
from safetensors import safe_open

from camx.camcore.checkpoints import is_safetensors
from camx.camcore.spec import Spec
from camx.camcore.suggestions import near

Located = tuple[Path, str, tuple[str, ...]]  # file, label, class names
ENUMERATED = re.compile(r"(?:(\w+_Weights)\.)?(\w+)")  # how torchvision names weights


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def preprocessed(path: Path) -> str:
    """The preprocessing with which camx trained a file of safetensors; empty for others."""
    if not is_safetensors(path):
        return ""
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("preprocessing", "")


def shipped(name: str) -> Path:
    """A file of ``configs/weights``."""
    return Path(str(resources.files("camx.configs") / "weights" / name))


def locate(
    spec: Spec, network: str, weights: str | None, download: bool, option: str = "--weights"
) -> Located:
    """``(file, label, class names)`` of weights: shipped, a file, or torchvision's by name.

    `option` is what the user's command calls them.
    """
    if weights is None and spec.shipped:
        path = shipped(spec.shipped)
        return path, f"shipped {path.name}", ()
    weights = weights or "DEFAULT"
    if spec.find and weights == "DEFAULT":
        return (*spec.find(download, option), ())
    named = ENUMERATED.fullmatch(weights)
    if Path(weights).exists() or not named:  # what has a folder or a suffix is no name
        path = Path(weights)
        return path, path.name, _published(spec, path, option)
    if named[1] and named[1] != getattr(spec.weights, "__name__", ""):
        raise ValueError(f"unknown weights {weights!r}: they are not {network}'s")
    return _cached(spec, network, named[2], download, option)


def _published(spec: Spec, path: Path, option: str) -> tuple[str, ...]:
    """The class names of a file that torchvision publishes, known by name and sha256."""
    for member in spec.weights or ():
        name = member.url.rpartition("/")[2]
        published = path.name == name and path.is_file()
        if published and sha256(path).startswith(path.stem.rpartition("-")[2]):
            if member.meta.get("categories"):
                return tuple(member.meta["categories"])
            expected = f"{option} IMAGENET1K_V1, or another file"
            raise ValueError(f"{path}: weights in a form of their own; expected {expected}")
    return ()


def _cached(spec: Spec, network: str, name: str, download: bool, option: str) -> Located:
    """What `locate` says of torchvision's weights `name`, which lie in torch's cache."""
    members = [w.name for w in spec.weights or () if w.meta.get("categories")]
    if name == "DEFAULT" and members:
        name = spec.weights.DEFAULT.name
    if name not in members:
        accepted = ", ".join([*members, "FILE.pth", "FILE.safetensors"]) + near(name, members)
        raise ValueError(f"unknown weights {name!r} of {network}; accepted: {accepted}")
    weights = spec.weights[name]
    path = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    if not path.is_file() and download:
        weights.get_state_dict(progress=True, check_hash=True)
    if not path.is_file():
        raise FileNotFoundError(
            f"{network}'s weights {name} are not at {path}; --download fetches them "
            f"({weights.meta['_file_size']:.0f} MB), or give {option} FILE"
        )
    named = path.stem.rpartition("-")[2]  # torchvision names a file by its hash's first digits
    if re.fullmatch("[0-9a-f]{8,}", named) and not (actual := sha256(path)).startswith(named):
        what = f"its sha256 begins with {actual[:8]}, not {named} as its name says"
        raise ValueError(f"{path}: {what}; delete it, and --download fetches it again")
    return path, str(weights), tuple(weights.meta["categories"])
