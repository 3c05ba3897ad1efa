"""`camx predict`: what `camx defects` and `camx localize` measure, on pictures without labels."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camx.evaluators import datasets, explanations, predictions, records
from camx.evaluators.tasks import defects
from camx.evaluators.tasks.defects import masks

CELL = ["--method", "layercam", "--layer", "layer3"]
MINI = ["--model", "mini-vgg", "--method", "layercam", "--layer", "S5", "--batch-size", 2]


def mask_of(path):
    pixels = np.asarray(Image.open(path))
    assert set(np.unique(pixels)) <= {0, 255}
    return pixels > 0


def scores(folder):
    return pd.read_csv(folder / "scores.csv", keep_default_na=False, dtype={"threshold": float})


def files(folder):
    paths = [*(folder / "masks").rglob("*.*"), *(folder / "overlays").rglob("*.*")]
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return contents | {"scores.csv": (folder / "scores.csv").read_bytes()}


@pytest.fixture
def photographs(tmp_path):
    """Five pictures of the miniature in two folders, two of one name."""
    samples = datasets.load("mini").samples
    for number, name in enumerate(("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/deep/3.JPEG", "b/4.jpg")):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples[number].path, tmp_path / "pictures" / name)
    return tmp_path / "pictures"


def test_masks_at_auto_are_those_that_defects_measured(camx, tmp_path):
    """Bit for bit, and with the same IoU to the last digit."""
    data = datasets.load("mini", "defects")
    samples = defects.parts(data, defects.Options())[0][:6]
    camx("defects", *CELL, "--limit", 6, "--iterations", 0)
    line = ["--model", "mini-defects", *CELL, "--threshold", "auto"]
    done = camx("predict", *(sample.path for sample in samples), *line)
    run, out = tmp_path / "results/defects", tmp_path / "results/predict"
    (outcome, *_) = defects.outcomes(run)
    outcome = outcome[outcome["method"] == "layercam"].set_index("image_id")
    assert f"threshold {outcome['threshold'].iloc[0] / 100:g} (the best mean IoU of" in done.stdout
    held = records.read(run).query("method == 'layercam'").set_index("image_id")
    table = scores(out).set_index("image")
    assert len(table) == len(held) == 6
    root = os.path.commonpath([sample.path.parent for sample in samples])
    for sample in samples:
        name = sample.path.relative_to(root).as_posix()
        mask, row = mask_of(out / f"masks/{name}.png"), held.loc[sample.image_id]
        at = round(100 * table.loc[name, "threshold"]) - 1
        assert (mask == masks.decode(row["masks"][at], row["height"], row["width"])).all()
        truth = masks.truth(sample, mask.shape[::-1])
        hit, union = (mask & truth).sum(), (mask | truth).sum()
        assert 100 * hit / union == outcome.loc[sample.image_id, "mIoU"]
        assert table.loc[name, "probability"] == pytest.approx(row["score"], rel=1e-5)
        assert table.loc[name, "class_name"] == "defective"
        assert table.loc[name, "area"] == pytest.approx(mask.mean(), rel=1e-5)


def test_what_is_written_of_a_picture(camx, photographs, tmp_path):
    done = camx("predict", photographs, *MINI, "--threshold", 0.3, "--save-maps")
    out = tmp_path / "results/predict"
    table = scores(out)
    names = ["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/4.jpg", "b/deep/3.JPEG"]
    assert list(table["image"]) == names
    assert "5 pictures" in done.stdout
    for row in table.itertuples():
        size = Image.open(photographs / row.image).size
        assert (row.width, row.height) == size
        mask = mask_of(out / f"masks/{row.image}.png")
        assert mask.shape == size[::-1]
        assert Image.open(out / f"overlays/{row.image}.jpg").size == size
        assert Image.open(out / f"maps/{row.image}.png").size == (112, 112)
        ys, xs = np.nonzero(mask)
        assert xs.min() <= row.x0 < row.x1 <= xs.max() + 1
        assert ys.min() <= row.y0 < row.y1 <= ys.max() + 1
        assert row.threshold == 0.3
    names = explanations.miniature_names()
    assert [names[row["class"]] for _, row in table.iterrows()] == list(table["class_name"])
    assert (table["probability"] >= 0.1).all()  # the first choice of ten


def test_it_measures_as_localize_does(camx, tmp_path):
    """Boxes of the protocol's threshold, of the true class where the network chooses it."""
    line = ["--method", "layercam", "--layer", "S5", "--limit", 6, "--protocol", "single"]
    camx("localize", *line)
    camx("predict", *line, "--batch-size", 20)
    held = records.read(tmp_path / "results/localize").query("method == 'layercam'")
    table = scores(tmp_path / "results/predict")
    table["image_id"] = table["image"].str.partition(".")[0]
    both = held.merge(table, on="image_id", suffixes=("", "_predicted"))
    both = both[both["label"] == both["class"]]
    assert len(both) > 3
    for corner in ("x0", "y0", "x1", "y1"):
        assert list(both[corner]) == list(both[f"{corner}_predicted"].astype(int))


