"""What a run depends on besides its options: versions, and camx's own source."""

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from datetime import datetime, timezone
from functools import partial
from importlib import resources
from pathlib import Path

from camx.evaluators.files import digest

VERSION = re.compile(r"""^__version__ = ["'](.+)["']""", re.MULTILINE)
PACKAGES = ("camx.cli", "camx.camcore", "camx.evaluators", "camx.configs")


def version() -> str:
    """camx's version; a checkout that was never installed has none."""
    try:
        return importlib.metadata.version("camx")
    except importlib.metadata.PackageNotFoundError:
        return "uninstalled"


def versions() -> dict[str, str]:
    """Versions of what computes: Python's packages that move numbers, and camx."""
    import cv2
    import numpy
    import PIL
    import torch

    held = {p.__name__: str(p.__version__) for p in (torch, cv2, numpy, PIL)}
    return {"camx": version(), "torch": held.pop("torch"), "torchvision": _torchvision(), **held}


def _torchvision() -> str:
    """torchvision's version from its file: its import takes seconds, and few networks need it."""
    spec = importlib.util.find_spec("torchvision")
    places = (spec.submodule_search_locations if spec else None) or []
    files = [Path(place) / "version.py" for place in places]
    texts = [file.read_text() for file in files if file.is_file()]
    named = [match[1] for text in texts if (match := VERSION.search(text))]
    return named[0] if named else importlib.metadata.version("torchvision")


def commit() -> str | None:
    """The commit of the checkout that camx runs from, or None for an installed wheel."""
    run = partial(subprocess.run, cwd=Path(__file__).parent, capture_output=True, text=True)
    try:
        tracked = run(["git", "ls-files", "--error-unmatch", __file__])
        head = run(["git", "rev-parse", "HEAD"])
    except FileNotFoundError:  # no git on this machine
        return None
    return head.stdout.strip() if tracked.returncode == head.returncode == 0 else None


def source() -> str:
    """A hash over camx's own files, so that numbers of other code are not shown as this one's."""
    parts = []
    for package in PACKAGES:
        root = Path(str(resources.files(package)))
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                parts += [f"{package}/{path.relative_to(root)}\0".encode(), path.read_bytes()]
    return digest(parts)


def command_line() -> list[str]:
    """The words after ``camx``."""
    return sys.argv[1:]


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
