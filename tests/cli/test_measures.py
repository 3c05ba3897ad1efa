"""Measures on the command line: `localize --measure`, `--save-maps npy`, `score`."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camx.evaluators import measures, records, tasks
from camx.evaluators.contours import compiling
from camx.evaluators.miniature import ilsvrc as drawn
from camx.evaluators.results import measures as reduced
from camx.evaluators.types import Cell

PAGE = (Path(__file__).parents[2] / "docs/measures.md").read_text()
QUICK = ["localize", "--protocol", "single", "--limit", "6", "--layer", "S5", "--layer", "S4"]
QUICK += ["--method", "layercam", "--method", "gradcam"]
OF_BOXES = ("energy", "maxboxacc", "pointing", "rank")


def rows_of(run, kind):
    return records.read(Path(run), kind=kind)


def test_all_measures_in_one_pass(camx, tmp_path):
    done = camx(*QUICK, "--measure", "all")
    for metric in ("MaxBoxAcc", "MaxBoxAccV2", "pointing", "energy", "rank"):
        assert re.search(rf"^{metric}: ", done.stdout, re.M)
    run = tmp_path / "results/localize"
    assert {m.name for m in measures.shipped() if m.truth == "boxes"} == set(OF_BOXES)
    for name in OF_BOXES:
        frame = rows_of(run, f"records-{name}")
        assert len(frame) == 6 * (4 + 3)
        assert not frame.duplicated(records.KEY).any()
    assert not (run / "records-pxap").exists()
    camx(*QUICK, "--out", "plain")
    pd.testing.assert_frame_equal(rows_of(run, "records"), rows_of("plain", "records"))


def test_compiling_is_said_once(camx, tmp_path, monkeypatch):
    camx(*QUICK, "--measure", "maxboxacc")  # compiled, if no test did so before
    done = camx(*QUICK, "--measure", "maxboxacc")
    assert "compiled" not in done.stderr
    monkeypatch.setattr(compiling, "FOLDER", tmp_path / "another")
    assert "maxboxacc is compiled first" in camx(*QUICK, "--measure", "maxboxacc").stderr
    assert "compiled" not in camx(*QUICK, "--measure", "rank").stderr


def test_a_measure_is_added_to_a_run_that_exists(camx, tmp_path):
    camx(*QUICK)
    run = tmp_path / "results/localize"
    before = sorted((path, path.stat().st_mtime_ns) for path in run.glob("records/*"))
    camx(*QUICK, "--measure", "pointing", "--measure", "maxboxacc")
    assert sorted((path, path.stat().st_mtime_ns) for path in run.glob("records/*")) == before
    done = camx(*QUICK, "--measure", "pointing")
    assert "6 of 6 images done before" in done.stdout
    camx(*QUICK, "--measure", "all", "--out", "at-once")
    for name in ("pointing", "maxboxacc"):
        kind = f"records-{name}"
        pd.testing.assert_frame_equal(rows_of(run, kind), rows_of("at-once", kind))


def test_thresholds_and_what_they_are_worth(camx, tmp_path):
    camx(*QUICK, "--measure", "maxboxacc")
    run = tmp_path / "results/localize"
    best = pd.read_csv(run / "thresholds.csv", keep_default_na=False)
    curves = pd.read_csv(run / "curves.csv", index_col="threshold")
    assert curves.index.tolist() == [k / 1000 for k in range(1000)]
    numbers = reduced.numbers(reduced.outcomes(run, tasks.load("localize")), tasks.load("localize"))
    for row in best[best["curve"].str.startswith("largest")].itertuples():
        name = " ".join(filter(None, (row.method, row.layer, row.variant, "maxboxacc", row.curve)))
        assert curves[name].max() == pytest.approx(row.value, abs=1e-4)
        assert curves[name].idxmax() == pytest.approx(row.threshold)
        if row.method == "layercam":
            value = numbers.loc[(row.method, row.layer, row.variant, "MaxBoxAcc"), "value"]
            assert value == pytest.approx(row.value, abs=1e-4)


def split_csv(folder, images=12):
    """The miniature's images as a CSV file of boxes, half of them of split val."""
    drawn.write(folder / "drawn", images=images)
    lines = [("image", "label", "x0", "y0", "x1", "y1", "split")]
    for number in range(images):
        drawing = drawn.draw(number)
        path = next((folder / "drawn").rglob(f"*{number + 1:08d}.JPEG"))
        for box in (drawn.box_of(mask) for mask in drawing.masks):
            split = "val" if number % 2 else "test"
            label = drawing.labels[0]
            lines.append((path.relative_to(folder), label, *box, split))
    with (folder / "boxes.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return folder / "boxes.csv"


def test_a_threshold_chosen_on_another_split(camx, tmp_path):
    data = split_csv(tmp_path)
    asked = ["localize", "--protocol", "single", "--data", data, "--split", "test"]
    asked += ["--model", "mini-vgg", "--layer", "S5", "--method", "layercam"]
    asked += ["--measure", "maxboxacc"]
    done = camx(*asked, "--threshold-split", "val")
    assert "thresholds chosen on the other split lose" in done.stdout
    run = tmp_path / "results/localize"
    here, there = rows_of(run, "records-maxboxacc"), rows_of(run, "records-maxboxacc-threshold")
    assert not set(here["image_id"]) & set(there["image_id"])
    assert len(here) == len(there) == 6 * 4
    assert len(rows_of(run, "records")) == 6 * 4
    frames = reduced.outcomes(run, tasks.load("localize"))
    of_cell = there[there["method"] == "layercam"]
    single = measures.load("maxboxacc").plugin.module
    at = single.peak(single.table(of_cell, "largest", 50))
    right = single.table(here[here["method"] == "layercam"], "largest", 50)[:, at]
    value = reduced.of_cell(frames, Cell.of("layercam", "S5"), "BoxAcc")
    assert value.to_numpy().tolist() == right.astype(bool).tolist()
    table = pd.read_csv(run / "thresholds.csv")
    assert (table["gap"] >= 0).all()
    assert "12 of 12 images done before" in camx(*asked, "--threshold-split", "val").stdout
    again = camx(*asked, "--threshold-split", "test", code=2)
    assert "images are judged, too" in again.stderr
    camx(*asked)  # what is held stays
    identity = json.loads((run / "run.json").read_text())["threshold"]
    assert identity["split"] == "val"
    lines = data.read_text().replace(",val", ",train")
    data.write_text(lines.replace(",train", ",val", 3))
    other = camx(*asked, "--threshold-split", "train", code=1)
    assert "a run whose threshold" in other.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--measure", "pxap"], "measure pxap needs masks, and the data set has boxes alone"),
        (["--measure", "pointin"], "Did you mean 'pointing'"),
        (["--threshold-split", "val"], "none of the measures has any"),
        (["--split", "val"], "mini reads no splits"),
        (["--save-maps", "tiff"], "png"),
        (["--measure", "missing.py"], "missing.py: no such plug-in file"),
    ],
)
def test_refused(camx_anyhow, words, message):
    done = camx_anyhow("localize", "--limit", "1", *words)
    assert done.code in (1, 2)
    assert message in done.err
    assert done.err.count("\n") == 1


