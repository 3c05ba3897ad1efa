"""The embedded miniature, rendered once into the user's cache and read as any other data set."""

import os
from pathlib import Path

import platformdirs

from camx.evaluators.datasets import dagm, ilsvrc, voc
from camx.evaluators.miniature import SEED, VERSION
from camx.evaluators.miniature import dagm as textures
from camx.evaluators.miniature import ilsvrc as objects
from camx.evaluators.miniature import voc as scenes
from camx.evaluators.types import Dataset, Sample, Scene

TITLE = (
    "embedded miniature: 400 drawn images of ten classes (ILSVRC), "
    "ten textures with defects (DAGM), 400 scenes with masks (VOC)"
)
SOURCE = "evaluators/miniature"
LAYOUT = ""  # it needs no folder


def cache() -> Path:
    """The user's cache folder for camx; the environment variable CAMX_HOME names another."""
    return Path(os.environ.get("CAMX_HOME") or platformdirs.user_cache_dir("camx"))


def accepts(root: Path) -> bool:
    return False


def read(task: str = "localization", split: str = "train_aug") -> Dataset[Sample] | Dataset[Scene]:
    """The task's part of the miniature, rendered first if the cache lacks this version of it.

    `split` is of the VOC part, which has no augmented set: ``train_aug`` is its ``train``.
    """
    folder = cache() / f"miniature-v{VERSION}-seed{SEED}"
    if task == "defects":
        if not (folder / "dagm").is_dir():
            textures.write(folder / "dagm")
        return dagm.read(folder / "dagm", name="mini", model="mini-defects")
    if task == "segmentation":
        if not (folder / "voc").is_dir():
            scenes.write(folder / "voc")
        return voc.read(folder / "voc", split, name="mini", model="mini-vgg-voc")
    if not (folder / "ilsvrc").is_dir():
        objects.write(folder / "ilsvrc")
    return ilsvrc.read(folder / "ilsvrc", name="mini", model="mini-vgg")
