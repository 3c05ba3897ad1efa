"""What is said of maps and boxes that are computed otherwise, against counting by hand."""

import numpy as np
import pandas as pd
import pytest

from camx.evaluators.bench import numerics
from camx.evaluators.tasks.localize import Record


def record(box, iou, first=3):
    return Record("a", 3, (first, 1, 2, 0, 4), "layercam", "S5", "", *box, iou, False)


def test_names_of_how_it_is_computed():
    both = {"precision": "fp16", "channels_last": True}
    assert numerics.fields("fp16+channels-last") == both
    assert numerics.fields("channels-last+fp16") == both
    assert numerics.fields("tf32") == {"precision": "tf32"}
    for name in ("", "half", "bf16+fp16", "bf16,channels-last"):
        with pytest.raises(ValueError, match="unknown computing"):
            numerics.fields(name)


def test_pixels_that_moved_by_more_than_a_level():
    before = np.array([[0, 255, 7], [7, 7, 7]], np.uint8)
    after = np.array([[2, 253, 8], [6, 9, 7]], np.uint8)  # by 2, 2, 1, 1, 2, 0
    assert numerics.moved(before, after) == numerics.moved(after, before) == 3 / 6


def test_what_became_of_a_box():
    was, now = record((0, 0, 10, 10), 0.5), record((0, 0, 10, 5), 0.499, first=1)
    told = numerics.told(was, now)
    assert told == {"box": True, "overlap": 0.5, "default": True, "hit": False, "first": True}
    same = numerics.told(was, was)
    assert same == {"box": False, "overlap": 1, "default": True, "hit": True, "first": False}


def test_effects_are_means_of_all_images_and_methods_of_a_layer():
    rows = [
        {"computing": how, "layer": layer, "pixels": share, "box": share > 0.2, "overlap": 1.0,
         "default": True, "hit": share < 0.5, "first": False}
        for how, layer, share in (
            ("bf16", "S5", 0.1), ("bf16", "S5", 0.3), ("bf16", "S1", 0.6), ("fp16", "S5", 0.0),
        )
    ]  # fmt: skip
    effects = numerics.effects(pd.DataFrame(rows))
    assert [*effects.index] == [("bf16", "S5"), ("bf16", "S1"), ("fp16", "S5")]
    assert effects["pixels"].tolist() == pytest.approx([20, 60, 0])
    assert effects["box"].tolist() == pytest.approx([50, 100, 0])
    assert effects["hit"].tolist() == pytest.approx([100, 0, 100])


def test_the_default_is_the_default_whatever_the_protocol_says():
    from camx.evaluators.bench import pipeline

    how = pipeline.protocol("single")
    changed = type(how)(**{**vars(how), "precision": "bf16", "channels_last": True})
    each = numerics.jobs("mini", "mini-vgg", None, changed, 2, 2, 1, ["bf16"], 0, "cpu")
    computed = {n: (j.protocol.precision, j.protocol.channels_last) for n, j in each.items()}
    assert computed == {"default": ("float32", False), "bf16": ("bf16", False)}
    rows = list(numerics.rows({"default": each["default"], "again": each["default"]}))
    assert len(rows) == 2 * 25
    assert {(row["pixels"], row["box"], row["overlap"]) for row in rows} == {(0, False, 1)}
