"""The miniature's drawn objects with their masks, rendered once and read as ImageNet-S is."""

from dataclasses import replace
from pathlib import Path

from camx.evaluators.caches import cache
from camx.evaluators.datasets import imagenet_s
from camx.evaluators.miniature import SEED, VERSION, ilsvrc, whole
from camx.evaluators.miniature import imagenet_s as drawn
from camx.evaluators.types import Dataset, Sample

TITLE = "embedded miniature with masks: 200 drawn images of ten classes, 100 to choose on"
SOURCE = "evaluators/miniature"
LAYOUT = ""  # it needs no folder
TASK = "localization"


def accepts(root: Path) -> bool:
    return False


def read(task: str = "localization", split: str = "validation") -> Dataset[Sample]:
    """A split of it, ``validation`` or ``train-semi``. `ValueError` for a task of another kind."""
    if task != TASK:
        raise ValueError(f"mini-masks is for {TASK}, not for {task}; its sister is mini")
    root = cache() / f"miniature-v{VERSION}-seed{SEED}" / "imagenet-s"
    if not whole(root):
        drawn.write(root)
    data = imagenet_s.read(root, split)
    classes = tuple(ilsvrc.CLASSES[wnid] for wnid in data.classes)
    return replace(data, name="mini-masks", classes=classes, model="mini-vgg")
