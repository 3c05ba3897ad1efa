"""Measures by name and from files: what one declares, and what is said of one that lacks it."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from camx.evaluators import measures, parts
from camx.evaluators.judged import Map
from camx.evaluators.types import Cell
from camx.evaluators.writer import Writer

pytestmark = pytest.mark.filterwarnings("ignore::camx.camcore.plugins.ForeignCode")
CELL = Cell.of("gradcam", "S5")
MINE = """
from dataclasses import dataclass
from camx.evaluators.measures import Row
from camx.evaluators.metrics import Metric
TITLE, SOURCE, TRUTH = "mean", "nobody", "boxes"
METRICS = (Metric("level"),)
@dataclass(frozen=True)
class Record(Row):
    level: float
def judge(shown, truth):
    return (float(shown.on_image.mean()),)
"""


@pytest.fixture
def mine(tmp_path):
    """A measure of somebody's, its text changed by pairs."""

    def write(*changes):
        text = MINE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "mine.py").write_text(text)
        return str(tmp_path / "mine.py")

    return write


@pytest.mark.parametrize("name", measures.names())
def test_every_measure_judges_every_map(name, heatmap, truth):
    """Its record holds what its fields say, and can be written; its outcomes are its metrics."""
    measure = measures.load(name)
    mask = np.zeros((30, 40), np.uint8)
    mask[3:20, 5:21], mask[25:] = 1, 255
    judged = truth(mask=mask)
    grid = (heatmap(0, 7, 7) * 255).astype(np.uint8)
    row = measure.row(judged, CELL, Map(grid, (40, 30)))
    assert (row.image_id, row.label, row.method, row.layer, row.variant) == ("a", 0, *CELL.key)
    schema = parts.schema(measure.record)
    assert list(vars(row)) == schema.names
    frame = pa.Table.from_pylist([vars(row)], schema).to_pandas()
    columns = measure.outcomes(frame, frame[:0])
    assert set(columns) <= {metric.name for metric in measure.metrics}
    judged_alone = measure.outcomes(frame, frame)
    named = {metric.name for metric in measure.metrics}
    assert set(judged_alone) == named if measure.chooses else set(columns) == named
    if measure.truth == "boxes":
        measure.row(truth((3, 4, 20, 25), size=(40, 30)), CELL, Map(grid, (40, 30)))


def test_no_metric_has_two_measures():
    names = [metric.name for metric in measures.metrics()]
    assert len(names) == len(set(names))


def test_a_measure_of_somebody_s(mine, truth, tmp_path):
    measure = measures.load(mine())
    assert (measure.name, measure.kind) == ("mine", "records-mine")
    assert measure.elsewhere().kind == "records-mine-threshold"
    row = measure.row(truth((3, 4, 20, 25)), CELL, Map(np.full((7, 7), 9, np.uint8), (40, 30)))
    assert row.level == 9
    assert measure.read(tmp_path) == []
    with Writer(tmp_path / measure.kind) as out:
        out.add([row])
    (frame,) = measure.read(tmp_path)
    expected = pd.DataFrame([["a", *CELL.key, 9.0]], columns=[*frame.columns[:4], "level"])
    assert frame.to_dict("records") == expected.to_dict("records")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"boxes"', '"points"'), "TRUTH is 'points'; accepted: boxes, masks"),
        (("def judge", "def other"), "judge is missing"),
        (('(Metric("level"),)', '("level",)'), "METRICS is"),
        (('(Metric("level"),)', "()"), "expected a tuple of Metric"),
        (("Record(Row)", "Record"), "Record does not derive from"),
        (("level: float", "level: complex"), "a Record's fields are str, int, float, bool"),
        (('Metric("level")', 'Metric("height")'), "nothing measures 'height'; Record has"),
    ],
)
def test_what_a_measure_lacks_is_named(mine, change, words):
    with pytest.raises(ValueError, match="mine") as refused:
        measures.load(mine(change))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_error_in_somebody_s_names_the_image(mine, truth):
    measure = measures.load(mine(("float(shown", "1 / 0 + float(shown")))
    with pytest.raises(ValueError, match=r"mine.*: a: ZeroDivisionError: division by zero"):
        measure.row(truth((3, 4, 20, 25)), CELL, Map(np.eye(7), (40, 30)))


def test_all_are_those_that_the_data_can_be_measured_by():
    with_masks = {measure.name for measure in measures.asked(["all"], masked=True)}
    with_boxes = {measure.name for measure in measures.asked(["all"], masked=False)}
    assert with_masks == set(measures.names())
    assert with_masks - with_boxes == {"pxap", "imagenet-segmentation"}
    twice = measures.asked(["rank", "energy", "rank"], masked=False)
    assert [measure.name for measure in twice] == ["rank", "energy"]
    with pytest.raises(ValueError, match="pxap needs masks, and the data set has boxes alone; th"):
        measures.asked(["pxap"], masked=False)


def test_two_of_one_name_or_of_one_metric_are_refused(mine, tmp_path):
    first = mine()
    (tmp_path / "other").mkdir()
    second = tmp_path / "other" / "mine.py"
    second.write_text(MINE.replace("level", "height"))
    assert len(measures.asked([first, first, "rank"], masked=False)) == 2
    with pytest.raises(ValueError, match="have one name, mine, and so one folder"):
        measures.asked([first, str(second)], masked=False)
    third = second.rename(tmp_path / "third.py")
    assert len(measures.asked([first, str(third)], masked=False)) == 2
    third.write_text(MINE)
    with pytest.raises(ValueError, match=r"mine.py and .*third.py both give 'level'; a metric has"):
        measures.asked([first, str(third)], masked=False)
