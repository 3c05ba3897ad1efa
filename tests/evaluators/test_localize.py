from pathlib import Path

import numpy as np
import pandas as pd

from evaluators import localize, protocols
from evaluators.types import Cell, Sample

SINGLE = protocols.load("single")
CELL, BLANK = Cell("layercam", "S5"), Cell("gradcam", "S5")


def test_score_records_the_box_on_the_original_image():
    grid = np.zeros((10, 10), np.uint8)
    grid[2:6, 3:8] = 255
    sample = Sample("a.b", Path("a.b.JPEG"), 3, ((55, 35, 165, 125), (0, 0, 5, 5)))
    record, blank = localize.score(sample, (200, 200), {CELL: grid, BLANK: np.zeros_like(grid)}, [3, 1, 2, 0, 4], SINGLE)
    assert (record.image_id, record.label, record.top5, record.method) == ("a.b", 3, (3, 1, 2, 0, 4), "layercam")
    assert max(abs(a - b) for a, b in zip((record.x0, record.y0, record.x1, record.y1), (60, 40, 160, 120))) <= 10
    assert record.iou > 0.8
    assert not record.degenerate
    assert blank.degenerate
    assert (blank.x0, blank.y0, blank.x1, blank.y1) == (0, 0, 1, 1)


def row(image, iou, label, top5, method="layercam", degenerate=False):
    return {
        "image_id": image,
        "label": label,
        "top5": top5,
        "method": method,
        "layer": "S5",
        "variant": "",
        "iou": iou,
        "degenerate": degenerate,
    }


def test_metrics_by_hand():
    frame = pd.DataFrame(
        [
            row("a", 0.5, 1, [1, 2, 3, 4, 5]),  # hit, right
            row("b", 0.499, 1, [1, 2, 3, 4, 5]),  # miss
            row("c", 0.9, 5, [1, 2, 3, 4, 5]),  # hit, in the top 5
            row("d", 0.9, 6, [1, 2, 3, 4, 5]),  # hit, wrong
            row("a", 0.0, 1, [1, 2, 3, 4, 5], "gradcam", degenerate=True),
        ]
    )
    numbers = localize.reduce(frame)
    assert numbers.loc["layercam", "S5", ""].to_dict() == {"loc1": 25, "loc5": 50, "gtknown": 75, "degenerate": 0, "n": 4}
    assert numbers.loc["gradcam", "S5", ""].to_dict() == {"loc1": 0, "loc5": 0, "gtknown": 0, "degenerate": 100, "n": 1}
    assert localize.classification(frame) == (50, 75)


def test_grabcut_only_where_the_protocol_says():
    paper = protocols.load("paper")
    assert paper.grabs(Cell("layercam", "S2"))
    assert not paper.grabs(Cell("layercam", "S3"))
    assert not paper.grabs(Cell("gradcam", "S2"))
    assert not paper.grabs(Cell("layercam", "S2+S1", "gamma=2"))
    assert not SINGLE.grabs(Cell("layercam", "S2"))


def test_grabcut_changes_the_box():
    image = np.full((100, 100, 3), 10, np.uint8)
    image[20:80, 20:80] = 200
    image += np.random.default_rng(0).integers(0, 9, image.shape).astype(np.uint8)
    grid = np.zeros((100, 100), np.uint8)
    grid[45:55, 45:55] = 255
    sample = Sample("a", Path("a"), 0, ((20, 20, 80, 80),))
    grown, kept = localize.score(
        sample, (100, 100), {Cell("layercam", "S1"): grid, Cell("layercam", "S3"): grid}, [0] * 5, protocols.load("paper"), image
    )
    assert grown.iou > 0.9
    assert kept.iou < 0.1
