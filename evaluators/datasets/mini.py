"""The embedded miniature's ILSVRC part, rendered once into the user's cache and read as any other."""

import os
from pathlib import Path

import platformdirs

from evaluators.datasets import ilsvrc
from evaluators.miniature import SEED, VERSION
from evaluators.miniature import ilsvrc as drawn
from evaluators.types import Dataset

TITLE = "embedded miniature: 400 drawn images of ten classes, ILSVRC layout"
SOURCE = "evaluators/miniature"
LAYOUT = ""  # it needs no folder


def cache() -> Path:
    """The user's cache folder for camx; the environment variable CAMX_HOME names another."""
    return Path(os.environ.get("CAMX_HOME") or platformdirs.user_cache_dir("camx"))


def accepts(root: Path) -> bool:
    return False


def read() -> Dataset:
    """The miniature, rendered first if the cache does not hold this version of it."""
    root = cache() / f"miniature-v{VERSION}-seed{SEED}" / "ilsvrc"
    if not root.is_dir():
        drawn.write(root)
    return ilsvrc.read(root, name="mini", model="mini-vgg")
