"""Defect localization (Tables VII and VIII): maps to records, and records to IoU, average precision and FPS."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from camcore import variants
from evaluators import heatmaps, masks
from evaluators import records as stored
from evaluators.types import Cell, Defect, DefectProtocol, Sample

METRICS = (
    "mIoU", "mIoU-train", "set IoU", "set IoU-train", "AP", "AP-image", "threshold", "threshold-train", "recognised", "degenerate",
    "FPS", "throughput",
)  # fmt: skip
TIMING = "timing.parquet"


def canonical(cell: Cell) -> Cell:
    """The cell as records name it."""
    return cell._replace(variant=variants.canonical(cell.layer, cell.variant))


def score(
    sample: Sample, defect: np.ndarray, maps: Mapping[Cell, np.ndarray], probability: float, protocol: DefectProtocol
) -> list[Defect]:
    """One record per cell from its ``(g,g) uint8`` map; ``defect (H,W) bool`` is the truth on the image."""
    height, width = defect.shape
    thresholds, found = masks.grid(protocol.thresholds), []
    for cell, grid in maps.items():
        heatmap = heatmaps.on_image(grid, (width, height), protocol.interpolation)
        inside, outside = masks.levels(heatmap, defect)
        found.append(
            Defect(
                sample.image_id, sample.label, *cell, sample.split, probability, height, width, tuple(inside.tolist()),
                tuple(outside.tolist()), masks.encode(heatmap, thresholds), heatmaps.degenerate(grid),
            )
        )  # fmt: skip
    return found


def _share(counts: np.ndarray) -> float:
    return 100 * float(counts[0] / counts[1])


def _average_precision(counts: np.ndarray) -> float:
    return 100 * masks.average_precision(counts)


def _rate(counts: np.ndarray) -> float:
    return float(counts[0] / counts[1])


STATISTICS = {"set IoU": _share, "set IoU-train": _share, "AP": _average_precision, "FPS": _rate, "throughput": _rate}


def outcomes(run: Path) -> list[pd.DataFrame]:
    """Per test image and cell: IoU in percent at the cell's best threshold, counts for the set metrics, AP; and timings.

    The best threshold has the highest mean per-image IoU on the test images themselves, as in the paper, or, for the
    columns ``-train``, on the training images, where those were measured (``camx defects --threshold-split train``).
    """
    columns = [*stored.KEY, "split", "score", "inside", "outside", "degenerate"]
    frame, found = stored.read(run, columns), []
    if len(frame):
        thresholds = masks.grid(stored.load(run)["protocol"]["thresholds"])
        cells = [_cell(group, thresholds) for _, group in frame.groupby(["method", "layer", "variant"], sort=False)]
        found = [pd.concat([c for c in cells if len(c)], ignore_index=True)] if any(map(len, cells)) else []
    if (run / TIMING).is_file():
        found += _timings(pq.read_table(run / TIMING).to_pandas())
    return found


def _cell(group: pd.DataFrame, thresholds: np.ndarray) -> pd.DataFrame:
    """One cell's outcomes on its test images."""
    test, train = (group[group["split"] == split] for split in ("test", "train"))
    if test.empty:
        return test
    counts = _counts(test)
    found = test[stored.KEY].assign(degenerate=test["degenerate"].to_numpy(), recognised=test["score"].to_numpy() > 0.5)
    hit, union = masks.ious(*counts, thresholds)
    for suffix, chosen in (("", counts), ("-train", _counts(train) if len(train) else None)):
        if chosen is not None:
            at = masks.best(*chosen, thresholds)
            found[f"mIoU{suffix}"] = 100 * hit[:, at] / union[:, at]
            found[f"set IoU{suffix}"] = list(np.stack([hit[:, at], union[:, at]], 1))
            found[f"threshold{suffix}"] = 100 * thresholds[at]
    both = np.stack(counts, 1)
    return found.assign(**{"AP": list(both), "AP-image": [_average_precision(c) for c in both]})


def _counts(group: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return np.stack(group["inside"].to_list()), np.stack(group["outside"].to_list())


def _timings(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """FPS of single images and throughput of batches: a row an iteration, images and seconds."""
    found = []
    for metric, part in (("FPS", frame[frame["images"] == 1]), ("throughput", frame[frame["images"] > 1])):
        counts = list(part[["images", "seconds"]].to_numpy(float))
        if len(part):
            found.append(part[["method", "layer", "variant"]].assign(image_id=part["iteration"].astype(str), **{metric: counts}))
    return found
