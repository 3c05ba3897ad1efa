import json
import pickle

import pandas as pd
import pytest

from camx.evaluators import nulls, records, voc_masks


@pytest.mark.slow
def test_no_option_measures_table_thirteen(camx, tmp_path):
    done = camx("pseudo", "--limit", 3)
    frame = pd.read_parquet(tmp_path / "results/pseudo/records")
    assert len(frame) == 3 * 10
    assert set(frame["method"]) == {"layercam", "layercam-normal"}
    assert "(36.20)" in done.stdout
    made = sorted(p.name for p in (tmp_path / "results/pseudo/labels").iterdir())
    assert made == sorted(f"{m}_S{s}" for m in ("layercam", "layercam-normal") for s in range(1, 6))
    folder = tmp_path / "results/pseudo/labels/layercam_S4"
    assert len(list(folder.glob("*.png"))) == 3
    assert all(
        set(voc_masks.present(voc_masks.read_mask(p, 10))) <= set(range(11))
        for p in folder.glob("*.png")
    )
    assert json.loads((folder / "labels.json").read_text())["layer"] == "S4"
    camx("tables")
    cells = pd.read_csv(tmp_path / "results/tables/cells.csv", keep_default_na=False)
    assert (
        cells[(cells["table"] == "XIII") & cells["metric"].isin(["mIoU", "mIoU-20"])]["measured"]
        != ""
    ).all()
    ten = cells[(cells["table"] == "X") & (cells["metric"] == "mIoU-pseudo")]
    ten = ten[~ten["row"].isin(nulls.NAMES)].set_index("column")["measured"]
    assert ten["S5"] != ""
    assert ten["S5+S4"] == ""


def test_resume_and_options(camx, tmp_path):
    one = ["pseudo", "--method", "layercam", "--layer", "S5+S4", "--superpixels", "none"]
    camx(*one, "--limit", 2)
    assert "2 of 4 images done before" in camx(*one, "--limit", 4).stdout
    labels = sorted((tmp_path / "results/pseudo/labels/layercam_S5+S4").glob("*.png"))
    before = labels[0].read_bytes()
    labels[0].unlink()
    camx(*one, "--limit", 4)  # written again, and recorded once
    assert labels[0].read_bytes() == before
    assert (
        len(pd.concat(pd.read_parquet(p) for p in (tmp_path / "results/pseudo/records").iterdir()))
        == 4
    )
    assert "protocol.threshold is 0.3, not 0.5" in camx(*one, "--threshold", 0.5, code=1).stderr
    camx(
        *one,
        "--limit",
        2,
        "--scale",
        0.5,
        "--scale",
        1,
        "--flip",
        "--split",
        "val",
        "--out",
        "other",
    )
    assert len(records.read(tmp_path / "other")) == 2 * 4  # and the null rows


def test_seeds_for_dgcn(camx, tmp_path):
    names = ["mini_voc_000001", "mini_voc_000002"]
    camx("pseudo", "--limit", 3, "--method", "layercam", "--layer", "S5")
    names = [p.stem for p in sorted((tmp_path / "results/pseudo/labels/layercam_S5").glob("*.png"))]
    (tmp_path / "list.txt").write_text("".join(f"{n}.jpg {7 + i}\n" for i, n in enumerate(names)))
    done = camx(
        "pseudo",
        "--limit",
        3,
        "--method",
        "layercam",
        "--layer",
        "S5",
        "--export",
        "dgcn-cues",
        "--input-list",
        "list.txt",
    )
    assert "3 of the list's 3 images" in done.stdout
    with (tmp_path / "results/pseudo/layercam_S5.pickle").open("rb") as file:
        found = pickle.load(file)
    assert set(found) == {f"{7 + i}_{kind}" for i in range(3) for kind in ("labels", "cues")}
    assert found["7_cues"].shape[0] == 3
    assert found["7_cues"][1:].max() <= 40


@pytest.mark.parametrize(
    ("arguments", "word", "code"),
    [
        (["--threshold", "2"], "'2' is not accepted; accepted: a number from 0", 2),
        (["--as", "torch-cam"], "one view, resize, and in no other package's style", 2),
        (["--set", "view=ten-crop"], "one view, resize", 2),
        (["--scale", "100"], "'100' is not accepted; accepted: numbers from 0.1 to 8", 2),
        (["--superpixels", "nowhere", "--limit", "1"], "nowhere: no such folder", 1),
        (["--split", "tomorrow"], "tomorrow", 1),
        (["--export", "dgcn-cues"], "needs one cell", 2),
        (["--data", "nowhere/", "--weights", "x.pth"], "no such data folder", 1),
        (["--data", "VOCdevkit"], "--weights is needed: `camx train voc --data VOCdevkit`", 2),
    ],
)
def test_wrong_usage(camx, arguments, word, code):
    done = camx("pseudo", *arguments, code=code)
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1