def test_camx_s_own_maps_are_judged_as_in_their_run(camx, tmp_path):
    camx(*QUICK, "--measure", "all", "--save-maps")
    camx("score", "results/localize/maps", "--limit", "6")
    for kind in ("records", *(f"records-{name}" for name in OF_BOXES)):
        theirs, ours = rows_of("results/score", kind), rows_of("results/localize", kind)
        asked = [frame[frame["layer"] != ""].reset_index(drop=True) for frame in (theirs, ours)]
        pd.testing.assert_frame_equal(asked[0], asked[1][asked[0].columns])


def test_arrays_are_judged_as_in_their_run(camx, tmp_path):
    camx(*QUICK, "--measure", "maxboxacc", "--save-maps", "npy")
    maps = sorted((tmp_path / "results/localize/maps").rglob("*.npy"))
    assert len(maps) == 6 * 4
    first = np.load(maps[0])
    assert (first.shape, first.dtype, first.min(), first.max()) == ((224, 224), float, 0, 1)
    assert maps[0].relative_to(tmp_path / "results/localize/maps").parts[0] == "gradcam_S4"
    assert maps[0].name.endswith(".JPEG.npy")
    camx("score", "results/localize/maps", "--limit", "6")
    kind = "records-maxboxacc"
    theirs, ours = rows_of("results/score", kind), rows_of("results/localize", kind)
    asked = [frame[frame["layer"] != ""].reset_index(drop=True) for frame in (theirs, ours)]
    pd.testing.assert_frame_equal(*asked)


