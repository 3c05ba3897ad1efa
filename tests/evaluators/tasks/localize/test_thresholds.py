"""Which threshold is the best, which another split chooses, and what that costs."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from camx.evaluators import measures
from camx.evaluators.tasks.localize import thresholds
from camx.evaluators.writer import Writer

NAMES = ["method", "layer", "variant", "measure", "curve"]


MEASURE = SimpleNamespace(name="m", taus=np.arange(5) / 10, peak="")


def worth(**values):
    """Curves of a cell: what each is worth at thresholds 0, 0.1, ..."""
    return {(method, "S5", "", "c"): np.array(listed, float) for method, listed in values.items()}


def test_the_best_and_the_other_split_s():
    here, there = worth(gradcam=[10, 40, 30, 40, 0]), worth(gradcam=[0, 5, 60, 60, 10])
    (row,) = thresholds.best(MEASURE, here, there)
    assert [row[name] for name in NAMES] == ["gradcam", "S5", "", "m", "c"]
    assert (row["threshold"], row["value"]) == (0.1, 40)  # the first of equals
    assert (row["other_threshold"], row["other_value"], row["gap"]) == (0.2, 30, 10)


def test_each_curve_has_its_own():
    here = worth(gradcam=[10, 40, 30, 0, 0], layercam=[50, 20, 30, 0, 0])
    first, second = thresholds.best(MEASURE, here, worth(layercam=[1, 2, 3, 0, 0]))
    assert (first["threshold"], second["threshold"]) == (0.1, 0)
    assert [second[name] for name in thresholds.OTHER] == [0.2, 30, 20]
    assert not set(thresholds.OTHER) & set(first)


def test_a_curve_that_is_no_peak_s_or_no_number_has_no_best_threshold():
    here = worth(gradcam=[10, 40, 30, 0, 0])
    assert not list(thresholds.best(SimpleNamespace(**{**vars(MEASURE), "peak": "d"}), here, here))
    assert (
        len(list(thresholds.best(SimpleNamespace(**{**vars(MEASURE), "peak": "c"}), here, {}))) == 1
    )
    nothing = worth(gradcam=[np.nan] * 5)
    assert not list(thresholds.best(MEASURE, nothing, {}))
    (row,) = thresholds.best(MEASURE, worth(gradcam=[np.nan, 1, 2, np.nan, 0]), nothing)
    assert (row["threshold"], row["value"]) == (0.2, 2)
    assert "gap" not in row


@pytest.fixture
def run(tmp_path):
    """MaxBoxAcc's records: two images here, right at 0.03 to 0.099 and so on, and one there."""

    def write(measure, **ends):
        with Writer(tmp_path / measure.kind) as out:
            for image, (start, end) in ends.items():
                fields = [(start, end)] * 6
                out.add([measure.record(image, 0, "gradcam", "S5", "", *fields)])

    measure = measures.load("maxboxacc")
    write(measure, a=(30, 100), b=(60, 130))
    return tmp_path, measure, lambda **ends: write(measure.elsewhere(), **ends)


def test_files_of_a_run(run):
    folder, measure, other = run
    other(c=(110, 200))
    told = thresholds.told(folder, (measure,))
    table = pd.read_csv(folder / "thresholds.csv", keep_default_na=False)
    assert table["curve"].tolist() == [
        "largest contour, IoU >= 0.5", *(f"any contour, IoU >= {iou}" for iou in (0.3, 0.5, 0.7))
    ]  # fmt: skip
    row = table.iloc[0]
    assert (row["measure"], row["threshold"], row["value"]) == ("maxboxacc", 0.06, 100)
    assert (row["other_threshold"], row["other_value"], row["gap"]) == (0.11, 50, 50)
    assert told[0] == (
        "thresholds chosen on the other split lose 50.00 points on average, at most 50.00 "
        "(gradcam S5 maxboxacc largest contour, IoU >= 0.5: 0.11 instead of 0.06)"
    )
    curves = pd.read_csv(folder / "curves.csv", index_col="threshold")
    name = "gradcam S5 maxboxacc largest contour, IoU >= 0.5"
    assert len(curves.columns) == 4
    assert curves.index.tolist() == [k / 1000 for k in range(1000)]
    for k in range(1000):
        assert curves.loc[k / 1000, name] == 50 * ((30 <= k < 100) + (60 <= k < 130))


def test_without_another_split(run):
    folder, measure, _ = run
    assert [line[:11] for line in thresholds.told(folder, (measure,))] == ["thresholds:"]
    assert "gap" not in pd.read_csv(folder / "thresholds.csv")


def test_measures_of_which_one_has_another_split(run):
    """PxAP has records here alone: its curve has no gap, and that of the other stays."""
    folder, measure, other = run
    other(c=(110, 200))
    pxap = measures.load("pxap")
    with Writer(folder / pxap.kind) as out:
        out.add([pxap.record("a", 0, "gradcam", "S5", "", (0, 500), (1, 9), (8, 0))])
    for listed in ((measure, pxap), (pxap, measure)):
        thresholds.told(folder, listed)
        table = pd.read_csv(folder / "thresholds.csv", keep_default_na=False, na_values=[""])
        table = table.set_index(["measure", "curve"])
        assert len(table) == 5
        assert table.loc[("pxap", "IoU"), "threshold"] == 0.001
        assert table.loc[("pxap", "IoU"), "value"] == pytest.approx(90)
        assert pd.isna(table.loc[("pxap", "IoU"), "gap"])
        assert (table.loc["maxboxacc", "gap"] == 50).all()
    curves = pd.read_csv(folder / "curves.csv", index_col="threshold")
    assert len(curves.columns) == 4 + 3  # and precision, recall, IoU
    assert curves["gradcam S5 pxap recall"].iloc[[0, 1, 500, 501]].tolist() == [100, 90, 90, 0]


def test_nothing_to_tell(tmp_path):
    measure = measures.load("maxboxacc")
    assert thresholds.told(tmp_path, (measure, dataclasses.replace(measure, curves=None))) == []
    assert not list(tmp_path.iterdir())
