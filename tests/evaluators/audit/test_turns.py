"""Batches of one plan within larger ones: the same shapes, and faults of the right rows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from camx.camcore.faults import Fault, NotFinite
from camx.evaluators.audit import turns
from camx.evaluators.loop import Picture
from camx.evaluators.types import Cell, Sample

CELL = Cell.of("layercam", "S5")


@dataclass
class Plan:
    batch: int


def pictures(count):
    pixels = [np.full((4, 4, 3), n, np.uint8) for n in range(count)]
    return [Picture(Sample(str(n), Path("a"), n), p, (p,)) for n, p in enumerate(pixels)]


def test_a_part_is_padded_with_its_last_picture(monkeypatch):
    seen = []

    def image_maps(_plan, images, labels, cells, real):
        seen.append((images[:, 0, 0, 0].tolist(), labels.tolist(), real))
        return {cell: images[:real, 0].numpy() for cell in cells}, np.zeros((real, 3))

    monkeypatch.setattr(turns, "image_maps", image_maps)
    batch = pictures(5)
    padded = batch + [batch[-1]] * 2
    grids, logits = turns._maps(Plan(3), batch, padded, [CELL], 0)
    assert seen == [([0, 1, 2], [0, 1, 2], 3), ([3, 4, 4], [3, 4, 4], 2)]
    assert grids[CELL][:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert len(logits) == 5


def test_a_fault_names_the_picture_of_the_whole_batch(monkeypatch):
    def image_maps(_plan, images, _labels, _cells, real):
        if 3 in images[:, 0, 0, 0].tolist():
            raise NotFinite([Fault(1, "NaN", "layercam", "S5")])
        return {CELL: images[:, 0].numpy()}, np.zeros((real, 3))

    monkeypatch.setattr(turns, "image_maps", image_maps)
    batch = pictures(4)
    with pytest.raises(NotFinite) as raised:
        turns._maps(Plan(2), batch, batch, [CELL], 0)
    assert raised.value.rows == {3}