def test_two_folders_are_compared_on_the_same_images(camx, tmp_path):
    camx(*QUICK, "--save-maps", "npy")
    base = "results/localize/maps"
    camx("score", f"one={base}/layercam_S5", f"other={base}/gradcam_S4", "--limit", "6")
    frame = rows_of("results/score", "records")
    assert set(frame["method"]) == {"one", "other", "everything", "centre", "random"}
    run = json.loads((tmp_path / "results/score/run.json").read_text())
    assert run["options"]["maps"] == [f"one={base}/layercam_S5", f"other={base}/gradcam_S4"]
    other = f"one={base}/gradcam_S5"
    changed = camx("score", other, "--limit", "6", code=1)
    assert "another version of 'one'" in changed.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nonsense", "not a readable array"),
        (np.zeros((3, 4, 5)), "a map of shape (3, 4, 5); expected (height, width)"),
        (np.zeros((3, 4), complex), "a map of complex128; expected numbers"),
        (None, "no map of it; expected"),
    ],
)
def test_a_bad_map_is_named(camx, tmp_path, content, message):
    camx(*QUICK, "--save-maps", "npy", "--limit", "2")
    folder = tmp_path / "results/localize/maps/layercam_S5"
    path = sorted(folder.rglob("*.npy"))[1]
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    done = camx("score", folder, "--limit", "2", code=1)
    assert message in done.stderr
    assert (path.name if content is not None else path.stem) in done.stderr
    done = camx("score", folder, "--limit", "2", "--on-error", "skip")
    assert "skipped 1 of 2 images" in done.stderr


def test_maps_that_are_none(camx, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no map in it or below" in camx("score", "empty", code=1).stderr
    assert "no such folder of maps" in camx("score", "missing", code=1).stderr
    assert "Missing argument 'MAPS" in camx("score", code=2).stderr
    Image.new("RGB", (4, 4)).save(tmp_path / "empty/mini_val_00000001.png")
    done = camx("score", "empty", "--limit", "1", code=1)
    assert "a picture of mode RGB; expected grey values" in done.stderr
    (tmp_path / "a/maps").mkdir(parents=True)
    (tmp_path / "b/maps").mkdir(parents=True)
    for folder in ("a/maps", "b/maps"):
        np.save(tmp_path / folder / "mini_val_00000001.npy", np.eye(4))
    done = camx("score", "a/maps", "b/maps", "--limit", "1", code=2)
    assert "are both called 'maps'; name them apart: NAME=" in done.stderr
    camx("score", "a/maps", "mine=b/maps", "--limit", "1")


def test_a_measure_of_one_s_own(camx, camx_anyhow, tmp_path):
    code = re.search(r"```python\n(.*?)```", PAGE, re.S)[1]
    (tmp_path / "concentration.py").write_text(code)
    done = camx(*QUICK, "--measure", "concentration.py")
    assert re.search(r"^top tenth: ", done.stdout, re.M)
    frame = rows_of("results/localize", "records-concentration")
    everything = frame[frame["method"] == "everything"]
    assert everything["concentration"].between(9, 11).all()
    (tmp_path / "concentration.py").write_text(code + "\n# changed\n")
    done = camx(*QUICK, "--measure", "concentration.py", code=1)
    assert "another version of 'concentration'" in done.stderr
    for old, new, message in (
        ('TRUTH = "boxes"', 'TRUTH = "circles"', "TRUTH is 'circles'; accepted: boxes, masks"),
        ("class Record(Row)", "class Record", "Record does not derive from"),
        ('"top tenth"', '"loc1"', "metric 'loc1' is measured already"),
        ("def judge", "def judged", "judge is missing"),
        ("shown.on_image, axis", "shown.nothing, axis", "has no attribute 'nothing'"),
    ):
        (tmp_path / "other.py").write_text(code.replace(old, new))
        done = camx_anyhow(*QUICK, "--measure", "other.py", "--out", "other")
        assert done.code in (1, 2)
        assert message in done.err
