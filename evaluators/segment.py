"""Predicted masks against true ones (Tables IX to XI): masks to records, and records to mIoU."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evaluators import confusion
from evaluators import records as stored
from evaluators.types import Cell, Scene, Segmentation

METRICS = ("mIoU", "mIoU-crf")
KINDS = {"mIoU": "records", "mIoU-crf": "records-crf"}
STATISTICS = dict.fromkeys(METRICS, confusion.mean)
PLAIN = ("deeplab-vgg16", "mini-largefov")  # the paper's network and its miniature; any other is named in the variant
ABOUT = "labels.json"  # beside labels or masks: what made them


def canonical(cell: Cell) -> Cell:
    """The cell as records name it: that of pseudo labels, or a name of somebody's masks."""
    from camcore import variants

    own, _, network = cell.variant.partition(", ") if cell.variant.startswith(("gamma", "scale")) else ("", "", cell.variant)
    own = variants.canonical(cell.layer, own) if cell.layer else own
    return cell._replace(variant=", ".join(filter(None, (own, network))))


def about(folder: Path) -> dict[str, Any]:
    """What a folder's ``labels.json`` says of its labels or masks; empty without one."""
    path = folder / ABOUT
    try:
        found = json.loads(path.read_text()) if path.is_file() else {}
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    return found if isinstance(found, dict) else {}


def cell_of(folder: Path, name: str = "") -> Cell:
    """The cell of a folder of masks: that of the labels behind it, or `name`, or the folder's own name."""
    found = about(folder)
    if name or not {"method", "layer", "variant"} <= set(found):
        return Cell(name or folder.resolve().name, "")
    network = str(found.get("network", ""))
    variant = ", ".join(filter(None, (found["variant"], "" if network in PLAIN else network)))
    return Cell(found["method"], found["layer"], variant)


def score(scene: Scene, cell: Cell, predicted: np.ndarray, truth: np.ndarray, classes: int) -> Segmentation:
    """One record: ``predicted (H,W) uint8`` against ``truth``; `classes` is without background. `ValueError` naming the image."""
    try:
        counts = confusion.confusion(truth, predicted, classes + 1)
    except ValueError as error:
        raise ValueError(f"{scene.image_id}: {error}") from None
    return Segmentation(scene.image_id, *cell, classes, confusion.sparse(counts))


def outcomes(run: Path) -> list[pd.DataFrame]:
    """Per image: intersections and unions by class ``(2,classes+1)``, without and with the CRF."""
    found = []
    for metric, kind in KINDS.items():
        frame = stored.read(run, kind=kind)
        if len(frame):
            counts = confusion.sparse_overlaps(frame["confusion"].to_list(), int(frame["classes"].max()) + 1)
            found.append(frame[stored.KEY].assign(**{metric: list(counts)}))
    return found
