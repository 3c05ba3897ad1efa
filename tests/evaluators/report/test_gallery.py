"""The gallery: which images agree, and which of them are drawn."""

import pandas as pd
import pytest

from camx.evaluators.report import gallery
from camx.evaluators.report.gallery import AGREED, MISSED, SPLIT
from camx.evaluators.types import Cell

A, B, C = (Cell(name, ("S5",)) for name in "abc")


def frame(**ious):
    """Records of images ``name=(iou of a, of b)``; None was not measured."""
    rows = [
        {"image_id": image, **dict(zip(("method", "layer", "variant"), cell.key)), "iou": iou}
        for image, values in ious.items()
        for cell, iou in zip((A, B, C), values)
        if iou is not None
    ]
    return pd.DataFrame(rows)


def test_an_outcome_is_of_all_cells_named():
    records = frame(
        both=(0.5, 0.9, 0.0), one=(0.5, 0.4999, 1.0), none=(0.1, 0.2, 1.0), half=(0.9, None, 0.9)
    )
    found = gallery.outcomes(records, [A, B])
    assert found.to_dict() == {"both": AGREED, "one": SPLIT, "none": MISSED}


@pytest.mark.parametrize(
    ("counts", "drawn"),
    [
        ({SPLIT: 20, MISSED: 20, AGREED: 20}, {SPLIT: 4, MISSED: 2, AGREED: 2}),
        ({SPLIT: 1, MISSED: 0, AGREED: 20}, {SPLIT: 1, MISSED: 0, AGREED: 7}),
        ({SPLIT: 1, MISSED: 2, AGREED: 1}, {SPLIT: 1, MISSED: 2, AGREED: 1}),
    ],
)
def test_a_sample_shows_most_where_methods_disagree(counts, drawn):
    outcomes = pd.Series({f"{o}{i}": o for o, count in counts.items() for i in range(count)})
    taken = gallery.sampled(outcomes, 8)
    assert len(taken) == len(set(taken)) == sum(drawn.values())
    assert {o: sum(outcomes[i] == o for i in taken) for o in drawn} == drawn
    assert taken == gallery.sampled(outcomes, 8)
    if sum(counts.values()) > 8:
        assert any(taken != gallery.sampled(outcomes, 8, seed) for seed in range(1, 9))
