"""Plots of recorded runs: each curve against records counted in plain loops."""

import numpy as np
import pytest

from camx.evaluators import records, tasks
from camx.evaluators.report import graphs
from camx.evaluators.results.runs import measured as reduced
from camx.evaluators.tasks import defects, localize, occlude
from camx.evaluators.tasks.defects import masks
from camx.evaluators.types import Cell

RNG = np.random.default_rng(3)


def made(folder, command, rows, kind="records", **protocol):
    """A run of `command` whose images have the `rows` of records; reduced."""
    identity = records.Identity(
        command, "d", 0, model="net", protocol={"name": "paper", **protocol}
    )
    call = records.Invocation({}, {"name": "d", "root": "d"}, "cpu", start="2026-01-01")
    run = records.begin(folder / "run", identity, call)
    with records.Writer(run.folder / kind, run.mark) as writer:
        for row in rows:
            writer.add([row])
    (found,) = reduced(folder, tasks.load(command))
    return found


@pytest.fixture
def localized(tmp_path):
    """LayerCAM at two layers and Grad-CAM fused and at one, of 30 images; c-MWP of 5."""
    cells = [("layercam", "S5"), ("layercam", "S4"), ("gradcam", "S5"), ("gradcam", "S5+S4")]
    ious = {cell: RNG.random(30) ** 2 for cell in cells}
    ious["layercam", "S4"] = np.maximum(ious["layercam", "S5"], 0.6)
    ious["cmwp", "S4"] = np.ones(5)
    rows = [
        localize.Record(str(i), 1, [1, 2, 3, 4, 5], m, layer, "", 0, 0, 1, 1, float(iou), False)
        for (m, layer), values in ious.items()
        for i, iou in enumerate(values)
    ]
    return made(tmp_path, "localize", rows), ious


def test_each_method_stands_at_its_best_single_layer(localized):
    """Of what was measured on all images: c-MWP, on five, is left out."""
    run, _ = localized
    assert [c.key[:2] for c in graphs.best_cells(run, "gtknown")] == [
        ("layercam", "S4"),
        ("gradcam", "S5"),
    ]


def test_overlap_is_the_share_of_images_with_at_least_that_iou(localized):
    run, ious = localized
    plot, frame = graphs.overlap(run)
    assert [mark.name for mark in plot.marks] == ["LayerCAM S4", "Grad-CAM S5"]
    for name, key in (("LayerCAM S4", ("layercam", "S4")), ("Grad-CAM S5", ("gradcam", "S5"))):
        rows = frame[frame["name"] == name]
        assert len(rows) == 51
        for x, y in zip(rows["x"], rows["y"]):
            count = 0
            for iou in ious[key]:
                count += iou >= x
            assert y == pytest.approx(100 * count / 30)
    at_half = frame[(frame["name"] == "Grad-CAM S5") & np.isclose(frame["x"], 0.5)]["y"].item()
    assert at_half == pytest.approx(run.numbers.loc[("gradcam", "S5", "", "gtknown"), "value"])


def test_thresholds_are_the_mean_iou_of_the_masks(tmp_path):
    """Each mask made anew at each threshold, pixel by pixel; training images do not count."""
    heatmaps = RNG.integers(0, 256, (4, 6, 7)).astype(np.uint8)
    truths = RNG.random((4, 6, 7)) > 0.6
    rows = []
    for i, (heatmap, truth) in enumerate(zip(heatmaps, truths)):
        inside, outside = (tuple(c.tolist()) for c in masks.levels(heatmap, truth))
        split = "train" if i == 3 else "test"
        key = (str(i), 1, "layercam", "layer3", "", split, 0.9, 6, 7)
        rows.append(defects.Record(*key, inside, outside, ("",) * 9, False))
    plot, frame = graphs.thresholds(made(tmp_path, "defects", rows, thresholds=9))
    assert plot.x_label == "threshold, of the maximum"
    assert frame["x"].tolist() == pytest.approx([k / 10 for k in range(1, 10)])
    for x, y in zip(frame["x"], frame["y"]):
        total = 0.0
        for heatmap, truth in zip(heatmaps[:3], truths[:3]):
            mask = heatmap > 255 * x + 1e-9
            total += (mask & truth).sum() / (mask | truth).sum()
        assert y == pytest.approx(100 * total / 3)


@pytest.mark.parametrize("metric", ["deletion", "insertion"])
def test_a_curve_is_the_mean_of_the_images_curves(tmp_path, metric):
    """At the same shares of the pixels; an image without a curve does not count."""
    curves = [(0.9, 0.5, 0.1), (0.7, 0.3, 0.1), ()]
    rows = [
        occlude.Curve(str(i), 1, "layercam", "S5", "", 1 if c else 2, sum(c) / 3, c, False)
        for i, c in enumerate(curves)
    ]
    run = made(tmp_path, "occlude", rows, occlude.CURVES[metric])
    plot, frame = graphs.perturbation(run, metric)
    assert frame["x"].tolist() == [0, 50, 100]
    assert frame["y"].tolist() == pytest.approx([80, 40, 10])
    assert ("higher" in plot.title) == (metric == "insertion")


def test_cost_is_over_the_milliseconds_given(localized):
    run, _ = localized
    times = {
        Cell("layercam", ("S4",)): 5.0,
        Cell("gradcam", ("S5",)): 50.0,
        Cell("x", ("S5",)): 1.0,
    }
    plot, frame = graphs.cost(run, "gtknown", times, "here")
    assert set(frame["name"]) == {"LayerCAM S4", "Grad-CAM S5"}  # the other was not measured
    for name, cell in (("LayerCAM S4", "layercam S4"), ("Grad-CAM S5", "gradcam S5")):
        (row,) = frame[frame["name"] == name].to_dict("records")
        method, layer = cell.split()
        assert row["x"] == times[Cell(method, (layer,))]
        assert row["y"] == run.numbers.loc[(method, layer, "", "gtknown"), "value"]
    assert graphs.cost(run, "gtknown", {}, "here") is None
    assert plot.front.startswith("M")
