import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from camx.camcore import networks
from camx.camcore.models import mini_resnet
from camx.evaluators import checkpoint, fields, training
from camx.evaluators.miniature import ilsvrc as drawn
from camx.evaluators.tasks.defects import recipe as defects
from camx.evaluators.tasks.localize import recipe as wsol
from camx.evaluators.tasks.pseudo import recipe as pseudo
from camx.evaluators.tasks.segment import recipe as segment

QUICK = ["train", "defects", "--init", "none", "--epochs", 1, "--split", "64/32"]


def test_a_run_has_what_the_contract_says(camx, tmp_path):
    done = camx(*QUICK, "--validation", 0.25)
    run = tmp_path / "results/train-defects"
    described = json.loads((run / "run.json").read_text())
    assert (described["command"], described["model"], described["recipe"]["lr"]) == (
        "train defects",
        "mini-defects",
        0.001,
    )
    assert {"options", "versions", "commit", "device", "start", "end", "counts", "seed"} <= set(
        described
    )
    assert described["counts"] == {"steps": 2}
    log = pd.read_csv(run / "log.csv")
    assert {
        "epoch",
        "train_loss",
        "val_loss",
        "val_auc",
        "test_loss",
        "test_accuracy",
        "test_auc",
    } <= set(log)
    for name in ("best", "last"):
        assert len(load_file(run / f"{name}.safetensors")["fc.weight"]) == 2
    assert "64 train images, 32 defective" in done.stdout
    assert networks.load("mini-defects", str(run / "last.safetensors")).classes == 2
    camx(
        "defects",
        "--weights",
        run / "last.safetensors",
        "--layer",
        "layer3",
        "--limit",
        2,
        "--iterations",
        0,
    )


def test_another_recipe_needs_another_folder(camx, tmp_path):
    camx(*QUICK)
    assert "recipe.lr is 0.001, not 0.5" in camx(*QUICK, "--lr", 0.5, code=1).stderr
    before = (tmp_path / "results/train-defects/last.safetensors").read_bytes()
    camx(*QUICK)  # done before
    assert (tmp_path / "results/train-defects/last.safetensors").read_bytes() == before


def test_weights_may_come_from_a_file(camx, tmp_path):
    camx(*QUICK)
    trained = tmp_path / "results/train-defects/last.safetensors"
    done = camx(
        "train",
        "defects",
        "--init",
        trained,
        "--epochs",
        1,
        "--split",
        "64/32",
        "--lr",
        1e-9,
        "--out",
        "again",
    )
    assert "new: nothing; not used of last.safetensors: nothing\n" in done.stdout
    assert "mini-defects from last.safetensors, torchvision preprocessing; " in done.stdout
    first, again = load_file(trained), load_file(tmp_path / "again/last.safetensors")
    assert abs(first["layer3.0.conv1.weight"] - again["layer3.0.conv1.weight"]).max() < 1e-6


@pytest.mark.parametrize(
    ("arguments", "word", "code"),
    [
        (["--init", "IMAGENET1K_V9"], "unknown weights 'IMAGENET1K_V9' of mini-defects", 1),
        (["--init", "IMAGENET1K_V1", "--model", "resnet18"], "--download fetches them", 1),
        (["--split", "900/900"], "split 900/900 needs 1800 images", 2),
        (["--data", "none.csv"], "none.csv: no such data folder or file", 1),
        (["--model", "resnet9"], "unknown model 'resnet9'; known:", 1),
        (["--validation", "0.001", "--init", "none"], "holds out 1 images, of one kind", 1),
        (["--epochs", "0"], "--epochs", 2),
        (
            ["--decay-at", "soon"],
            "'--decay-at': 'soon' is not accepted; accepted: whole numbers from 0, such as [5, 10]",
            2,
        ),
    ],
)
def test_wrong_usage(camx, monkeypatch, tmp_path, arguments, word, code):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    done = camx("train", "defects", *arguments, code=code)
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_is_new_and_what_is_not_used_is_printed(camx, tmp_path):
    torch.manual_seed(0)
    state = {f"module.{k}": v for k, v in mini_resnet.build(7).state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "w.pth.tar")
    done = camx(*QUICK[:2], "--init", "w.pth.tar", *QUICK[4:])
    assert "mini-defects from w.pth.tar: its state_dict, names without module., " in done.stdout
    assert "new: fc.*; not used of w.pth.tar: fc.*\n" in done.stdout
    error = camx(*QUICK, "--preprocessing", "caffe", "--out", "other", code=1).stderr
    assert "preprocessing is 'caffe', but mini-defects has no such form" in error


