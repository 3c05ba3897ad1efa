"""The miniature's VOC part: scenes of one to three classes with masks, as a VOCdevkit."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from camx.evaluators import confusion, voc_masks
from camx.evaluators.miniature import SEED, rendering, xml_box, xml_size
from camx.evaluators.miniature.drawing import SHAPES, Drawing, box_of, scene

TRAIN, VAL = 300, 100
STREAM = 12  # of random numbers, which no other part of the miniature draws from
CLASSES = tuple(sorted(SHAPES))


def draw(index: int, seed: int = SEED) -> Drawing:
    """Scene `index`: 128-160 px a side, one object each of one to three classes."""
    rng = np.random.default_rng([seed, STREAM, index])
    count = int(rng.choice([1, 2, 3], p=[0.35, 0.35, 0.3]))
    labels = rng.choice(len(CLASSES), count, replace=False).tolist()
    height, width = (int(v) for v in rng.integers(128, 161, 2))
    return scene(rng, labels, height, width)


def mask_of(drawing: Drawing) -> np.ndarray:
    """The scene's indices ``(H,W) uint8``; two pixels on each outline are void, 255, as VOC's."""
    indices: np.ndarray = np.zeros(drawing.image.shape[:2], np.uint8)
    for label, mask in zip(drawing.labels, drawing.masks):
        indices[mask] = label + 1
    neighbours = np.ones((3, 3), np.uint8)
    for mask in drawing.masks:
        ring = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, neighbours)
        indices[ring > 0] = confusion.IGNORED
    return indices


def annotation(stem: str, drawing: Drawing) -> str:
    """The scene's annotation as VOC's XML; boxes count pixels from 1 and include their last."""
    height, width = drawing.image.shape[:2]
    about = f"<folder>VOC2012</folder><filename>{stem}.jpg</filename>{xml_size(width, height)}"
    objects = "".join(
        f"<object><name>{CLASSES[label]}</name><difficult>0</difficult>"
        f"{xml_box(x0 + 1, y0 + 1, x1, y1)}</object>"
        for label, (x0, y0, x1, y1) in zip(drawing.labels, map(box_of, drawing.masks))
    )
    return f"<annotation>{about}<segmented>1</segmented>{objects}</annotation>\n"


def write(root: Path, train: int = TRAIN, val: int = VAL, seed: int = SEED) -> None:
    """Render the part as ``root/VOC2012``, whole or not at all, with its ``classes.txt``."""
    stems = [f"mini_{number:06d}" for number in range(1, train + val + 1)]
    with rendering(root) as work:
        folder = work / "VOC2012"
        for part in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation"):
            (folder / part).mkdir(parents=True)
        for index, stem in enumerate(stems):
            drawing = draw(index, seed)
            Image.fromarray(drawing.image).save(folder / "JPEGImages" / f"{stem}.jpg", quality=90)
            (folder / "Annotations" / f"{stem}.xml").write_text(annotation(stem, drawing))
            voc_masks.write_mask(folder / "SegmentationClass" / f"{stem}.png", mask_of(drawing))
        lists = {"train": stems[:train], "val": stems[train:], "trainval": stems}
        for split, members in lists.items():
            path = folder / "ImageSets/Segmentation" / f"{split}.txt"
            path.write_text("".join(f"{stem}\n" for stem in members))
        (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
