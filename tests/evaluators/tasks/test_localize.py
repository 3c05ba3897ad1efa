"""Boxes and hits by hand."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from camx.evaluators import protocols, records, tasks
from camx.evaluators.loop import Picture
from camx.evaluators.results import measures
from camx.evaluators.tasks import localize
from camx.evaluators.types import Cell, Sample

SINGLE, PAPER = (
    protocols.load(name, "localize", localize.Protocol) for name in ("single", "paper")
)
CELL, BLANK = Cell.of("layercam", "S5"), Cell.of("gradcam", "S5")


def picture(sample, pixels):
    return Picture(sample, pixels, ())


def test_a_record_s_box_is_on_the_original_image():
    grid = np.zeros((10, 10), np.uint8)
    grid[2:6, 3:8] = 255
    sample = Sample("a.b", Path("a.b.JPEG"), 3, ((55, 35, 165, 125), (0, 0, 5, 5)))
    logits = np.array([6.0, 8, 7, 9, 5, 1])
    image = np.zeros((200, 200, 3), np.uint8)
    record, blank = localize.grade(
        picture(sample, image), {CELL: grid, BLANK: np.zeros_like(grid)}, logits, SINGLE
    )
    found = record.image_id, record.label, record.top5, record.method
    assert found == ("a.b", 3, (3, 1, 2, 0, 4), "layercam")
    corners = (record.x0, record.y0, record.x1, record.y1)
    assert max(abs(a - b) for a, b in zip(corners, (60, 40, 160, 120))) <= 10
    assert record.iou > 0.8
    assert not record.degenerate
    assert blank.degenerate
    assert (blank.x0, blank.y0, blank.x1, blank.y1) == (0, 0, 1, 1)


def test_a_wide_image_is_no_tall_one():
    grid = np.zeros((10, 10), np.uint8)
    grid[2:6, 3:8] = 255
    sample = Sample("a", Path("a"), 0, ((90, 20, 240, 60),))
    (record,) = localize.grade(
        picture(sample, np.zeros((100, 300, 3), np.uint8)), {CELL: grid}, np.zeros(5), SINGLE
    )
    assert record.iou > 0.7


def row(image, iou, label, top5, method="layercam", degenerate=False):
    return localize.Record(image, label, top5, method, "S5", "", 0, 0, 1, 1, iou, degenerate)


def test_metrics_by_hand(tmp_path):
    rows = [
        row("a", 0.5, 1, (1, 2, 3, 4, 5)),  # hit, right
        row("b", 0.499, 1, (1, 2, 3, 4, 5)),  # miss
        row("c", 0.9, 5, (1, 2, 3, 4, 5)),  # hit, in the top 5
        row("d", 0.9, 6, (1, 2, 3, 4, 5)),  # hit, wrong
        row("a", 0.0, 1, (1, 2, 3, 4, 5), "gradcam", degenerate=True),
    ]
    with records.Writer(tmp_path / "records") as writer:
        for record in rows:
            writer.add([record])
    task = tasks.load("localize")
    numbers = measures.numbers(measures.outcomes(tmp_path, task), task)

    def of(cell):
        return {
            metric: tuple(numbers.loc[(*cell.key, metric), ["value", "n"]]) for metric in WANTED
        }

    assert of(CELL) == {"loc1": (25, 4), "loc5": (50, 4), "gtknown": (75, 4), "degenerate": (0, 4)}
    assert of(BLANK) == {"loc1": (0, 1), "loc5": (0, 1), "gtknown": (0, 1), "degenerate": (100, 1)}
    mean = numbers.loc[(*CELL.key, "mean IoU"), "value"]
    assert mean == pytest.approx(100 * (0.5 + 0.499 + 0.9 + 0.9) / 4)
    assert localize.classification(tmp_path) == (50, 75, 4)


WANTED = ("loc1", "loc5", "gtknown", "degenerate")


def test_grabcut_only_where_the_protocol_says():
    assert PAPER.grabs(Cell.of("layercam", "S2"))
    assert not PAPER.grabs(Cell.of("layercam", "S3"))
    assert not PAPER.grabs(Cell.of("gradcam", "S2"))
    assert not PAPER.grabs(Cell.of("layercam", "S2+S1", "gamma=2"))
    assert not SINGLE.grabs(Cell.of("layercam", "S2"))


def test_grabcut_changes_the_box():
    image = np.full((100, 100, 3), 10, np.uint8)
    image[20:80, 20:80] = 200
    image += np.random.default_rng(0).integers(0, 9, image.shape).astype(np.uint8)
    grid = np.zeros((100, 100), np.uint8)
    grid[45:55, 45:55] = 255
    sample = Sample("a", Path("a"), 0, ((20, 20, 80, 80),))
    cells = {Cell.of("layercam", "S1"): grid, Cell.of("layercam", "S3"): grid}
    grown, kept = localize.grade(picture(sample, image), cells, np.zeros(5), PAPER)
    assert grown.iou > 0.9
    assert kept.iou < 0.1


def test_grabcut_at_a_size_gives_a_coarser_box():
    image = np.full((200, 200, 3), 10, np.uint8)
    image[43:157, 43:157] = 200
    image += np.random.default_rng(0).integers(0, 9, image.shape).astype(np.uint8)
    grid = np.zeros((200, 200), np.uint8)
    grid[80:120, 80:120] = 255
    sample = Sample("a", Path("a"), 0, ((43, 43, 157, 157),))
    cells = {Cell.of("layercam", "S1"): grid}

    def graded(size):
        protocol = localize.Protocol(**{**asdict(PAPER), "grabcut_size": size})
        (row,) = localize.grade(picture(sample, image), cells, np.zeros(5), protocol)
        return row

    assert graded(200) == graded(None)
    assert 0.8 < graded(90).iou < graded(None).iou


def test_the_protocol_s_choices_move_records():
    """Every field of the task's own protocol, one at a time."""
    rng = np.random.default_rng(0)
    image = picture(
        Sample("a", Path("a"), 0, ((20, 20, 80, 80),)),
        rng.integers(0, 255, (90, 130, 3)).astype(np.uint8),
    )
    maps = [rng.integers(0, 255, (12, 12)).astype(np.uint8) ** 2 for _ in range(10)]

    def graded(**changed):
        protocol = localize.Protocol(**{**asdict(SINGLE), "threshold": 0.8, **changed})
        return [localize.grade(image, {CELL: m}, np.zeros(5), protocol) for m in maps]

    usual = graded()
    assert graded(interpolation="linear") != usual
    assert graded(threshold=0.9) != usual
    assert graded(box="contour") != usual
    assert graded(iou="exact") != usual
    assert graded(grabcut=("S5",)) != usual
    assert graded(grabcut=("S5",), grabcut_methods=("gradcam",)) == usual