def test_stopped_anywhere_it_goes_on_to_the_same_files(camx, photographs, tmp_path, monkeypatch):
    line = ["predict", photographs, *MINI, "--threshold", 0.3]
    camx(*line, "--out", "whole")
    written, seen = predictions._written, []

    def fail(prediction, item):
        seen.append(item[0].sample.image_id)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return written(prediction, item)

    monkeypatch.setattr(predictions, "_written", fail)
    camx(*line, "--out", "broken", "--workers", 1, code=130)
    monkeypatch.undo()
    left = camx(*line, "--out", "broken")
    assert "5 pictures, 3 of them done before" in left.stdout
    whole = files(tmp_path / "whole")
    assert files(tmp_path / "broken") == whole
    (tmp_path / "broken/masks/a/1.jpg.png").unlink()
    (tmp_path / "broken/overlays/b/1.jpg.jpg").unlink()
    assert "3 of them done before" in camx(*line, "--out", "broken").stdout
    assert files(tmp_path / "broken") == whole
    assert "5 of them done before" in camx(*line, "--out", "broken").stdout
    counts = [
        i["counts"] for i in json.loads((tmp_path / "broken/run.json").read_text())["invocations"]
    ]
    assert [count["records_written"] for count in counts] == [3, 2, 2, 0]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (["--threshold", 0.4], "protocol.threshold is 0.3, not 0.4"),
        (["--threshold", 0.3, "--class", 2], "prediction.class is"),
        (["--threshold", 0.3, "--method", "gradcam"], "prediction.method is 'layercam'"),
        (
            ["--threshold", 0.3, "--set", "interpolation=linear"],
            "protocol.interpolation is 'cubic'",
        ),
    ],
)
def test_what_differs_never_mixes(camx, photographs, change, word):
    camx("predict", photographs / "a", *MINI, "--threshold", 0.3)
    error = camx("predict", photographs / "a", *MINI, *change, code=1).stderr
    assert word in error
    assert "--out results/predict-2" in error


def test_a_changed_picture_is_predicted_again_another_one_is_refused(camx, photographs, tmp_path):
    line = [*MINI, "--threshold", 0.3]
    camx("predict", photographs / "a", *line)
    before = files(tmp_path / "results/predict")
    shutil.copy(photographs / "b/deep/3.JPEG", photographs / "a/1.jpg")
    os.utime(photographs / "a/1.jpg", (1, 1))
    assert "2 pictures, 1 of them done before" in camx("predict", photographs / "a", *line).stdout
    after = files(tmp_path / "results/predict")
    assert {name for name in before if before[name] != after[name]} == {
        "masks/1.jpg.png", "overlays/1.jpg.jpg", "scores.csv",
    }  # fmt: skip
    assert len(scores(tmp_path / "results/predict")) == 2
    error = camx("predict", photographs / "b", *line, code=1).stderr
    assert f"holds 1.jpg of {photographs / 'a/1.jpg'}, not of {photographs / 'b/1.jpg'}" in error
    shutil.move(photographs / "a", photographs / "moved")  # the same files elsewhere
    assert "2 of them done before" in camx("predict", photographs / "moved", *line).stdout


