"""The boxes of one map under many protocols are those of each protocol alone."""

import itertools
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from camx.evaluators import heatmaps, protocols
from camx.evaluators.audit import scoring
from camx.evaluators.loop import Picture
from camx.evaluators.tasks import localize
from camx.evaluators.types import Cell, Sample

SINGLE, PAPER = (
    protocols.load(name, "localize", localize.Protocol) for name in ("single", "paper")
)
FIELDS = {
    "interpolation": ("cubic", "linear"),
    "threshold": (0.3, 0.1, 0.15, 0.6, 0.99),
    "box": ("rectangle", "contour"),
    "iou": ("inclusive", "exact"),
}


def grids(rng):
    """Smooth maps, noise, blobs that tie, and the blank ones."""
    for side in (4, 9, 40):
        coarse = rng.random((side, side), np.float32) ** 3
        yield (255 * cv2.resize(coarse, (40, 40)).clip(0, 1)).astype(np.uint8)
    tied = np.zeros((40, 40), np.uint8)
    tied[5:10, 5:10] = tied[25:30, 25:30] = 255
    yield tied
    yield np.zeros((40, 40), np.uint8)
    yield np.full((40, 40), 255, np.uint8)


@pytest.mark.parametrize(("base", "layer"), [(SINGLE, "S5"), (PAPER, "S2")])
def test_each_record_is_the_one_that_its_protocol_alone_gives(base, layer):
    rng, cell = np.random.default_rng(0), Cell.of("layercam", layer)
    pixels = rng.integers(256, size=(53, 71, 3), dtype=np.uint8)
    sample = Sample("a", Path("a"), 1, ((5, 10, 40, 45), (20, 3, 60, 50)))
    every = itertools.product(*FIELDS.values())
    asked = {str(values): replace(base, **dict(zip(FIELDS, values))) for values in every}
    for grid in grids(rng):
        picture = Picture(sample, pixels, ())
        rows = scoring.graded(picture, cell, grid, (1, 0, 2, 3, 4), asked)
        assert rows.keys() == asked.keys()
        for name, protocol in asked.items():
            logits = np.array([5.0, 6, 4, 3, 2])
            assert [rows[name]] == localize.grade(picture, {cell: grid}, logits, protocol)


def test_equal_masks_are_cut_once(monkeypatch):
    """A map of two values has one mask, whatever the threshold between them."""
    calls = []
    grabcut = heatmaps.grabcut
    monkeypatch.setattr(heatmaps, "grabcut", lambda *words: calls.append(words) or grabcut(*words))
    grid = np.zeros((40, 40), np.uint8)
    grid[5:20, 5:20] = 255
    sample = Sample("a", Path("a"), 1, ((5, 10, 40, 45),))
    picture = Picture(sample, np.zeros((40, 40, 3), np.uint8), ())
    asked = {str(t): replace(PAPER, threshold=t) for t in (0.1, 0.2, 0.3)}
    asked["contour"] = replace(PAPER, box="contour")
    scoring.graded(picture, Cell.of("layercam", "S1"), grid, (), asked)
    assert len(calls) == 1
