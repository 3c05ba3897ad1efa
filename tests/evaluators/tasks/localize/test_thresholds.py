"""Which threshold is the best, which another split chooses, and what that costs."""

import dataclasses

import pandas as pd
import pytest

from camx.evaluators import measures
from camx.evaluators.tasks.localize import thresholds
from camx.evaluators.writer import Writer

NAMES = ["method", "layer", "variant", "measure", "curve"]


def worth(**values):
    """Curves of a cell: what each is worth at thresholds 0, 0.1, ..."""
    lines = []
    for method, listed in values.items():
        for i, value in enumerate(listed):
            lines.append([method, "S5", "", "m", "c", i / 10, float(value), True])
    return pd.DataFrame(lines, columns=[*NAMES, "threshold", "value", "peak"])


def test_the_best_and_the_other_split_s():
    here, there = worth(gradcam=[10, 40, 30, 40, 0]), worth(gradcam=[0, 5, 60, 60, 10])
    (row,) = thresholds.best(here, there).to_dict("records")
    assert [row[name] for name in NAMES] == ["gradcam", "S5", "", "m", "c"]
    assert (row["threshold"], row["value"]) == (0.1, 40)  # the first of equals
    assert (row["other_threshold"], row["other_value"], row["gap"]) == (0.2, 30, 10)


def test_each_curve_has_its_own():
    here = worth(gradcam=[10, 40, 30], layercam=[50, 20, 30])
    there = worth(layercam=[1, 2, 3])
    table = thresholds.best(here, there).set_index("method")
    assert table["threshold"].tolist() == [0.1, 0]
    assert table.loc["layercam", ["other_threshold", "other_value", "gap"]].tolist() == [
        0.2,
        30,
        20,
    ]
    assert table.loc["gradcam", ["other_threshold", "other_value", "gap"]].isna().all()


def test_without_others_there_is_no_gap():
    here = worth(gradcam=[10, 40, 30])
    table = thresholds.best(here, here[:0])
    assert list(table) == [*NAMES, "threshold", "value"]


def test_a_curve_without_a_peak_has_no_best_threshold():
    here = worth(gradcam=[10, 40, 30]).assign(peak=False)
    assert thresholds.best(here, here).empty


@pytest.fixture
def run(tmp_path):
    """MaxBoxAcc's records: two images here, right at 30 to 99 and at 60 to 129, and one there."""

    def write(measure, **ends):
        with Writer(tmp_path / measure.kind) as out:
            for image, (start, end) in ends.items():
                fields = [(start, end)] * 6
                out.add([measure.record(image, 0, "gradcam", "S5", "", *fields)])

    measure = measures.load("maxboxacc")
    write(measure, a=(30, 100), b=(60, 130))
    return tmp_path, measure, lambda **ends: write(measure.elsewhere(), **ends)


def tau(level):
    """The first threshold that stands for a whole number."""
    return next(k / 1000 for k in range(1000) if int(k / 1000 * 255) == level)


def test_files_of_a_run(run):
    folder, measure, other = run
    other(c=(110, 200))
    told = thresholds.told(folder, (measure,))
    table = pd.read_csv(folder / "thresholds.csv", keep_default_na=False)
    assert len(table) == 6  # two rules, three IoUs
    assert set(table["curve"]) == {
        f"{rule} contour, IoU >= {iou}" for rule in ("largest", "any") for iou in (0.3, 0.5, 0.7)
    }
    row = table.iloc[0]
    assert (row["measure"], row["threshold"], row["value"]) == ("maxboxacc", tau(60), 100)
    assert (row["other_threshold"], row["other_value"], row["gap"]) == (tau(110), 50, 50)
    assert told[0] == (
        "thresholds chosen on another split lose 50.00 points on average, at most 50.00 "
        f"(gradcam S5 largest contour, IoU >= 0.3: {tau(110):g} for {tau(60):g})"
    )
    curves = pd.read_csv(folder / "curves.csv", index_col="threshold")
    name = "gradcam S5 maxboxacc largest contour, IoU >= 0.5"
    assert len(curves.columns) == 6
    assert curves.index.tolist() == [k / 1000 for k in range(1000)]
    for k in range(1000):
        level = int(k / 1000 * 255)
        hits = (30 <= level < 100) + (60 <= level < 130)
        assert curves.loc[k / 1000, name] == 50 * hits


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
        table = thresholds.write(folder, listed).set_index(["measure", "curve"])
        assert len(table) == 7
        assert table.loc[("pxap", "IoU"), "threshold"] == 0.001
        assert table.loc[("pxap", "IoU"), "value"] == pytest.approx(90)
        assert pd.isna(table.loc[("pxap", "IoU"), "gap"])
        assert (table.loc["maxboxacc", "gap"] == 50).all()
    curves = pd.read_csv(folder / "curves.csv", index_col="threshold")
    assert len(curves.columns) == 6 + 3  # and precision, recall, IoU
    assert curves["gradcam S5 pxap recall"].iloc[[0, 1, 500, 501]].tolist() == [100, 90, 90, 0]


def test_nothing_to_tell(tmp_path):
    measure = measures.load("maxboxacc")
    assert thresholds.told(tmp_path, (measure, dataclasses.replace(measure, curves=None))) == []
    assert not list(tmp_path.iterdir())
