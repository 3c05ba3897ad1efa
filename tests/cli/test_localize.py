import json
import shutil

import pandas as pd
import pytest
import torch

from camx.evaluators import records
from camx.evaluators.miniature import ilsvrc as drawn


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "small"
    drawn.write(root, images=6)
    return root


SMALL = ["localize", "--protocol", "single", "--model", "mini-vgg", "--batch-size", "4"]


def test_a_run_has_what_the_contract_says(camx, small, tmp_path):
    methods = ["gradcam", "gradcampp", "normgrad", "layercam", "layercam-normal"]
    done = camx(*SMALL, "--data", small, *(word for m in methods for word in ("--method", m)))
    frame = pd.read_parquet(tmp_path / "results/localize/records")
    assert len(frame) == 6 * 25
    beside = pd.read_parquet(tmp_path / "results/localize/records-nulls")
    assert set(frame.columns) == set(beside.columns)
    assert beside.groupby(["method", "layer"]).size().to_dict() == {
        ("centre", ""): 6, ("everything", ""): 6, ("random", ""): 6,
    }  # fmt: skip
    assert not frame.duplicated(["image_id", "method", "layer", "variant"]).any()
    columns = [
        "image_id",
        "label",
        "top5",
        "method",
        "layer",
        "variant",
        "x0",
        "y0",
        "x1",
        "y1",
        "iou",
    ]
    assert set(columns) <= set(frame.columns)
    assert set(frame["method"]) == {
        "gradcam",
        "gradcampp",
        "normgrad",
        "layercam",
        "layercam-normal",
    }
    assert set(frame["layer"]) == {"S5", "S4", "S3", "S2", "S1"}
    assert frame["variant"].unique().tolist() == [""]
    assert (frame["x1"] > frame["x0"]).all()
    run = json.loads((tmp_path / "results/localize/run.json").read_text())
    assert {
        "command",
        "data",
        "model",
        "weights_sha256",
        "protocol",
        "seed",
        "options",
        "commit",
        "device",
        "start",
        "end",
    } <= set(run)
    assert len(run["invocations"]) == 1
    last = run
    assert set(last["versions"]) == {"camx", "torch", "torchvision", "cv2", "numpy", "PIL"}
    assert last["counts"] == {"images": 6, "records_written": 150}
    assert last["start"] < last["end"]
    assert "46.62" in done.stdout  # the paper's value stands beside ours
    assert "\r" not in done.stderr  # no progress bar in a pipe


def test_cells_can_be_added_and_nothing_is_measured_twice(camx, small, tmp_path):
    run = tmp_path / "results/localize"
    camx(*SMALL, "--data", small, "--method", "layercam", "--layer", "S5", "--limit", 2)
    assert len(records.read(run)) == 2 * 4  # and the null rows
    camx(*SMALL, "--data", small, "--method", "layercam", "--layer", "S5")
    assert len(records.read(run)) == 6 * 4
    camx(*SMALL, "--data", small, "--method", "layercam", "--layer", "S5", "--layer", "S3+S5+S4")
    frame = records.read(run)
    assert len(frame) == 6 * 5
    assert set(frame["layer"]) == {"S5", "S5+S4+S3", ""}
    assert (
        "6 of 6 images done before"
        in camx(*SMALL, "--data", small, "--method", "layercam", "--layer", "S5").stdout
    )
    assert len(records.read(run)) == 6 * 5


def test_a_changed_protocol_is_refused(camx, small, tmp_path):
    camx(*SMALL, "--data", small, "--limit", 1)
    done = camx(*SMALL, "--data", small, "--limit", 1, "--set", "threshold=0.3", code=1)
    assert "protocol.threshold is 0.15, not 0.3" in done.stderr
    assert "--out results/localize-2" in done.stderr


def test_config_file_and_command_line(camx, small, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "limit: 3\nmethod: [layercam]\nlayer: [S4]\nprotocol: single\n"
    )
    camx("localize", "--data", small, "--model", "mini-vgg", "--config", "mine.yaml", "--limit", 2)
    frame = records.read(tmp_path / "results/localize")
    assert (len(frame), set(frame["layer"])) == (2 * 4, {"S4", ""})
    (tmp_path / "mine.yaml").write_text("method: layercam\nlayer: S5\n")
    camx(*SMALL, "--data", small, "--config", "mine.yaml", "--limit", 1, "--out", "one")
    assert len(records.read(tmp_path / "one")) == 4
    for text, word in (
        ("limit: many\n", "a whole number from 1"),
        ("limit: [\n", "mine.yaml: not YAML"),
        ("- a\n", "option: value"),
    ):
        (tmp_path / "mine.yaml").write_text(text)
        done = camx("localize", "--config", "mine.yaml", code=2)
        assert word in done.stderr
        assert len(done.stderr.splitlines()) == 1
    (tmp_path / "mine.yaml").write_text("limits: 3\n")
    assert "unknown option 'limits'" in camx("localize", "--config", "mine.yaml", code=2).stderr


