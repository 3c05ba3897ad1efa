"""Weakly supervised localization: maps to boxes to records, and records to loc1, loc5 and GT-known."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from camcore import variants
from evaluators import boxes, heatmaps
from evaluators import records as stored
from evaluators.types import Cell, Localization, Protocol, Sample

HITS = ("loc1", "loc5", "gtknown")
METRICS = (*HITS, "mean IoU", "degenerate")
HIT = 0.5  # an IoU of at least this is a hit


def score(
    sample: Sample,
    size: tuple[int, int],
    maps: Mapping[Cell, np.ndarray],
    top5: Sequence[int],
    protocol: Protocol,
    image: np.ndarray | None = None,
) -> list[Localization]:
    """One record per cell from its ``(g,g) uint8`` map; `size` is the original image's (width, height).

    ``image (H,W,3) uint8`` BGR is needed where the protocol asks for GrabCut.
    """
    records = []
    for cell, grid in maps.items():
        heatmap = heatmaps.on_image(grid, size, protocol.interpolation)
        mask = heatmaps.foreground(heatmap, protocol.threshold)
        if protocol.grabs(cell):
            if image is None:
                raise ValueError(f"{sample.image_id}: GrabCut at {cell.layer} needs the image")
            mask = heatmaps.grabcut(image, mask, sample.image_id)
        box = boxes.box(mask, protocol.box)
        overlap = boxes.iou(box, sample.boxes, protocol.iou)
        empty = heatmaps.degenerate(grid)
        records.append(Localization(sample.image_id, sample.label, tuple(top5), *cell, *box, overlap, empty))
    return records


def hits(records: pd.DataFrame) -> pd.DataFrame:
    """Boolean columns loc1, loc5 and gtknown for each record (protocol.md section 1, "IoU")."""
    labels = records["label"].to_numpy()
    top5 = np.concatenate(records["top5"].to_numpy()).reshape(len(records), -1)
    hit = records["iou"].to_numpy() >= HIT
    first, among = top5[:, 0] == labels, (top5 == labels[:, None]).any(1)
    return pd.DataFrame({"loc1": hit & first, "loc5": hit & among, "gtknown": hit}, index=records.index)


def canonical(cell: Cell) -> Cell:
    """The cell as records name it."""
    return cell._replace(variant=variants.canonical(cell.layer, cell.variant))


def outcomes(run: Path) -> list[pd.DataFrame]:
    """Per image and cell, keyed as records: the three hits, the IoU in percent, and whether the map is degenerate."""
    frame = stored.read(run)
    if frame.empty:
        return []
    return [frame[stored.KEY].join(hits(frame)).assign(**{"mean IoU": 100 * frame["iou"], "degenerate": frame["degenerate"]})]


def reduce(records: pd.DataFrame) -> pd.DataFrame:
    """Per cell (method, layer, variant): each metric and the share of degenerate maps in percent, and n."""
    frame = records[["method", "layer", "variant", "degenerate"]].join(hits(records))
    groups = frame.groupby(["method", "layer", "variant"], sort=False)
    return (100 * groups.mean()).assign(n=groups.size())


def classification(records: pd.DataFrame) -> tuple[float, float]:
    """Top-1 and top-5 accuracy in percent, each image counted once."""
    once = records.drop_duplicates("image_id")
    found = hits(once.assign(iou=1.0))
    return 100 * float(found["loc1"].mean()), 100 * float(found["loc5"].mean())