@pytest.mark.slow
def test_the_miniature_is_learned_from_nothing(camx, tmp_path):
    """Half of Train is defective: in a few epochs the loss falls and the test ROC-AUC passes
    0.7.
    """
    camx(
        "train", "defects", "--init", "none", "--epochs", 6, "--lr", 0.05, "--decay-at", 4, "--flip"
    )
    log = pd.read_csv(tmp_path / "results/train-defects/log.csv")
    assert log["train_loss"].iloc[-1] < 0.8 * log["train_loss"].iloc[0]
    assert log["test_auc"].iloc[-1] >= 0.7


# A value that is no default of any recipe for every field, as the command line says it.
ASKED = {
    "epochs": (["3"], 3), "iterations": (["3"], 3), "batch": (["4"], 4), "lr": (["0.25"], 0.25),
    "momentum": (["0.75"], 0.75), "weight_decay": (["0.125"], 0.125), "decay": (["0.5"], 0.5),
    "power": (["0.625"], 0.625), "balance": (["loss"], "loss"), "validation": (["0.375"], 0.375),
    "side": (["96"], 96), "crop": (["65"], 65), "scales": (["0.5", "1.5"], [0.5, 1.5]),
    "log_every": (["2"], 2), "precision": (["bf16"], "bf16"), "epoch_steps": (["7"], 7),
    "new_rate": (["3"], 3), "bias_rate": (["1.5"], 1.5), "resize": (["120"], 120),
}  # fmt: skip
OF_RECIPE = {
    "defects": {**ASKED, "decay_at": (["1", "2"], [1, 2])},
    "voc": {**ASKED, "decay_at": (["0.875"], 0.875)},
    "wsol": {**ASKED, "decay_at": (["1", "2"], [1, 2])},
    "segment": ASKED,
}
RECIPES = {
    "defects": defects.Recipe, "voc": pseudo.Recipe, "segment": segment.Recipe, "wsol": wsol.Recipe
}  # fmt: skip


@pytest.fixture
def jobs(monkeypatch):
    """The jobs that would be trained; training ends before its first step."""
    held = []

    def fit(job, out, tick, ranks):
        held.append(job)
        raise ValueError("not trained")

    monkeypatch.setattr(training, "fit", fit)
    return held


@pytest.fixture
def commands(tmp_path):
    """How each recipe's training is called; of segmentation, with a label of nothing."""
    from PIL import Image

    from camx.evaluators import datasets

    scene = datasets.load("mini", "segmentation", "train").samples[0]
    (tmp_path / "labels").mkdir()
    with Image.open(scene.path) as image:
        Image.new("L", image.size).save(tmp_path / "labels" / f"{scene.image_id}.png")
    return {
        "defects": ["train", "defects", "--init", "none", "--split", "16/16"],
        "voc": ["train", "voc", "--init", "none"],
        "wsol": ["train", "wsol"],
        "segment": ["segment", "train", "--init", "none", "--labels", "labels"],
    }