def test_a_method_a_data_set_and_a_table_are_one_new_file_each(camx, small, tmp_path):
    (tmp_path / "brightness.py").write_text(
        'TITLE = "sum"\nSOURCE = "here"\n\n\ndef cam(tap):\n    return tap.acts.sum(1)\n'
    )
    (tmp_path / "mine.py").write_text(
        "from pathlib import Path\nfrom camx.evaluators.datasets import ilsvrc\n\n\n"
        f"def read():\n    return ilsvrc.read(Path({str(small)!r}), 'mine', 'mini-vgg')\n"
    )
    (tmp_path / "mine.yaml").write_text(
        "{title: Mine, source: me, command: localize, metrics: [gtknown], "
        "columns: {S3: {layer: S3}}, rows: ["
        "{row: Brightness, cell: {method: brightness}, gtknown: [50]}, "
        "{row: LayerCAM, cell: {method: layercam}}]}"
    )
    camx(
        "localize",
        "--protocol",
        "single",
        "--data",
        "mine.py",
        "--method",
        "brightness.py",
        "--method",
        "layercam",
        "--layer",
        "S3",
    )
    assert "Brightness" in camx("tables", "--table", "mine.yaml").stdout
    table = pd.read_csv(tmp_path / "results/tables/table_mine.csv")
    assert table["row"].tolist() == ["Brightness", "LayerCAM", "everything", "centre", "random"]
    assert table["S3"].notna().all()
    assert pd.read_csv(tmp_path / "results/tables/cells.csv")["n"].tolist() == [6] * 5
    camx(
        "localize",
        "--protocol",
        "single",
        "--data",
        "mine:read",
        "--method",
        "brightness:cam",
        "--layer",
        "S3",
        "--out",
        "other",
    )
    frame = pd.read_parquet(tmp_path / "other/records")
    assert frame["method"].unique().tolist() == ["brightness"]


