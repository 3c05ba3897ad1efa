"""The miniature's ImageNet-S part: the same drawn objects with their masks."""

from pathlib import Path

import numpy as np
from PIL import Image

from camx.evaluators.miniature import SEED, rendering
from camx.evaluators.miniature.ilsvrc import CLASSES, TRAIN_SEED, draw

# Images of each split, and the seed that they are drawn from: those that are judged are the first
# of the ILSVRC part, and thresholds are chosen on some that networks learned from.
SPLITS = {"validation": (200, SEED), "train-semi": (100, TRAIN_SEED)}


def write(root: Path) -> None:
    """Render the part below `root`, which appears whole or not at all."""
    wnids = sorted(CLASSES)
    with rendering(root) as work:
        (work / f"ImageNetS_categories_im{len(wnids)}.txt").write_text("\n".join(wnids) + "\n")
        for split, (images, seed) in SPLITS.items():
            for index in range(images):
                drawing = draw(index, seed)
                wnid, name = wnids[drawing.labels[0]], f"mini_{split}_{index + 1:08d}"
                picture, mask = (work / place / wnid for place in (split, f"{split}-segmentation"))
                for folder in (picture, mask):
                    folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(drawing.image).save(picture / f"{name}.JPEG", quality=90)
                ids = np.zeros((*drawing.image.shape[:2], 3), np.uint8)
                ids[np.any(drawing.masks, 0), 0] = wnids.index(wnid) + 1
                Image.fromarray(ids).save(mask / f"{name}.png")
