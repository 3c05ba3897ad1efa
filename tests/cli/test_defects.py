import json

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camx.evaluators import records
from camx.evaluators.miniature import dagm as textures

QUICK = ["defects", "--limit", 3, "--iterations", 1, "--batch-size", 2]


@pytest.mark.slow
def test_layer3_measures_every_own_cell_of_table_seven(camx, tmp_path):
    done = camx(*QUICK, "--layer", "layer3", "--iterations", 2, "--sheet", "sheet.png")
    frame = pd.read_parquet(tmp_path / "results/defects/records")
    assert set(zip(frame["method"], frame["layer"])) == {
        (m, "layer3") for m in ("gradcam", "gradcampp", "layercam")
    }
    described = json.loads((tmp_path / "results/defects/run.json").read_text())
    assert (described["command"], described["protocol"]["name"]) == ("defects", "paper")
    assert "(27.26)" in done.stdout
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] > 500
    camx("tables")
    cells = pd.read_csv(tmp_path / "results/tables/cells.csv", keep_default_na=False)
    seven = cells[(cells["table"] == "VII") & cells["metric"].isin(["mIoU", "FPS"])].set_index(
        ["row", "metric"]
    )
    for row in ("Grad-CAM", "Grad-CAM++", "LayerCAM"):
        assert float(seven.loc[(row, "FPS"), "measured"]) > 0
        assert 0 <= float(seven.loc[(row, "mIoU"), "measured"]) <= 100
    assert seven.loc[("SegNet", "mIoU"), "measured"] == ""
    printed = pd.read_csv(
        tmp_path / "results/tables/table_07.csv", keep_default_na=False
    ).set_index(["row", "metric"])
    assert printed.loc[("RefineNet", "FPS"), "quoted"] == "quoted, trained with pixel labels"


@pytest.mark.slow
def test_no_option_measures_tables_seven_and_eight(camx, tmp_path):
    camx(*QUICK)
    frame = pd.read_parquet(tmp_path / "results/defects/records")
    assert len(frame) == 3 * 8
    assert set(frame[frame["method"] == "layercam"]["layer"]) == {
        "layer4", "layer3", "layer2", "layer1", "layer4+layer3", "layer3+layer2",
    }  # fmt: skip
    assert set(frame["variant"]) == {""}
    camx("tables")
    cells = pd.read_csv(tmp_path / "results/tables/cells.csv", keep_default_na=False)
    assert (cells[(cells["table"] == "VIII") & (cells["metric"] == "mIoU")]["measured"] != "").all()


def test_the_honest_threshold_blocks_and_scales(camx, tmp_path):
    layers = [
        w for y in ("layer3[-2]", "layer4+layer3", "layer3[-1]+layer4") for w in ("--layer", y)
    ]
    done = camx(
        *QUICK,
        "--method",
        "layercam",
        *layers,
        "--variant",
        "gamma=2",
        "--threshold-split",
        "train",
    )
    frame = records.read(tmp_path / "results/defects")
    frame = frame[frame["layer"] != ""]  # but the null rows
    assert set(zip(frame["layer"], frame["variant"])) == {
        ("layer3[-2]", "gamma=2"), ("layer4+layer3", "gamma=2"), ("layer4+layer3[-1]", "gamma=2"),
    }  # fmt: skip
    assert frame["split"].value_counts().to_dict() == {"test": 9, "train": 9}
    assert "threshold-train" in done.stdout
    assert "mIoU-train" in done.stdout
    assert (
        "3 of 3 images done before"
        in camx(
            *QUICK, "--method", "layercam", "--layer", "layer3[-2]", "--variant", "gamma=2"
        ).stdout
    )


