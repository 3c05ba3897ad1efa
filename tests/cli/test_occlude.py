import json

import pandas as pd
import pytest

from camx.evaluators import records
from camx.evaluators.miniature import ilsvrc as drawn


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "small"
    drawn.write(root, images=6)
    return root


SMALL = ["occlude", "--protocol", "single", "--model", "mini-vgg", "--batch-size", "4"]


def test_the_default_measures_every_own_cell_of_table_six(camx, tmp_path):
    done = camx("occlude", "--limit", 2)
    frame = records.read(tmp_path / "results/occlude")
    assert set(zip(frame["method"], frame["layer"])) == {
        ("gradcam", "S5"),
        ("gradcampp", "S5"),
        ("layercam", "S5"),
    }
    run = json.loads((tmp_path / "results/occlude/run.json").read_text())
    assert (run["command"], run["protocol"]["name"], run["protocol"]["threshold"]) == (
        "occlude",
        "paper",
        0.7,
    )
    assert "(68.74)" in done.stdout
    assert "occluded" in done.stdout
    camx("tables")
    cells = pd.read_csv(tmp_path / "results/tables/cells.csv", keep_default_na=False)
    six = cells[(cells["table"] == "VI") & cells["metric"].isin(["top1", "top5", "confidence"])]
    assert len(six) == 12
    assert (six["measured"] != "").all()
    assert (tmp_path / "results/tables/table_06.csv").is_file()


def test_options_and_resume(camx, small, tmp_path):
    run = tmp_path / "results/occlude"
    camx(*SMALL, "--data", small, "--method", "layercam", "--limit", 2)
    camx(
        *SMALL,
        "--data",
        small,
        "--method",
        "layercam",
        "--layer",
        "S5",
        "--layer",
        "S4",
        "--area",
        0.1,
        "--random",
    )
    frame = records.read(run)
    assert frame.groupby(["layer", "variant"]).size().to_dict() == {
        ("S5", ""): 2, ("S5", "area=0.1"): 6, ("S5", "area=0.1, random"): 6,
        ("S4", "area=0.1"): 6, ("S4", "area=0.1, random"): 6,
    }  # fmt: skip
    assert (
        "6 of 6 images done before"
        in camx(*SMALL, "--data", small, "--method", "layercam", "--area", 0.1).stdout
    )
    assert len(records.read(run)) == len(frame)
    done = camx(*SMALL, "--data", small, "--method", "layercam", "--fill", "black", code=1)
    assert "protocol.fill is 'mean', not 'black'" in done.stderr
    assert "--out results/occlude-2" in done.stderr


@pytest.mark.slow
def test_curves_stand_beside_the_occlusion(camx, small, tmp_path):
    for metric in ("occlusion", "deletion", "insertion"):
        done = camx(
            *SMALL,
            "--data",
            small,
            "--set",
            "steps=4",
            "--metric",
            metric,
            "--denominator",
            "correct",
        )
        assert "layercam" in done.stdout
    folders = {p.name for p in (tmp_path / "results/occlude").iterdir() if p.is_dir()}
    assert folders == {"records", "records-deletion", "records-insertion"}
    curves = records.read(tmp_path / "results/occlude", kind="records-insertion")
    assert len(curves) == 6 * 3
    assert {len(s) for s in curves["scores"]} <= {0, 5}
    camx("tables", "--table", "VI")
    cells = pd.read_csv(tmp_path / "results/tables/cells.csv", keep_default_na=False)
    assert (
        cells[cells["metric"].isin(["deletion", "insertion"]) & (cells["row"] != "original")][
            "measured"
        ]
        != ""
    ).all()


def test_paired_tests_of_occlusion(camx, small, tmp_path):
    camx(*SMALL, "--data", small)
    assert "confidence" in camx("tables", "--compare", "layercam", "gradcam").stdout
    frame = pd.read_csv(tmp_path / "results/tables/compare_layercam_gradcam.csv")
    assert set(frame["metric"]) >= {"top1", "top5", "confidence", "occluded"}
    assert set(frame["command"]) == {"occlude"}
    assert "Table VI:" in camx("tables", "--pairs").stdout


def test_another_network_is_occluded_at_its_last_layer(camx, small, tmp_path):
    camx("occlude", "--protocol", "single", "--data", small, "--model", "mini-resnet", "--limit", 1)
    assert set(records.read(tmp_path / "results/occlude")["layer"]) == {"layer4"}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--threshold", "1.5"], "'1.5' is not accepted; accepted: a number from 0 to below 1"),
        (["--area", "0"], "--area"),
        (
            ["--area", "0.1", "--metric", "deletion"],
            "--area says nothing about deletion; it is of occlusion",
        ),
        (["--fill", "black", "--metric", "insertion"], "--fill says nothing about insertion"),
        (["--explained", "label"], "--explained says nothing about occlusion; it is of drop"),
        (["--percentiles", "50", "--metric", "adcc"], "--percentiles says nothing about adcc"),
        (["--steps", "5"], "--steps says nothing about occlusion"),
        (["--seed", "-1"], "--seed"),
        (["--fill", "grey"], "'grey' is not one of"),
        (["--table", "I"], "table I is measured by `camx localize`, not by `camx occlude`"),
        (["--set", "box=contour"], "unknown field 'box' of occlude"),
        (["--method", "original"], "unknown method 'original'"),
    ],
)
def test_wrong_usage(camx, arguments, word):
    done = camx("occlude", *arguments, code=2)
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_run_of_nothing_recognised_is_summed_up(camx, tmp_path):
    """The classes are renumbered, so that no image is recognised: empty cells, no crash."""
    (tmp_path / "wrong.py").write_text(
        "import dataclasses\nfrom camx.evaluators.datasets import mini\n"
        "def read():\n    d = mini.read()\n"
        "    wrong = [dataclasses.replace(s, label=(s.label + 1) % 10) for s in d.samples[:2]]\n"
        "    return dataclasses.replace(d, samples=tuple(wrong))\n"
    )
    for extra in ([], ["--denominator", "correct"], ["--metric", "deletion"]):
        done = camx(
            "occlude", "--protocol", "single", "--data", "wrong.py", "--model", "mini-vgg", *extra
        )
        assert "layercam" in done.stdout
    camx(
        "occlude",
        "--protocol",
        "single",
        "--data",
        "wrong.py",
        "--model",
        "mini-vgg",
        "--method",
        "cmwp",
        "--out",
        "own",
    )
    assert set(records.read(tmp_path / "own")["layer"]) == {"S4"}  # the layer it is read at


def test_an_area_that_hides_nothing_is_refused(camx):
    done = camx("occlude", "--protocol", "single", "--limit", 1, "--area", 0.00001, code=1)
    assert "area 1e-05 of 12544 pixels hides 0" in done.stderr
    camx("occlude", "--protocol", "single", "--limit", 1, "--threshold", 0.00001)


def test_rows_say_how_many_images_they_are_of(camx, tmp_path):
    camx("occlude", "--protocol", "single", "--limit", 6, "--method", "gradcam")
    done = camx(
        "occlude",
        "--protocol",
        "single",
        "--limit",
        2,
        "--method",
        "layercam",
        "--method",
        "gradcam",
    )
    rows = {
        line.split()[0]: line.split()[-1]
        for line in done.stdout.splitlines()
        if line.startswith(("original", "gradcam", "layercam"))
    }
    assert rows == {"original": "6", "gradcam": "6", "layercam": "2"}
    assert "n=2 to 6" in camx("tables", "--table", "VI").stdout
