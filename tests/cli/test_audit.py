"""`camx audit`: its numbers are those of separate runs of `camx localize`."""

import json

import pandas as pd
import pytest

from camx.evaluators import grading, records
from camx.evaluators.miniature import ilsvrc as drawn


@pytest.fixture(scope="session")
def drawn_small(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "small"
    drawn.write(root, images=5)
    return root


CELLS = ["layercam", "gradcam"], ["S5", "S2", "S5+S4"]
WORDS = [
    *(w for m in CELLS[0] for w in ("--method", m)),
    *(w for y in CELLS[1] for w in ("--layer", y)),
]
NAMES = (
    "box=contour", "interpolation=linear", "iou=exact", "threshold=0.3", "view=resize",
    "gradient=own", "normalisation=minmax", "target=softmax",
)  # fmt: skip
OVER = "contours,interpolation,iou,threshold=0.3,view,gradient,normalisation,target=softmax"


@pytest.mark.slow
def test_its_numbers_are_those_of_separate_runs(camx, drawn_small, tmp_path):
    """The paper's ten crops and GrabCut, in batches of two images, one of which is padded.

    One view goes through the network in batches of twenty.
    """
    common = ["--data", drawn_small, "--model", "mini-vgg", "--batch-size", "20", *WORDS]
    common += ["--limit", "3", "--no-summary"]
    camx("audit", *common, "--over", OVER, "--out", "audit")
    camx("localize", *common, "--out", "base")
    pd.testing.assert_frame_equal(
        asked(tmp_path / "audit"), asked(tmp_path / "base"), check_exact=True
    )
    base, changed = asked(tmp_path / "base"), set()
    for name in NAMES:
        camx("localize", *common, "--set", name, "--out", name)
        frame = asked(tmp_path / "audit", f"records-{name}")
        alone = asked(tmp_path / name)
        assert len(alone) == 3 * 6
        pd.testing.assert_frame_equal(frame, alone, check_exact=True)
        changed |= set() if frame.equals(base) else {name}
    assert {"iou=exact", "threshold=0.3", "view=resize", "gradient=own"} <= changed
    moved = pd.read_csv(tmp_path / "audit/audit.csv").set_index(
        ["convention", *records.CELL, "metric"]
    )
    assert set(moved.index.get_level_values("convention")) == set(NAMES)


def asked(run, kind="records"):
    """The records of the cells asked for, without null rows."""
    frame = records.read(run, kind=kind)
    return frame[frame["layer"] != ""].reset_index(drop=True)


QUICK = ["--protocol", "single", "--model", "mini-vgg", "--method", "layercam", "--layer", "S5"]


def test_conventions_can_be_added_and_nothing_is_measured_twice(
    camx, drawn_small, tmp_path, monkeypatch
):
    decoded = []
    read_image = grading.read_image
    monkeypatch.setattr(
        grading, "read_image", lambda path: decoded.append(path) or read_image(path)
    )
    common = ["audit", *QUICK, "--data", drawn_small]
    said = camx(*common, "--over", "iou,interpolation").stdout
    assert "iou=exact" in said
    assert "the convention that moves most here" in said or "no convention moves" in said
    assert len(decoded) == 5
    assert "box=contour" not in said
    more = camx(*common, "--over", "iou,contours").stdout
    assert len(decoded) == 10  # the new convention needs the maps
    assert "box=contour" in more
    run = tmp_path / "results/audit"
    kinds = {path.name for path in run.glob("records*")}
    assert kinds == {
        "records",
        "records-iou=exact",
        "records-interpolation=linear",
        "records-box=contour",
    }
    assert all(len(records.read(run, kind=kind)) == 5 for kind in kinds)
    assert sum(len(pd.read_parquet(path)) for path in run.glob("records/*.parquet")) == 5
    camx(*common, "--over", "iou,contours,interpolation")
    assert len(decoded) == 10
    counts = [each["counts"] for each in json.loads((run / "run.json").read_text())["invocations"]]
    assert [count["records_written"] for count in counts] == [5, 0, 0]
    refused = camx(*common, "--set", "threshold=0.2", code=1)
    assert "threshold is 0.15, not 0.2" in refused.stderr


def test_a_run_of_localize_is_audited_where_it_is(camx, drawn_small, tmp_path):
    camx("localize", *QUICK, "--data", drawn_small, "--out", "run")
    camx("audit", *QUICK, "--data", drawn_small, "--out", "run", "--over", "threshold=0.3:0.5")
    moved = pd.read_csv(tmp_path / "run/audit.csv")
    assert moved["convention"].unique().tolist() == ["threshold=0.3", "threshold=0.5"]
    assert set(moved["metric"]) == {"loc1", "loc5", "gtknown", "mean IoU"}
    base, other = (asked(tmp_path / "run", k) for k in ("records", "records-threshold=0.5"))
    row = moved[(moved["metric"] == "mean IoU") & (moved["convention"] == "threshold=0.5")].iloc[0]
    assert row["delta"] == pytest.approx(100 * (other["iou"] - base["iou"]).mean(), abs=1e-3)
    box = ["x0", "y0", "x1", "y1"]
    assert row["boxes_changed"] == 100 * (base[box] != other[box]).any(axis=1).mean()


@pytest.mark.parametrize(
    ("over", "what"),
    [
        ("nonsense", "'nonsense': no convention of maps or boxes; accepted: contours, interpol"),
        ("treshold=0.2", "Did you mean 'threshold'?"),
        ("threshold=2", "'threshold=2': '2' is not accepted; accepted: a number from 0 to below 1"),
        ("interpolation=nearest", "accepted: cubic, linear"),
        ("iou=inclusive", "nothing but what protocol single says"),
        ("iou,,view", "''"),
    ],
)
def test_what_is_no_convention_is_refused(camx, over, what):
    assert what in camx("audit", "--protocol", "single", "--over", over, code=2).stderr


def test_another_package_s_maps_are_audited_by_what_goes_with_them(camx, drawn_small):
    words = ["--as", "torch-cam", "--data", drawn_small, *QUICK[2:]]
    said = camx("audit", *words).stdout
    assert "interpolation=cubic" in said
    assert "view=ten-crop" not in said
    refused = camx("audit", *words, "--over", "view", code=2).stderr
    assert "style torch-cam needs view resize, not ten-crop" in refused


def test_a_rehearsal_measures_conventions_too(camx, drawn_small, tmp_path):
    said = camx("audit", *QUICK, "--data", drawn_small, "--over", "iou", "--dry-run").stdout
    assert "5 to do" in said
    assert not (tmp_path / "results").exists()