def options_of(name, field, words):
    """The words of the command line that set a field; a flag is turned from its default."""
    option = field.metadata.get("option") or "--" + field.name.replace("_", "-")
    if fields.of(RECIPES[name])[field.name].type is bool:
        usual = field.default if name != "wsol" else getattr(wsol.load("mini-vgg-gap"), field.name)
        return [f"--no-{option[2:]}" if usual else option], not usual
    said, value = words[field.name]
    return [word for one in said for word in (option, one)], value


@pytest.mark.parametrize(
    ("name", "field"),
    [
        pytest.param(name, field, id=f"{name}-{field.name}")
        for name, recipe in RECIPES.items()
        for field in dataclasses.fields(recipe)
    ],
)
def test_every_field_of_a_recipe_reaches_the_run(camx, jobs, commands, tmp_path, name, field):
    """Its own field and no other, whatever else keeps its default."""
    words, value = options_of(name, field, OF_RECIPE[name])

    def recipe_of(out, *more):
        assert "not trained" in camx(*commands[name], "--out", out, *more, code=1).stderr
        return json.loads((tmp_path / out / "run.json").read_text())

    usual, asked = recipe_of("usual"), recipe_of("asked", *words)
    assert set(usual["recipe"]) == {f.name for f in dataclasses.fields(RECIPES[name])}
    assert usual["recipe"][field.name] != value
    following = {"log_every": 1} if field.name == "iterations" else {}
    assert asked["recipe"] == {**usual["recipe"], **following, field.name: value}
    assert asked["options"][field.name] == value
    assert field.name not in usual["options"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_whole_recipe_reaches_the_job(camx, jobs, commands, tmp_path, name):
    words = [
        word
        for field in dataclasses.fields(RECIPES[name])
        if field.name != "validation"
        for word in options_of(name, field, OF_RECIPE[name])[0]
    ]
    camx(*commands[name], *words, "--seed", 5, "--workers", 3, code=1)
    (job,) = jobs
    assert (job.momentum, job.weight_decay, job.precision) == (0.75, 0.125, "bf16")
    assert (job.seed, job.workers, job.device) == (5, 3, "cpu")
    assert min(group["lr"] for group in job.groups) == 0.25
    assert len(job.batch(0)[0]) == 4
    if name == "segment":
        assert (job.steps, job.epoch) == (3, 2)
        assert job.rate(1) == (1 - 1 / 3) ** 0.625
        assert job.batch(0)[0].shape[-1] == 65
        return
    assert job.steps == 3 * job.epoch
    falls = {"defects": (1, 2), "voc": (2.625,), "wsol": (1, 2)}[name]
    for step in range(job.steps):
        assert job.rate(step) == 0.5 ** sum(step >= at * job.epoch for at in falls)
    if name == "voc":
        assert job.batch(0)[0].shape[-1] == 96


def test_a_recipe_may_come_from_a_file(camx, jobs, tmp_path):
    (tmp_path / "mine.yaml").write_text("momentum: 0.75\nweight-decay: 0.125\ndecay-at: [1, 2]\n")
    camx(*QUICK, "--config", "mine.yaml", code=1)
    recipe = json.loads((tmp_path / "results/train-defects/run.json").read_text())["recipe"]
    found = [recipe[name] for name in ("momentum", "weight_decay", "decay_at")]
    assert found == [0.75, 0.125, [1, 2]]
    (tmp_path / "mine.yaml").write_text("decay-at: [soon]\n")
    done = camx(*QUICK, "--config", "mine.yaml", code=2)
    assert "'--decay-at': 'soon' is not accepted; accepted: whole numbers from 0" in done.stderr


@pytest.mark.slow
def test_a_classifier_of_scenes_from_training_to_labels(camx, tmp_path):
    done = camx("train", "voc", "--init", "none", "--epochs", 2, "--batch-size", 32, "--no-flip")
    run = tmp_path / "results/train-voc"
    described = json.loads((run / "run.json").read_text())
    found = described["command"], described["model"], described["recipe"]["epochs"]
    assert found == ("train voc", "mini-vgg-voc", 2)
    assert (described["recipe"]["flip"], described["recipe"]["momentum"]) == (False, 0.9)
    log = pd.read_csv(run / "log.csv")
    assert log["epoch"].tolist() == [1, 2]
    assert {"step", "lr", "train_loss", "val_loss", "val_map"} <= set(log)
    assert described["counts"] == {"steps": log["step"].iloc[-1]}
    assert "10 classes" in done.stdout
    weights = run / "last.safetensors"
    assert f"next: camx pseudo --data mini --weights {weights.relative_to(tmp_path)}" in done.stdout
    assert networks.load("mini-vgg-voc", str(weights)).classes == 10
    measuring = ["pseudo", "--weights", weights, "--limit", 2, "--method", "layercam"]
    camx(*measuring, "--layer", "S5", "--superpixels", "none")
    made = json.loads((tmp_path / "results/pseudo/run.json").read_text())
    assert (made["model"], made["weights"]) == ("mini-vgg-voc", weights.name)
    assert len(list((tmp_path / "results/pseudo/labels/layercam_S5").glob("*.png"))) == 2
    before = weights.read_bytes()
    training = ["train", "voc", "--init", "none", "--epochs", 2, "--batch-size", 32]
    assert "recipe.flip is False, not True" in camx(*training, code=1).stderr
    camx(*training, "--no-flip")  # done before
    assert weights.read_bytes() == before


MINE = """
from torch import nn
INPUT_SIZE, MEAN, STD = 64, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
LAYERS = {"last": ("trunk", None)}
class Mine(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.fc = nn.Linear(8, classes)
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    def forward(self, x):
        return self.fc(self.trunk(x).mean((2, 3)))
def build(classes=1000):
    return Mine(classes)
"""


def test_the_next_command_runs_as_it_is_printed(camx, tmp_path):
    """Of a network of one's own, in a folder with a blank; without its file it is asked for."""
    (tmp_path / "my nets").mkdir()
    (tmp_path / "my nets" / "mine.py").write_text(MINE)
    done = camx(*QUICK, "--model", "my nets/mine.py", "--out", "my run")
    (line,) = [x for x in done.stdout.splitlines() if x.startswith("next: ")]
    words = shlex.split(line.removeprefix("next: "))
    assert words == [
        "camx", "defects", "--data", "mini", "--split", "64/32", "--seed", "0",
        "--weights", "my run/last.safetensors", "--model", "my nets/mine.py",
    ]  # fmt: skip
    quick = ["--limit", 2, "--iterations", 0]
    assert "mine (last.safetensors" in camx(*words[1:], *quick).stdout
    for command in ("defects", "explain"):
        error = camx(command, "--weights", "my run/last.safetensors", code=2).stderr
        assert "--model is needed: my run/last.safetensors are of 'mine'" in error
        assert "--model 'my nets/mine.py'" in error
    done = camx("explain", "--weights", words[9], "--model", words[11], "--method", "cam")
    assert done.stdout.count("truth:") == 3


def test_what_a_run_json_names_is_not_imported(camx, tmp_path):
    """Somebody's weights come with a run.json that names a file."""
    camx(*QUICK)
    run = tmp_path / "results/train-defects"
    (tmp_path / "evil.py").write_text("raise SystemExit('executed')")
    described = json.loads((run / "run.json").read_text()) | {"model": "evil.py"}
    (run / "run.json").write_text(json.dumps(described))
    for command in ("defects", "explain"):
        error = camx(command, "--weights", run / "last.safetensors", code=2).stderr
        assert "--model is needed" in error
        assert "executed" not in error


def test_explain_infers_network_and_class_names(camx, tmp_path):
    camx(*QUICK)
    weights = tmp_path / "results/train-defects/last.safetensors"
    done = camx("explain", "--weights", weights, "--layer", "layer4", "--method", "layercam")
    assert "\nmini-defects (last.safetensors" in f"\n{done.stdout}"
    assert len(re.findall(r"\.png: (good|defective) \(", done.stdout)) == 3
    done = camx(
        "explain", "--weights", weights, "--class", "defective", "--layer", "layer4",
        "--method", "layercam",
    )  # fmt: skip
    assert done.stdout.count(": defective (") == 3
    assert json.loads((weights.parent / "run.json").read_text())["classes"] == ["good", "defective"]
    done = camx("explain", "--model", "mini-defects", "--layer", "layer4", "--method", "layercam")
    assert len(re.findall(r"\.png: (good|defective) \(", done.stdout)) == 3


@pytest.mark.parametrize(
    ("command", "option", "values"),
    [
        (command, option, values)
        for command in (
            ["train", "defects"],
            ["train", "voc"],
            ["segment", "train", "--labels", "x"],
        )
        for option, values in (
            ("--lr", ("nan", "inf", "0", "-1")),
            ("--momentum", ("nan", "inf", "1", "-0.1")),
            ("--weight-decay", ("nan", "inf", "-1")),
        )
    ]
    + [
        (["segment", "train", "--labels", "x"], "--scale", ("0", "nan", "inf", "-1")),
        (["segment", "predict", "--weights", "x"], "--scale", ("0", "nan", "inf")),
        (["pseudo"], "--scale", ("0", "nan", "inf", "9")),
    ],
)
def test_numbers_that_are_none_are_refused(camx, command, option, values):
    for value in values:
        told = camx(*command, option, value, code=2).stderr
        assert f"'{option}': '{value}' is not accepted; accepted: " in told


@pytest.mark.slow
def test_a_network_of_torchvision_trains_and_is_found_by_its_weights(camx, tmp_path):
    """Its layers, found when it is measured, are in the run."""
    quick = ["--split", "8/4", "--out"]
    camx("train", "defects", "--model", "torchvision:squeezenet1_1", "--init", "none",
         "--epochs", 1, *quick, "trained")  # fmt: skip
    weights = ["--weights", "trained/last.safetensors"]
    only = ["--method", "layercam", "--layer", "S4+S2", "--layer", "features.3.squeeze"]
    camx("defects", *weights, *only, "--iterations", 0, *quick, "measured")
    described = json.loads((tmp_path / "measured/run.json").read_text())
    assert described["model"] == "torchvision:squeezenet1_1"
    assert list(described["layers"]) == ["S4", "S3", "S2", "S1"]
    assert described["layers"]["S2"]["module"] == "features.4"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "method"), [("vgg16-gap", "cam"), ("acol", "acol"), ("adl", "cam")]
)
def test_table_v_s_networks_learn_the_miniature(camx, tmp_path, arch, method):
    """From the shipped slim backbone, each by its recipe; the command that goes on runs."""
    done = camx("train", "wsol", "--arch", arch, "--out", "trained")
    described = json.loads((tmp_path / "trained/run.json").read_text())
    model = {"vgg16-gap": "mini-vgg-gap"}.get(arch, f"mini-{arch}")
    assert (described["command"], described["model"]) == ("train wsol", model)
    log = pd.read_csv(tmp_path / "trained/log.csv")
    assert log["val_top1"].iloc[-1] > 0.6
    assert {"best.safetensors", "curve.png"} <= {p.name for p in (tmp_path / "trained").iterdir()}
    (line,) = [x for x in done.stdout.splitlines() if x.startswith("next: ")]
    words = shlex.split(line.removeprefix("next: "))
    assert words[:6] == ["camx", "localize", "--data", "mini", "--method", method]
    told = camx(*words[1:], "--protocol", "single", "--limit", 20, "--out", "measured").stdout
    assert f"{model} (last.safetensors" in told
    frame = pd.read_parquet(tmp_path / "measured/records")
    layer = {"cam": "conv6", "acol": "pool6"}[method]
    assert set(zip(frame["method"], frame["layer"])) == {(method, layer)}
    row = {"vgg16-gap": "CAM", "acol": "ACoL", "adl": "ADL"}[arch]
    camx("tables", "--runs", "measured", "--out", "tables")
    cells = pd.read_csv(tmp_path / "tables/cells.csv")
    cells = cells[(cells["table"] == "V") & cells["measured"].notna() & (cells["metric"] == "loc1")]
    assert {row} <= set(cells["row"]) <= {row, "everything", "centre", "random"}


