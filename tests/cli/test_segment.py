import json
import re
import shutil
import tarfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camx.evaluators import datasets, tasks
from camx.evaluators.results import measures
from camx.evaluators.tasks.segment import predict

TINY = ["--iterations", 3, "--batch-size", 2, "--crop", 65]


@pytest.fixture
def labels(camx, tmp_path):
    camx(
        "pseudo",
        "--limit",
        4,
        "--method",
        "layercam",
        "--layer",
        "S5+S4",
        "--superpixels",
        "none",
        "--quiet",
    )
    return tmp_path / "results/pseudo/labels/layercam_S5+S4"


def test_from_labels_to_a_table(camx, labels, tmp_path):
    """Training, prediction with a CRF and an archive, evaluation: the cell of the labels fills
    Table X.
    """
    camx("segment", "train", "--labels", labels, *TINY)
    run = tmp_path / "results/segment"
    described = json.loads((run / "run.json").read_text())
    assert (described["command"], described["model"]) == ("segment train", "mini-largefov")
    assert described["labels"]["layer"] == "S5+S4"
    assert len(pd.read_csv(run / "log.csv")) == 3
    weights = run / "last.safetensors"
    camx("segment", "predict", "--weights", weights, "--limit", 3, "--crf", "--archive", "all.tgz")
    out = tmp_path / "results/segment-predict"
    assert (
        len(list((out / "masks").glob("*.png")))
        == len(list((out / "masks-crf").glob("*.png")))
        == 3
    )
    with tarfile.open(tmp_path / "all.tgz") as file:
        assert all(
            n.startswith("results/VOC2012/Segmentation/comp6_test_cls/") for n in file.getnames()
        )
    done = camx("segment", "evaluate", "--masks", out / "masks", "--limit", 3)
    assert re.search(r"^layercam +S5\+S4 .*\(57\.10\) +3$", done.stdout, re.M)
    camx(
        "segment",
        "evaluate",
        "--masks",
        out / "masks-crf",
        "--limit",
        3,
        "--crf",
        "--out",
        "results/segment-crf",
    )
    camx("tables", "--table", "X")
    cells = pd.read_csv(tmp_path / "results/tables/cells.csv", keep_default_na=False)
    of_method = cells[cells["row"] == "LayerCAM"]
    assert set(cells["row"]) == {"LayerCAM", "background", "everything", "centre", "random"}
    cells = of_method.set_index(["column", "metric"])["measured"]
    assert cells["S5+S4", "mIoU"] != ""
    assert cells["S5+S4", "mIoU-crf"] != ""
    assert cells["S5+S4", "mIoU-pseudo"] != ""
    assert cells["S5", "mIoU"] == ""


def test_a_step_that_does_not_divide_is_refused(camx, labels):
    line = ["segment", "train", "--labels", labels, *TINY]
    error = camx(*line, "--accumulate", 7, code=2).stderr
    assert "batch is 2, which does not divide into 7 micro-batches of each of 1 processes" in error


def test_true_masks_never_reach_training(camx, labels, tmp_path):
    """Neither as a folder, nor as a single link or copy among pseudo labels."""
    scene = datasets.load("mini", "segmentation", "train").samples[0]
    assert (
        "these are the data set's true masks"
        in camx("segment", "train", "--labels", scene.mask.parent, *TINY, code=1).stderr
    )
    (labels / f"{scene.image_id}.png").unlink()
    (labels / f"{scene.image_id}.png").symlink_to(scene.mask)
    assert (
        "this is the true mask"
        in camx("segment", "train", "--labels", labels, *TINY, code=1).stderr
    )
    (labels / f"{scene.image_id}.png").unlink()
    shutil.copy(scene.mask, labels / f"{scene.image_id}.png")
    assert (
        "this is the true mask"
        in camx("segment", "train", "--labels", labels, *TINY, code=1).stderr
    )
    (tmp_path / "SegmentationClassAug").mkdir()
    shutil.copy(scene.mask, tmp_path / "SegmentationClassAug")
    assert (
        "true masks"
        in camx("segment", "train", "--labels", "SegmentationClassAug", *TINY, code=1).stderr
    )
    (labels / f"{scene.image_id}.png").unlink()
    pairs = predict.pairs(labels, datasets.load("mini", "segmentation", "train"))
    assert len(pairs) == 3
    assert {label.parent for _, label in pairs} == {labels}