def test_auto_needs_a_run_and_says_which(camx, tmp_path):
    line = ["predict", "--task", "defects", *CELL, "--limit", 2]
    error = camx(*line, code=2).stderr
    assert "no run of `camx defects` of layercam layer3 with mini-defects's weights" in error
    camx("defects", *CELL, "--limit", 2, "--iterations", 0, "--out", "there")
    assert "no run of" in camx(*line, code=2).stderr  # of those below results
    camx(*line, "--from", "there")
    described = json.loads((tmp_path / "results/predict/run.json").read_text())
    assert described["prediction"]["task"] == "defects"
    for change, word in (
        (["--method", "gradcam"], "--from there did not measure gradcam layer3 (but layercam"),
        (["--set", "interpolation=cubic"], "--from there has interpolation 'linear', not 'cubic'"),
        (["--model", "mini-resnet"], "--from there is of mini-defects"),
        (["--threshold", 0.3], "--from is for --threshold auto"),
        (["--task", "localize"], "--from there is of `camx defects`"),
    ):
        assert word in camx(*line, "--from", "there", *change, code=2).stderr
    nothing = camx("predict", "--threshold", "auto", "--runs", "there", code=2).stderr
    assert "no run of `camx localize` or `camx defects`" in nothing


@pytest.mark.slow
def test_auto_of_localize_is_what_a_measure_chose(camx, tmp_path):
    line = ["--method", "layercam", "--layer", "S5", "--limit", 4]
    measure = ["--data", "mini-masks", "--protocol", "single", "--measure", "pxap"]
    assert "found no threshold" not in camx("localize", *measure, *line).stderr
    table = pd.read_csv(tmp_path / "results/localize/thresholds.csv")
    value = table.query("method == 'layercam' and curve == 'IoU'")["threshold"].iloc[0]
    camx("predict", *line, "--threshold", "auto", "--save-maps")
    out = tmp_path / "results/predict"
    assert set(scores(out)["threshold"]) == {value}
    assert json.loads((out / "run.json").read_text())["prediction"]["scale"] == "span"
    camx("localize", "--protocol", "single", *line, "--out", "bare")
    error = camx("predict", *line, "--from", "bare", code=2).stderr
    assert "--from bare found no threshold, which `--measure pxap`" in error


def test_a_picture_that_is_none_is_left_out(camx, photographs, tmp_path):
    (photographs / "a/0.png").write_text("no picture")
    line = ["predict", photographs / "a", *MINI, "--threshold", 0.3]
    assert "a/0.png: not a readable image" in camx(*line, code=1).stderr
    assert "skipped 1 of 3 images" in camx(*line, "--on-error", "skip").stderr
    assert len(scores(tmp_path / "results/predict")) == 2
    assert "0.png" in (tmp_path / "results/predict/skipped.csv").read_text()


def test_where_nothing_is_marked_there_is_no_box(camx, photographs, tmp_path):
    """Grad-CAM of an unlikely class may be empty."""
    camx("predict", photographs, *MINI, "--method", "gradcam", "--class", "arrow", "--no-overlays",
         "--threshold", 0.99, "--set", "normalisation=minmax", "--layer", "S5")  # fmt: skip
    table = scores(tmp_path / "results/predict")
    empty = table["area"] == 0
    assert (table.loc[empty, "x0"] == "").all()
    assert (table.loc[~empty, "x0"] != "").all()
    assert set(table["class_name"]) == {"arrow"}
    assert not (tmp_path / "results/predict/overlays").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--threshold", "1.5"], "--threshold '1.5'; accepted: auto, or a number from 0 below 1"),
        (["--threshold", "some"], "--threshold 'some'; accepted"),
        (["--class", "unicorn", "--model", "mini-vgg"], "unknown class 'unicorn'"),
        (["--layer", "S9", "--model", "mini-vgg"], "unknown layer 'S9'"),
        (["--method", "gradcan", "--model", "mini-vgg"], "unknown method 'gradcan'"),
        (["--set", "threshold"], "'threshold' is not FIELD=VALUE"),
        (["--task", "occlude"], "'occlude' is not one of"),
        (["--model", "mini-vgg", "--task", "defects", "--threshold", 0.3], "--class is needed"),
    ],
)
def test_wrong_usage(camx, arguments, word):
    (line,) = camx("predict", *arguments, code=2).stderr.splitlines()
    assert word in line


def test_export(camx, tmp_path):
    pytest.importorskip("onnxruntime")
    line = ["predict", "--export", "onnx", "--model", "mini-resnet", "--method", "cam"]
    assert "onnxruntime and torch differ by at most logits" in camx(*line).stdout
    assert [p.name for p in (tmp_path / "results/predict").iterdir()] == ["network_cam_layer4.onnx"]
    error = camx(*line, "--method", "scorecam", code=1).stderr
    assert "method 'scorecam' cannot be exported" in error
    error = camx(*line, "--layer", "layer3", code=1).stderr
    assert "layer layer3 of mini-resnet cannot be exported" in error
