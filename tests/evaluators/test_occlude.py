import pytest

from evaluators import measures, occlude, records
from evaluators.types import Cell, Curve, Occlusion

CELL = Cell("layercam", "S5")


@pytest.mark.parametrize(
    "cell", [CELL, occlude.hole(CELL, 0.1), occlude.hole(CELL, random=True), occlude.hole(Cell("a", "S5+S3", "gamma=2"), 0.25, True)]
)
def test_a_hole_s_name_says_what_it_is(cell):
    assert occlude.hole(*occlude.parts(cell)) == cell
    assert occlude.canonical(cell) == cell


def test_names():
    assert occlude.hole(Cell("a", "S5+S3", "gamma=2"), 0.25, True).variant == "gamma=2, area=0.25, random"
    assert occlude.canonical(Cell("a", "S5+S3", "area=0.1")).variant == "gamma=2, area=0.1"


def test_numbers_by_hand(tmp_path):
    """Three recognised images, one of which stays so, and one that never was."""
    rows = [("a", 1, 1, 0.9, 0.8, 0.1), ("b", 1, 3, 0.8, 0.2, 0.2), ("c", 1, 9, 0.7, 0.0, 0.3), ("d", 4, 4, 0.1, 0.1, 0.0)]
    with records.Writer(tmp_path / "records") as writer:
        for name, before, after, score, lower, share in rows:
            writer.add([Occlusion(name, 0, *CELL, before, after, score, lower, 1.0, 0.0, share, name == "d")])
    numbers = measures.numbers(measures.outcomes(tmp_path, "occlude"), "occlude")
    found = {metric: numbers.loc[(*CELL, metric), "value"] for metric in occlude.METRICS if (*CELL, metric) in numbers.index}
    assert found == pytest.approx(
        {
            "top1": 25, "top5": 75, "confidence": 27.5, "top1-correct": 100 / 3, "top5-correct": 200 / 3,
            "confidence-correct": 100 / 3, "occluded": 20, "degenerate": 25,
        }
    )  # fmt: skip
    original = {m: numbers.loc[(*occlude.ORIGINAL, m), "value"] for m in ("top1", "top5", "confidence", "top1-correct")}
    assert original == pytest.approx({"top1": 75, "top5": 100, "confidence": 62.5, "top1-correct": 100})
    assert numbers.loc[(*CELL, "top1"), "n"] == 4
    assert numbers.loc[(*CELL, "top1-correct"), "n"] == 3


@pytest.mark.parametrize("variant", ["area=2", "area=abc", "area=0", "area=0.1, area=0.2"])
def test_an_area_is_one_share(variant):
    with pytest.raises(ValueError, match="expected one area between 0 and 1"):
        occlude.canonical(Cell("a", "S5", variant))


def test_a_hole_has_one_area():
    assert occlude.hole(Cell("a", "S5", "area=0.1, random"), 0.2).variant == "area=0.2"


def test_a_curve_s_degenerate_maps_are_counted(tmp_path):
    nothing = float("nan")
    with records.Writer(tmp_path / "records-deletion") as writer:
        writer.add([Curve("a", 0, *CELL, 1, nothing, (), True)])
        writer.flush()  # a part without a single score must not guess their type
        writer.add([Curve("b", 0, *CELL, 1, 0.4, (0.9, 0.1), False)])
        writer.add([Curve("c", 0, *CELL, 3, nothing, (), False)])
    numbers = measures.numbers(measures.outcomes(tmp_path, "occlude"), "occlude")
    assert (numbers.loc[(*CELL, "deletion"), "value"], numbers.loc[(*CELL, "deletion"), "n"]) == (40, 1)
    assert (numbers.loc[(*CELL, "deletion-degenerate"), "value"], numbers.loc[(*CELL, "deletion-degenerate"), "n"]) == (50, 2)