def test_anybody_s_masks(camx, tmp_path):
    """The true masks score 100 against themselves; DGCN's come back under the name that Table XI
    gives them.
    """
    val = datasets.load("mini", "segmentation", "val").samples
    (tmp_path / "masks").mkdir()
    for scene in val[:5]:
        shutil.copy(scene.mask, tmp_path / "masks" / f"{scene.image_id}.png")
    done = camx("segment", "evaluate", "--masks", "masks", "--name", "DGCN-LayerCAM", "--limit", 5)
    assert re.search(r"^DGCN-LayerCAM +100\.00 \(67\.10\) +5$", done.stdout, re.M)
    task = tasks.load("segment")
    numbers = measures.numbers(measures.outcomes(tmp_path / "results/segment-evaluate", task), task)
    assert numbers.loc["DGCN-LayerCAM"]["value"].tolist() == [100]
    assert numbers.loc["background"]["value"].item() < 20
    assert (
        "missing; every image needs a mask"
        in camx(
            "segment", "evaluate", "--masks", "masks", "--limit", 6, "--out", "x", code=1
        ).stderr
    )
    Image.fromarray(np.full((5, 5), 77, np.uint8)).save(
        tmp_path / "masks" / f"{val[5].image_id}.png"
    )
    wrong = camx(
        "segment", "evaluate", "--masks", "masks", "--limit", 6, "--out", "y", code=1
    ).stderr
    assert "77" in wrong
    assert len(wrong.splitlines()) == 1
    camx("tables", "--table", "XI")
    cells = pd.read_csv(tmp_path / "results/tables/cells.csv", keep_default_na=False).set_index(
        ["row", "column"]
    )["measured"]
    assert float(cells["DGCN-LayerCAM", "val"]) == 100
    assert cells["DGCN-CAM", "val"] == ""


def test_what_the_server_said_is_entered(camx, tmp_path):
    (tmp_path / "results").mkdir()
    done = camx("tables", "--enter", "IX", "LayerCAM VGG16", "test", "61.4")
    assert "entered by hand" in done.stdout
    cells = pd.read_csv(tmp_path / "results/tables/cells.csv", keep_default_na=False)
    row = cells[
        (cells["table"] == "IX") & (cells["row"] == "LayerCAM VGG16") & (cells["column"] == "test")
    ].iloc[0]
    assert (float(row["measured"]), row["run"], float(row["delta"]), row["n"]) == (
        61.4,
        "entered",
        0,
        "",
    )
    camx("tables", "--enter", "XI", "DGCN-CAM", "test", "60")
    assert len(pd.read_csv(tmp_path / "results/entered.csv")) == 2
    for arguments, word in (
        (["IX", "LayerCAM VGG16", "val", "61.4"], "no number to enter"),
        (["I", "LayerCAM", "S5", "61.4"], "it takes: none"),
        (["IX", "LayerCAM VGG16", "test", "much"], "'much' is no number"),
        (["IX", "LayerCAM VGG16", "test", "614"], "614.0 is no percentage"),
        (["LX", "LayerCAM VGG16", "test", "61"], "unknown table 'LX'"),
    ):
        assert word in camx("tables", "--enter", *arguments, code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "word", "code"),
    [
        (["train", "--labels", "nowhere"], "nowhere: no such folder of pseudo labels", 1),
        (["train"], "Missing option '--labels'", 2),
        (["predict", "--weights", "none.safetensors"], "--model is needed", 2),
        (["evaluate", "--masks", "nowhere"], "nowhere: no such folder of masks", 1),
        (["evaluate", "--masks", ".", "--split", "never"], "never", 1),
    ],
)
def test_wrong_usage(camx, arguments, word, code):
    done = camx("segment", *arguments, code=code)
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_empty_folder_of_labels(camx, tmp_path):
    (tmp_path / "empty").mkdir()
    assert (
        "no label <image>.png of the"
        in camx("segment", "train", "--labels", "empty", code=1).stderr
    )
