"""What measures are judged on: truths, and frames of records."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camx.evaluators.judged import Truth
from camx.evaluators.object_masks import GreyMasks
from camx.evaluators.types import Sample


@pytest.fixture
def truth(tmp_path):
    """A truth of an image by its boxes or ``mask (H,W)``, 1 the object, 255 ignored."""
    count = iter(range(10_000))

    def make(*boxes, size=(40, 30), mask=None, **fields):
        marks = None
        if mask is not None:
            size, paths = mask.shape[::-1], []
            for value in (1, 255):
                paths.append(tmp_path / f"{next(count)}.png")
                Image.fromarray(255 * (mask == value).astype(np.uint8)).save(paths[-1])
            marks = GreyMasks((paths[0],), 0, paths[1])
        sample = Sample("a", "a.png", fields.pop("label", 0), boxes, marks, **fields)
        return Truth(sample.within(size), size)

    return make


@pytest.fixture
def frame():
    """Records as they are read, of a measure's module: ``(image, label, judged)`` of each, and the
    cell's method.
    """

    def make(module, rows, method="gradcam"):
        records = [
            module.Record(image, label, method, "S5", "", *row) for image, label, row in rows
        ]
        columns = [field.name for field in dataclasses.fields(module.Record)]
        lists = [[getattr(record, name) for name in columns] for record in records]
        held = pd.DataFrame(lists, columns=columns)
        for name in columns:  # as Parquet gives lists
            if len(held) and isinstance(held[name][0], tuple):
                held[name] = [np.array(value) for value in held[name]]
        return held

    return make