@pytest.mark.slow
def test_torchrun_s_processes_end_where_one_does(camx, tmp_path):
    """By the command itself: the first writes and prints, the weights are one process's."""
    drawn.write_train(tmp_path / "data", images=60)
    words = ["train", "wsol", "--data", "data", "--model", "mini-vgg-gap", "--epochs", 1]
    words += ["--epoch-steps", 3, "--batch-size", 8, "--lr", 0.01, "--workers", 1]
    camx(*words, "--accumulate", 2, "--out", "one")
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", 2, "--standalone"]
    done = subprocess.run(
        [sys.executable, *map(str, torchrun), "-m", "camx", *map(str, words), "--out", "two"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("next: camx explain --method cam") == 1
    assert "ilsvrc: 57 images to learn from, 3 to judge by, 10 classes" in done.stdout
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5
    logs = [pd.read_csv(tmp_path / name / "log.csv") for name in ("one", "two")]
    pd.testing.assert_frame_equal(*logs, atol=1e-5)
    described = [json.loads((tmp_path / f"{n}/run.json").read_text()) for n in ("one", "two")]
    assert [d["parts"] for d in described] == [2, 2]


@pytest.mark.slow
def test_table_v_measures_of_a_network_what_is_its_own(camx, tmp_path):
    torch.manual_seed(0)
    module = networks.start("mini-acol", None, 10, 0).module
    checkpoint.save_weights(tmp_path / "w.safetensors", module)
    quick = ["--protocol", "single", "--limit", 2]
    camx("localize", "--model", "mini-acol", "--weights", "w.safetensors", "--table", "V", *quick)
    frame = pd.read_parquet(tmp_path / "results/localize/records")
    assert set(frame["method"]) == {"acol"}
    camx("localize", "--table", "V", *quick, "--out", "vgg")
    frame = pd.read_parquet(tmp_path / "vgg/records")
    assert set(frame["method"]) == {"cmwp", "layercam"}


def test_a_recipe_of_another_network_may_be_asked_for(camx, jobs, tmp_path):
    camx("train", "wsol", "--recipe", "acol", "--batch-size", 10, code=1)
    described = json.loads((tmp_path / "results/train-wsol/run.json").read_text())
    assert (described["model"], described["recipe"]["lr"]) == ("mini-vgg-gap", 0.0001)
    assert described["recipe"]["batch"] == 10
    assert described["parts"] == 1
    camx("train", "wsol", "--accumulate", 5, "--out", "parts", code=1)
    assert json.loads((tmp_path / "parts/run.json").read_text())["parts"] == 5
    (tmp_path / "parts/checkpoint.pt").write_bytes(b"")
    error = camx("train", "wsol", "--out", "parts", code=1).stderr
    assert "holds a run whose parts is 5, not 1; choose another folder" in error
    error = camx("train", "wsol", "--accumulate", 3, code=2).stderr
    assert "batch is 20, which does not divide into 3 micro-batches" in error
    error = camx("train", "wsol", "--recipe", "acoll", code=2).stderr
    assert "unknown recipe 'acoll'; known: acol, adl" in error


def test_a_step_that_does_not_divide_is_refused(camx):
    """Of every training; the recipes' batches are not of seven."""
    for task in ("defects", "voc", "wsol"):
        error = camx("train", task, "--accumulate", 7, code=2).stderr
        assert "which does not divide into 7 micro-batches of each of 1 processes" in error
