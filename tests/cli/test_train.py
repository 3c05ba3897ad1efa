import json

import pandas as pd
import pytest
from safetensors.torch import load_file

from camcore import networks

QUICK = ["train", "defects", "--init", "none", "--epochs", 1, "--split", "64/32"]


def test_a_run_has_what_the_contract_says(camx, tmp_path):
    done = camx(*QUICK, "--validation", 0.25)
    run = tmp_path / "results/train-defects"
    described = json.loads((run / "run.json").read_text())
    assert (described["command"], described["model"], described["recipe"]["lr"]) == ("train defects", "mini-defects", 0.001)
    assert {"options", "versions", "commit", "device", "start", "end", "counts", "seed"} <= set(described)
    log = pd.read_csv(run / "log.csv")
    assert {"epoch", "train_loss", "val_loss", "val_auc", "test_loss", "test_accuracy", "test_auc"} <= set(log)
    for name in ("best", "last"):
        assert len(load_file(run / f"{name}.safetensors")["fc.weight"]) == 2
    assert "64 train images, 32 defective" in done.stdout
    assert networks.load("mini-defects", str(run / "last.safetensors")).classes == 2
    camx("defects", "--weights", run / "last.safetensors", "--layer", "layer3", "--limit", 2, "--iterations", 0)


def test_another_recipe_needs_another_folder(camx, tmp_path):
    camx(*QUICK)
    assert "recipe.lr is 0.001, not 0.5" in camx(*QUICK, "--lr", 0.5, code=1).stderr
    before = (tmp_path / "results/train-defects/last.safetensors").read_bytes()
    camx(*QUICK)  # done before
    assert (tmp_path / "results/train-defects/last.safetensors").read_bytes() == before


def test_weights_may_come_from_a_file(camx, tmp_path):
    camx(*QUICK)
    trained = tmp_path / "results/train-defects/last.safetensors"
    camx("train", "defects", "--init", trained, "--epochs", 1, "--split", "64/32", "--lr", 1e-9, "--out", "again")
    first, again = load_file(trained), load_file(tmp_path / "again/last.safetensors")
    assert abs(first["layer3.0.conv1.weight"] - again["layer3.0.conv1.weight"]).max() < 1e-6


@pytest.mark.parametrize(
    ("arguments", "word", "code"),
    [
        (["--init", "IMAGENET1K_V9"], "unknown weights 'IMAGENET1K_V9' of mini_defects", 1),
        (["--init", "IMAGENET1K_V1", "--model", "resnet18"], "--download fetches them", 1),
        (["--split", "900/900"], "split 900/900 needs 1800 images", 2),
        (["--data", "none.csv"], "none.csv: no such data folder or file", 1),
        (["--model", "resnet9"], "unknown model 'resnet9'; known:", 1),
        (["--validation", "0.001", "--init", "none"], "holds out 1 images, of one kind", 1),
        (["--epochs", "0"], "--epochs", 2),
        (["--decay-at", "soon"], "'soon' is not a valid integer", 2),
    ],
)
def test_wrong_usage(camx, monkeypatch, tmp_path, arguments, word, code):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    done = camx("train", "defects", *arguments, code=code)
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_miniature_is_learned_from_nothing(camx, tmp_path):
    """Half of Train is defective: in a few epochs the loss falls and the test ROC-AUC passes 0.7."""
    camx("train", "defects", "--init", "none", "--epochs", 6, "--lr", 0.05, "--decay-at", 4, "--flip")
    log = pd.read_csv(tmp_path / "results/train-defects/log.csv")
    assert log["train_loss"].iloc[-1] < 0.8 * log["train_loss"].iloc[0]
    assert log["test_auc"].iloc[-1] >= 0.7