def test_bad_input_is_one_line_and_earlier_records_stay(camx, small, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(small, data)
    pictures = data / "ILSVRC/Data/CLS-LOC/val"
    last = sorted(pictures.iterdir())[-1]
    last.write_bytes(b"\xff\xd8" + b"\0" * 1000)
    camx(*SMALL, "--data", data, "--limit", 2, "--layer", "S5")
    before = records.read(tmp_path / "results/localize")
    done = camx(*SMALL, "--data", data, "--layer", "S5", code=1)
    assert last.name in done.stderr
    assert len(done.stderr.splitlines()) == 1
    after = records.read(tmp_path / "results/localize")
    assert after[after["image_id"].isin(before["image_id"])].reset_index(drop=True).equals(before)
    next((data / "ILSVRC/Annotations/CLS-LOC/val").iterdir()).unlink()
    assert "missing annotation" in camx(*SMALL, "--data", data, code=1).stderr
    torch.save({"a": torch.ones(1)}, tmp_path / "w.pth")
    done = camx(*SMALL, "--data", small, "--weights", "w.pth", code=1)
    assert "do not fit mini-vgg" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    (tmp_path / "empty").mkdir()
    assert "is no data set" in camx("localize", "--data", "empty", code=1).stderr
    assert (
        "1000 classes apart"
        in camx(
            "localize",
            "--data",
            small,
            "--weights",
            _thousand(tmp_path),
            "--model",
            "mini-resnet",
            code=1,
        ).stderr
    )


def _thousand(folder):
    from camx.camcore.models import mini_resnet

    torch.save(mini_resnet.build(1000).state_dict(), folder / "thousand.pth")
    return folder / "thousand.pth"


@pytest.mark.slow
@pytest.mark.usefixtures("two_threads")
def test_workers_and_interruption_change_no_record(camx, small, tmp_path):
    def run(out, *more):
        camx(*SMALL, "--data", small, "--out", out, *more)
        return records.read(tmp_path / out)

    whole = run("a", "--workers", 1)
    assert whole.equals(run("b", "--workers", 3))
    run("c", "--limit", 1)
    run("c", "--limit", 4)
    assert whole.equals(run("c"))


@pytest.mark.slow
def test_the_default_is_the_paper_s_protocol_and_every_cheap_cell(camx, small, tmp_path):
    done = camx("localize", "--data", small, "--model", "mini-vgg", "--limit", 2, "--save-maps")
    frame = pd.read_parquet(tmp_path / "results/localize/records")
    assert len(frame) == 2 * 59
    assert not set(frame["method"]) & {"scorecam", "cmwp", "cam"}
    assert set(frame["variant"]) == {
        "",
        "gamma=1",
        "gamma=2",
        "gamma=3",
        "gamma=4",
        "scale=none",
        "scale=sqrt",
        "scale=tan",
    }
    run = json.loads((tmp_path / "results/localize/run.json").read_text())
    assert run["protocol"]["name"] == "paper"
    assert len(list((tmp_path / "results/localize/maps").iterdir())) == 2 * 59
    for name in ("Table I.", "Table II.", "Table III.", "Table IV.", "Table V.", "Table XII."):
        assert name in done.stdout
    camx(
        "localize",
        "--data",
        small,
        "--model",
        "mini-vgg",
        "--limit",
        1,
        "--table",
        "I",
        "--table",
        "V",
    )
    added = pd.read_parquet(tmp_path / "results/localize/records")
    assert len(added) == 2 * 59 + 6  # Score-CAM at five stages and c-MWP, of one image
    assert set(added["method"]) - set(frame["method"]) == {"scorecam", "cmwp"}
    camx("tables")
    cells = pd.read_csv(tmp_path / "results/tables/cells.csv")
    assert sorted(p.name for p in (tmp_path / "results/tables").iterdir()) == [
        "cells.csv", *(f"table_{n:02d}.csv" for n in range(1, 14))
    ]  # fmt: skip
    assert cells[(cells["row"] == "c-MWP") & (cells["metric"] == "loc1")]["n"].tolist() == [1]


def test_only_what_is_missing_is_computed(camx, small, monkeypatch):
    from camx.camcore.methods import gradcam, layercam

    calls = []
    for module in (gradcam, layercam):
        monkeypatch.setattr(
            module,
            "cam",
            lambda tap, name=module.TITLE, cam=module.cam: calls.append(name) or cam(tap),
        )
    camx(*SMALL, "--data", small, "--method", "layercam", "--layer", "S5")
    camx(*SMALL, "--data", small, "--method", "layercam", "--method", "gradcam", "--layer", "S5")
    assert calls == ["LayerCAM"] * 2 + ["Grad-CAM"] * 2  # two batches each


def test_methods_tell_paired_differences(camx, small, tmp_path):
    camx(*SMALL, "--data", small, "--layer", "S4")
    done = camx("tables", "--compare", "layercam", "gradcam")
    assert "mean IoU" in done.stdout
    frame = pd.read_csv(tmp_path / "results/tables/compare_layercam_gradcam.csv")
    assert frame["n"].tolist() == [6, 6, 6, 6]
    assert (
        "methods recorded: centre, everything, gradcam, gradcampp"
        in camx("tables", "--compare", "layercam", "scorecam", code=1).stderr
    )


@pytest.mark.parametrize("style", ["pytorch-grad-cam", "torch-cam"])
def test_as_another_package(camx, small, tmp_path, style):
    camx(
        "localize",
        "--data",
        small,
        "--model",
        "mini-vgg",
        "--as",
        style,
        "--limit",
        2,
        "--method",
        "gradcampp",
        "--layer",
        "S5",
        "--layer",
        "S5+S3",
    )
    run = json.loads((tmp_path / "results/localize/run.json").read_text())
    assert run["protocol"]["style"] == style
    assert set(records.read(tmp_path / "results/localize")["variant"]) == {""}
    assert (
        "leave out --protocol"
        in camx("localize", "--as", style, "--protocol", "paper", code=2).stderr
    )


def test_maps_of_a_recorded_run_can_be_saved_later(camx, small, tmp_path):
    camx(*SMALL, "--data", small, "--layer", "S4", "--method", "layercam")
    before = records.read(tmp_path / "results/localize")
    camx(*SMALL, "--data", small, "--layer", "S4", "--method", "layercam", "--save-maps")
    assert len(list((tmp_path / "results/localize/maps").glob("*.png"))) == 6
    assert records.read(tmp_path / "results/localize").equals(before)
    assert len(list((tmp_path / "results/localize/records").iterdir())) == 1


def test_a_moved_data_set_is_the_same(camx, small, tmp_path):
    camx(*SMALL, "--data", small, "--layer", "S4", "--limit", 1)
    shutil.copytree(small, tmp_path / "moved", copy_function=shutil.copy2)
    camx(*SMALL, "--data", "moved", "--layer", "S4")
    assert len(records.read(tmp_path / "results/localize")) == 6 * (5 + 3)


def test_every_pair_of_a_table(camx, small, tmp_path):
    camx("localize", "--data", small, "--model", "mini-vgg", "--table", "III")
    done = camx("tables", "--pairs", "--table", "III")
    assert "of 132 pairs differ" in done.stdout  # 12 cells: 66 pairs, two metrics
    frame = pd.read_csv(tmp_path / "results/tables/pairs_03.csv")
    assert (frame["p_holm"] >= frame["p_value"]).all()
    assert frame.iloc[0]["a"] == "S5+S4+S3 gamma=1"


def test_a_sample_is_seeded(camx, small, tmp_path):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        camx(*SMALL, "--data", small, "--layer", "S5", "--sample", 3, "--seed", seed, "--out", out)
    a, b, c = (set(records.read(tmp_path / out)["image_id"]) for out in "abc")
    assert a == b != c
    assert len(a) == 3


def test_residual_networks_have_cam_and_their_own_layers(camx, small, tmp_path):
    camx(
        "localize",
        "--data",
        small,
        "--model",
        "mini-resnet",
        "--protocol",
        "single",
        "--method",
        "cam",
        "--method",
        "layercam",
    )
    frame = records.read(tmp_path / "results/localize")
    frame = frame[frame["layer"] != ""]  # but the null rows
    assert set(zip(frame["method"], frame["layer"])) == {
        ("cam", "layer4"),
        *(("layercam", f"layer{i}") for i in (1, 2, 3, 4)),
    }
    assert (
        "breaks the chain"
        in camx(
            "localize",
            "--data",
            small,
            "--model",
            "mini-resnet",
            "--method",
            "cmwp",
            "--out",
            "x",
            code=1,
        ).stderr
    )
    assert (
        "no cell of table I suits mini-resnet"
        in camx(
            "localize", "--data", small, "--model", "mini-resnet", "--table", "I", code=2
        ).stderr
    )
    assert (
        "global average pooling"
        in camx(
            "localize",
            "--data",
            small,
            "--model",
            "mini-vgg",
            "--method",
            "cam",
            "--out",
            "y",
            code=1,
        ).stderr
    )


def test_an_edited_plug_in_is_another_method(camx, small, tmp_path):
    method = tmp_path / "brightness.py"
    method.write_text("def cam(tap):\n    return tap.acts.sum(1)\n")
    run = [*SMALL, "--data", small, "--method", "brightness.py", "--layer", "S5"]
    camx(*run, "--limit", 1)
    method.write_text("def cam(tap):\n    return -tap.acts.sum(1)\n")
    assert "another version of 'brightness'" in camx(*run, code=1).stderr
    method.write_text("def cam(tap):\n    return tap.acts.sum()\n")
    told = "method 'brightness' at layer S5 must return a floating-point tensor (N,h,w) with N=4"
    assert told in camx(*run, "--out", "shape", code=1).stderr
    method.write_text("def cam(tap:\n")
    assert "brightness.py: cannot be loaded" in camx(*run, "--out", "syntax", code=2).stderr


def test_a_data_set_of_one_s_own_is_checked(camx, small, tmp_path):
    head = "from pathlib import Path\nfrom camx.evaluators.types import Dataset, Sample\n"
    head += "def read():\n    return "
    whole = "Dataset('a', Path('.'), ('x',), %s, 'f')"
    for body, word in [
        ("5", "must return evaluators.types.Dataset, not int"),
        (whole % "()", "holds no image"),
        (
            whole % "(Sample('i', Path('i.png'), 3, ((0, 0, 1, 1),)),)",
            "i.png: label 3 is not one of the 1",
        ),
        (whole % "(Sample('i', Path('i.png'), 0, ()),)", "i.png: nothing says where the object is"),
    ]:
        (tmp_path / "mine.py").write_text(head + body + "\n")
        done = camx("localize", "--data", "mine.py", code=1)
        assert word in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_nothing_measured_writes_no_tables(camx, tmp_path):
    (tmp_path / "results").mkdir()
    done = camx("tables", code=1)
    assert "Nothing was written" in done.stderr
    assert not (tmp_path / "results/tables").exists()
    assert "twice" in camx("tables", "--compare", "layercam", "layercam", code=2).stderr


def test_a_folder_that_cannot_be_written_is_named(camx, small, tmp_path):
    (tmp_path / "file").write_text("")
    done = camx(*SMALL, "--data", small, "--out", "file/run", code=1)
    assert "file/run: not a directory" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_fields_by_option_by_set_and_by_file(camx, small, tmp_path):
    """The command line wins over --config, by either way; run.json holds every option."""
    (tmp_path / "c.yaml").write_text("threshold: 0.3\n")
    run = [*SMALL, "--limit", 1, "--layer", "S5", "--data", small]

    def threshold(*arguments):
        camx(*run, *arguments, "--out", f"out{len(list(tmp_path.glob('out*')))}", "--quiet")
        newest = max(tmp_path.glob("out*/run.json"), key=lambda path: path.stat().st_mtime_ns)
        made = json.loads(newest.read_text())
        return made["protocol"]["threshold"], made["options"].get("threshold")

    assert threshold("--config", "c.yaml") == (0.3, 0.3)
    assert threshold("--config", "c.yaml", "--threshold", 0.4) == (0.4, 0.4)
    assert threshold("--config", "c.yaml", "--set", "threshold=0.2")[0] == 0.2
    assert threshold("--threshold", 0.25) == (0.25, 0.25)
    done = camx(*run, "--threshold", 0.4, "--set", "threshold=0.2", code=2)
    assert "threshold is said twice" in done.stderr


def test_cam_is_read_at_its_layer_beside_other_methods(camx, small, tmp_path):
    """Where the network pools: layer4 of a ResNet, conv6 of VGG16 in CAM's form."""
    both = ["--data", small, "--method", "cam", "--method", "layercam", "--limit", 2]
    camx(*SMALL[:-4], "--model", "mini-vgg-voc", *both)
    frame = records.read(tmp_path / "results/localize")
    assert set(frame[frame["method"] == "cam"]["layer"]) == {"conv6"}
    assert set(frame[frame["method"] == "layercam"]["layer"]) == {
        "S5", "S4", "S3", "S2", "S1", "conv6",
    }  # fmt: skip
    error = camx(*SMALL, *both, "--out", "none", code=1).stderr
    assert "CAM needs a network that ends in global average pooling of S5 and one linear" in error


def test_the_target_is_part_of_the_protocol(camx, small, tmp_path):
    quick = (*SMALL, "--data", small, "--layer", "S4", "--quiet")
    for target in ("logit", "finer-softmax"):
        camx(*quick, "--method", "gradcam", "--target", target, "--out", target)
        made = json.loads((tmp_path / target / "run.json").read_text())
        assert made["protocol"]["target"] == target
    assert made["protocol"]["name"] == "single, target=finer-softmax"
    done = camx(*quick, "--method", "gradcam", "--out", "finer-softmax", code=1)
    assert "protocol.target is 'finer-softmax', not 'logit'" in done.stderr
    ious = [records.read(tmp_path / out)["iou"].tolist() for out in ("logit", "finer-softmax")]
    assert ious[0] != ious[1]


def test_how_the_network_computes_is_part_of_the_protocol(camx, small, tmp_path):
    quick = (*SMALL, "--data", small, "--layer", "S4", "--method", "layercam")
    for name, how in (("usual", ()), ("half", ("--precision", "bf16", "--channels-last"))):
        done = camx(*quick, *how, "--out", name)
        computed = "precision=bf16" in done.stdout and "channels_last=True" in done.stdout
        made = json.loads((tmp_path / name / "run.json").read_text())["protocol"]
        assert (made["precision"], made["channels_last"], computed) == (
            ("bf16", True, True) if how else ("float32", False, False)
        )
    done = camx(*quick, "--out", "half", code=1)
    assert "protocol.channels_last is True, not False" in done.stderr
    file = tmp_path / "mine.yaml"
    file.write_text("view: resize\nprecision: bf16\nlocalize: {grabcut: []}\n")
    done = camx(*quick, "--protocol", file, "--out", "file")
    assert "resize view, gradient next, bf16;" in done.stdout


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("--precision tf32", "precision is 'tf32', which cpu does not have; accepted there: float"),
        ("--precision half", "precision"),
        ("--precision bf16 --method shapleycam", "method 'shapleycam' needs precision float32 or"),
    ],
)
def test_what_cannot_be_computed_so_is_refused(camx, small, tmp_path, how, words):
    quick = (*SMALL, "--data", small, "--layer", "S4", "--device", "cpu", "--out", "refused")
    done = camx(*quick, *how.split(), code=2)
    assert words in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert not (tmp_path / "refused").exists()
