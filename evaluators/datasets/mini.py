"""The embedded miniature, rendered once into the user's cache and read as any other data set."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from camx.evaluators import fingerprints
from camx.evaluators.caches import cache as cache
from camx.evaluators.datasets import by_class, dagm, ilsvrc, voc
from camx.evaluators.miniature import SEED, VERSION, whole
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


def accepts(root: Path) -> bool:
    return False


def read(task: str = "localization", split: str = "") -> Dataset[Sample] | Dataset[Scene]:
    """The task's part of the miniature, rendered first if the cache lacks this version of it or any
    file of it.

    Classification is learned from further images, and judged by those of localization. `split` is
    of the VOC part, which has no augmented set: ``train_aug``, the default, is its ``train``;
    `ValueError` for one of another part.
    """
    parts: dict[str, tuple[str, Callable[[Path], None]]] = {
        "defects": ("dagm", textures.write),
        "segmentation": ("voc", scenes.write),
        "classification": ("ilsvrc-train", objects.write_train),
    }
    if split and task != "segmentation":
        raise ValueError(f"split is {split!r}, but mini reads no splits for {task}")
    folder, write = parts.get(task, ("ilsvrc", objects.write))
    root = cache() / f"miniature-v{VERSION}-seed{SEED}" / folder
    if not whole(root):
        write(root)
    if task == "classification":
        train = by_class.read(root, name="mini", model="mini-vgg-gap")
        val = (replace(s, split="val") for s in read().samples if isinstance(s, Sample))
        samples = (*train.samples, *val)
        return replace(train, samples=samples, fingerprint=fingerprints.listed(samples))
    if task == "defects":
        return dagm.read(root, name="mini", model="mini-defects")
    if task == "segmentation":
        return voc.read(root, split or "train_aug", name="mini", model="mini-vgg-voc")
    return ilsvrc.read(root, name="mini", model="mini-vgg")
