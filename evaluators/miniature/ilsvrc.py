"""The miniature's ILSVRC parts: drawn images of ten classes in Kaggle's layout."""

from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

from camx.evaluators.miniature import SEED, rendering, xml_box, xml_size
from camx.evaluators.miniature.drawing import SHAPES, Drawing, box_of, scene

IMAGES, TRAIN_IMAGES = 400, 600
TRAIN_SEED = SEED + 1  # of what networks learn from: none of the other images is among it
CLASSES = {f"n9000000{i}": name for i, name in enumerate(sorted(SHAPES))}


def draw(index: int, seed: int = SEED) -> Drawing:
    """Image `index`: 128-160 px a side, one to three objects of one class."""
    rng = np.random.default_rng([seed, index])
    label = int(rng.integers(len(CLASSES)))
    objects = int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))
    height, width = (int(v) for v in rng.integers(128, 161, 2))
    return scene(rng, [label] * objects, height, width)


def annotation(stem: str, wnid: str, drawing: Drawing) -> str:
    """The image's annotation as ILSVRC's XML; boxes are pixels with an exclusive end."""
    height, width = drawing.image.shape[:2]
    name, boxes = f"<name>{escape(wnid)}</name>", map(box_of, drawing.masks)
    objects = "".join(f"<object>{name}{xml_box(*box)}</object>" for box in boxes)
    about = f"<folder>val</folder><filename>{stem}</filename>{xml_size(width, height)}"
    return f"<annotation>{about}{objects}</annotation>\n"


def write(root: Path, images: int = IMAGES, seed: int = SEED) -> None:
    """Render the part below `root`, which appears whole or not at all."""
    with rendering(root) as work:
        pictures = work / "ILSVRC/Data/CLS-LOC/val"
        annotations = work / "ILSVRC/Annotations/CLS-LOC/val"
        pictures.mkdir(parents=True)
        annotations.mkdir(parents=True)
        wnids, solution = sorted(CLASSES), ["ImageId,PredictionString"]
        for index in range(images):
            stem, drawing = f"mini_val_{index + 1:08d}", draw(index, seed)
            wnid = wnids[drawing.labels[0]]
            Image.fromarray(drawing.image).save(pictures / f"{stem}.JPEG", quality=90)
            (annotations / f"{stem}.xml").write_text(annotation(stem, wnid, drawing))
            boxes = " ".join(f"{wnid} {' '.join(map(str, box_of(mask)))}" for mask in drawing.masks)
            solution.append(f"{stem},{boxes} ")
        _write_classes(work)
        (work / "LOC_val_solution.csv").write_text("\n".join(solution) + "\n")


def write_train(root: Path, images: int = TRAIN_IMAGES, seed: int = TRAIN_SEED) -> None:
    """Render images to learn from below `root`, ``train/<wnid>``, whole or not at all."""
    with rendering(root) as work:
        train, wnids = work / "ILSVRC/Data/CLS-LOC/train", sorted(CLASSES)
        for wnid in wnids:
            (train / wnid).mkdir(parents=True)
        for index in range(images):
            drawing = draw(index, seed)
            wnid = wnids[drawing.labels[0]]
            path = train / wnid / f"{wnid}_{index + 1}.JPEG"
            Image.fromarray(drawing.image).save(path, quality=90)
        _write_classes(work)


def _write_classes(root: Path) -> None:
    lines = (f"{wnid} {CLASSES[wnid]}\n" for wnid in sorted(CLASSES))
    (root / "LOC_synset_mapping.txt").write_text("".join(lines))
