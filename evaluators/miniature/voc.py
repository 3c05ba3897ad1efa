"""The miniature's VOC part: scenes of one to three classes with their masks, in VOCdevkit's layout."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from evaluators import indices
from evaluators.miniature import SEED, rendering
from evaluators.miniature.drawing import SHAPES, Drawing, box_of, scene

TRAIN, VAL = 300, 100
CLASSES = tuple(sorted(SHAPES))


def draw(index: int, seed: int = SEED) -> Drawing:
    """Scene `index`: 128-160 px a side, one object each of one to three classes."""
    rng = np.random.default_rng([seed, 12, index])
    count = int(rng.choice([1, 2, 3], p=[0.35, 0.35, 0.3]))
    labels = rng.choice(len(CLASSES), count, replace=False).tolist()
    height, width = (int(v) for v in rng.integers(128, 161, 2))
    return scene(rng, labels, height, width)


def mask_of(drawing: Drawing) -> np.ndarray:
    """The scene's indices ``(H,W) uint8``; a ring of two pixels on each outline is void, 255, as VOC draws it."""
    found: np.ndarray = np.zeros(drawing.image.shape[:2], np.uint8)
    for label, mask in zip(drawing.labels, drawing.masks):
        found[mask] = label + 1
    for mask in drawing.masks:
        ring = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        found[ring > 0] = indices.IGNORED
    return found


def annotation(stem: str, drawing: Drawing) -> str:
    """The scene's annotation as VOC's XML; boxes count pixels from 1 and include their last."""
    height, width = drawing.image.shape[:2]
    objects = "".join(
        f"<object><name>{CLASSES[label]}</name><difficult>0</difficult><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for label, (x0, y0, x1, y1) in zip(drawing.labels, map(box_of, drawing.masks))
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><folder>VOC2012</folder><filename>{stem}.jpg</filename>{size}<segmented>1</segmented>{objects}</annotation>\n"


def write(root: Path, train: int = TRAIN, val: int = VAL, seed: int = SEED) -> None:
    """Render the part as ``root/VOC2012``, which appears whole or not at all; its ``classes.txt`` names the ten classes."""
    stems = [f"mini_{number:06d}" for number in range(1, train + val + 1)]
    with rendering(root) as work:
        folder = work / "VOC2012"
        for part in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation"):
            (folder / part).mkdir(parents=True)
        for index, stem in enumerate(stems):
            drawing = draw(index, seed)
            Image.fromarray(drawing.image).save(folder / "JPEGImages" / f"{stem}.jpg", quality=90)
            (folder / "Annotations" / f"{stem}.xml").write_text(annotation(stem, drawing))
            indices.write_mask(folder / "SegmentationClass" / f"{stem}.png", mask_of(drawing))
        for name, listed in (("train", stems[:train]), ("val", stems[train:]), ("trainval", stems)):
            (folder / "ImageSets/Segmentation" / f"{name}.txt").write_text("".join(f"{stem}\n" for stem in listed))
        (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