@pytest.fixture
def factory(tmp_path):
    """Twelve grey pictures of different sizes, two of them with 16 bits; every third defective, one
    mask half as large.
    """
    lines = ["image,defective,mask,split"]
    for i in range(12):
        image, mask = textures.draw(i % 10, i % 3 == 0, np.random.default_rng(i))
        size = (96 + 16 * i, 128)
        deep = Image.fromarray(image).resize(size)
        if i > 9:
            deep = Image.fromarray(np.asarray(deep).astype(np.uint16) * 257)
        deep.save(tmp_path / f"p{i}.png")
        if mask is not None:
            half = (size[0] // 2, 64) if i == 3 else size
            Image.fromarray(mask.astype(np.uint8)).resize(half, Image.Resampling.NEAREST).save(
                tmp_path / f"m{i}.png"
            )
        marked, split = (f"m{i}.png" if mask is not None else ""), "train" if i < 6 else "test"
        lines.append(f"p{i}.png,{int(mask is not None)},{marked},{split}")
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "mine.csv"


@pytest.mark.slow
def test_pictures_of_one_s_own_from_training_to_maps(camx, factory, tmp_path):
    """A torchvision ResNet trained a little on a manifest, then measured: its run says which
    network it is.
    """
    training = ["train", "defects", "--data", factory, "--model", "resnet18", "--init", "none"]
    camx(*training, "--epochs", 1, "--batch-size", 4)
    weights = tmp_path / "results/train-defects/best.safetensors"
    measuring = ["defects", "--data", factory, "--weights", weights, "--layer", "layer3"]
    measuring += ["--batch-size", 2, "--iterations"]
    camx(*measuring, 1, "--threshold-split", "train")
    frame = records.read(tmp_path / "results/defects")
    assert set(frame["image_id"]) == {"p0", "p3", "p6", "p9"}
    sizes = frame.drop_duplicates("image_id").set_index("image_id")[["width", "height"]]
    assert sizes.loc["p3"].tolist() == [144, 128]
    assert "learned from another split" not in camx(*measuring, 0).stderr
    other = camx(*measuring, 0, "--split", "6/6", "--out", "other")
    assert "learned from another split" in other.stderr
    needed = "--weights is needed: `camx train defects --data"
    assert needed in camx("defects", "--data", factory, code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "word", "code"),
    [
        (
            ["--layer", "layer3[9]"],
            "'layer3[9]': layer3 of mini-defects has 2 blocks, 0..1 or -2..-1",
            2,
        ),
        (["--layer", "layer5"], "unknown layer 'layer5' of mini-defects; known: layer4", 2),
        (["--thresholds", "300"], "--thresholds", 2),
        (["--split", "thirds"], "split is 'thirds'; accepted: official", 2),
        (["--data", "nowhere/", "--weights", "w.pth"], "no such data folder or file", 1),
        (["--table", "I"], "table I is measured by `camx localize`", 2),
    ],
)
def test_wrong_usage(camx, arguments, word, code):
    done = camx("defects", *arguments, code=code)
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_masks_are_needed_only_where_they_are_measured(camx, tmp_path):
    """Defective training images may lack them, also under --threshold-split train; a test image may
    not.
    """
    for i in range(4):
        image, mask = textures.draw(i, i > 0, np.random.default_rng(i))
        Image.fromarray(image).save(tmp_path / f"p{i}.png")
        if mask is not None:
            Image.fromarray(mask).save(tmp_path / f"m{i}.png")
    head = "image,defective,mask,split\np0.png,0,,train\np1.png,1,,train\np2.png,1,m2.png,train\n"
    (tmp_path / "mine.csv").write_text(head + "p3.png,1,m3.png,test\n")
    camx(
        "train",
        "defects",
        "--data",
        "mine.csv",
        "--model",
        "mini-defects",
        "--init",
        "none",
        "--epochs",
        1,
        "--batch-size",
        2,
    )
    weights = [
        "--weights",
        "results/train-defects/last.safetensors",
        "--layer",
        "layer3",
        "--iterations",
        0,
    ]
    camx("defects", "--data", "mine.csv", *weights, "--threshold-split", "train")
    assert set(records.read(tmp_path / "results/defects")["image_id"]) == {"p2", "p3"}
    (tmp_path / "mine.csv").write_text(head + "p3.png,1,,test\n")
    assert (
        "p3.png: a defective test image without a mask (1 of them)"
        in camx("defects", "--data", "mine.csv", *weights, code=1).stderr
    )
