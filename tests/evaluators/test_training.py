"""The trainer: schedules, orders, and that a kill changes nothing."""

import csv
import dataclasses
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torch import nn

from camcore import networks
from evaluators import datasets, defect_training, training

CAMX = Path(sys.executable).parent / "camx"


def job(**changes):
    """Ten steps of a small network with dropout, five an epoch; each batch follows from its step."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))

    def batch(step):
        generator = torch.Generator().manual_seed(step)
        return torch.randn(8, 4, generator=generator), torch.randint(2, (8,), generator=generator)

    return training.Job(
        **{
            "module": module,
            "groups": [{"params": list(module.parameters()), "lr": 0.1}],
            "steps": 12,
            "epoch": 5,
            "batch": batch,
            "loss": lambda x, y: nn.functional.cross_entropy(module(x), y),
            "rate": training.multistep(5, (1,), 0.1),
            "judge": lambda network, loss: ({"weights": float(network[0].weight.detach().sum())}, -loss),
            "weight_decay": 0.01,
            "workers": 2,
            **changes,
        }
    )


def quiet(_steps, _line):
    pass


def same(a, b):
    a, b = load_file(a), load_file(b)
    return set(a) == set(b) and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("when", [1, 4, 5, 7, 11])
def test_an_interrupted_run_ends_as_an_undisturbed_one(tmp_path, monkeypatch, when):
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    rows = training.fit(job(), tmp_path / "whole", quiet)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    done = []

    def stop(steps, _line):
        done.append(steps)
        if sum(done) == when:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.fit(job(), tmp_path / "broken", stop)
    assert training.fit(job(), tmp_path / "broken", quiet) == rows
    for name in ("last.safetensors", "best.safetensors"):
        assert same(tmp_path / "whole" / name, tmp_path / "broken" / name)
    assert (tmp_path / "whole/log.csv").read_text() == (tmp_path / "broken/log.csv").read_text()
    assert training.fit(job(), tmp_path / "broken", quiet) == rows  # a finished run has nothing left to do
    assert [r["step"] for r in rows] == [5, 10, 12]


def test_the_rate_falls_at_its_epochs(tmp_path):
    rows = training.fit(job(), tmp_path, quiet)
    assert [r["lr"] for r in rows] == pytest.approx([0.1, 0.01, 0.01])
    rate = training.multistep(10, (5, 10), 0.1)
    assert [rate(s) for s in (0, 49, 50, 99, 100, 149)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    rate = training.poly(16000, 0.9)
    assert [rate(s) for s in (0, 8000, 15999)] == pytest.approx([1, 0.5**0.9, (1 / 16000) ** 0.9])


def test_the_step_is_torch_s_sgd(tmp_path):
    """Momentum and weight decay as in plain loops over the first two steps."""
    task = job(steps=2, momentum=0.9, weight_decay=0.01)
    by_hand = job()
    velocity = [torch.zeros_like(p) for p in by_hand.module.parameters()]
    for step in range(2):
        torch.manual_seed(step)
        by_hand.module.train()
        by_hand.module.zero_grad()
        by_hand.loss(*by_hand.batch(step)).backward()
        for at, parameter in enumerate(by_hand.module.parameters()):
            gradient = parameter.grad + 0.01 * parameter.detach()
            velocity[at] = 0.9 * velocity[at] + gradient if step else gradient
            parameter.data -= 0.1 * velocity[at]
    training.fit(task, tmp_path, quiet)
    for found, expected in zip(task.module.parameters(), by_hand.module.parameters()):
        assert torch.allclose(found, expected, atol=1e-6)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    broken = job()
    broken = dataclasses.replace(broken, loss=lambda x, y: broken.module(x).sum() * float("nan"))
    with pytest.raises(ValueError, match="the loss is nan at step 1; lower --lr"):
        training.fit(broken, tmp_path, quiet)


def test_the_log_is_a_csv_file(tmp_path):
    rows = training.fit(job(), tmp_path, quiet)
    with (tmp_path / "log.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [float(r["train_loss"]) for r in read] == [r["train_loss"] for r in rows]


def test_bf16_computes(tmp_path):
    assert training.precision("auto", "cpu") == "float32"
    rows = training.fit(job(precision="bf16"), tmp_path, quiet)
    assert np.isfinite(rows[-1]["train_loss"])


def test_auc_is_scikit_learn_s():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 6, 60).astype(float), rng.integers(0, 2, 60)
    assert defect_training.auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    assert np.isnan(defect_training.auc(scores, np.ones(60)))


def test_orders():
    labels = np.array([0] * 90 + [1] * 10)
    plain = defect_training.order(labels, "none", 0, 3)
    assert sorted(plain) == list(range(100))
    assert not np.array_equal(plain, defect_training.order(labels, "none", 0, 4))
    assert 30 < labels[defect_training.order(labels, "sample", 0, 0)].sum() < 70


def test_flips_are_the_step_s():
    images = torch.arange(2 * 3 * 4 * 4).view(2, 3, 4, 4).float()
    found = defect_training.flipped(images, 0, 5)
    assert found.equal(defect_training.flipped(images, 0, 5))
    for image, turned in zip(images, found):
        assert any(turned.equal(t) for t in (image, image.flip(2), image.flip(1), image.flip((1, 2))))
    many = torch.arange(16.0).view(1, 1, 4, 4).expand(200, 3, 4, 4)
    corners = {float(i[0, 0, 0]) for i in defect_training.flipped(many, 0, 0)}
    assert corners == {0, 3, 12, 15}


def test_the_test_images_choose_nothing():
    """The best epoch is by the held-out images, or the training loss; they come from the train split alone."""
    samples = datasets.load("mini", "defects").samples
    learn, held = defect_training.hold_out([s for s in samples if s.split == "train"], 0.25, 0)
    assert (len(learn), len(held)) == (450, 150)
    assert sum(s.label for s in held) == 75
    assert {s.split for s in learn + held} == {"train"}
    assert not {s.image_id for s in learn} & {s.image_id for s in held}


def test_the_recipe_reaches_the_optimiser():
    start = networks.start("mini-defects", "none", 2, 0)
    recipe = defect_training.Recipe()
    assert (recipe.lr, recipe.epochs, recipe.batch, recipe.decay_at, recipe.momentum) == (0.001, 15, 32, (5, 10), 0.9)
    task = defect_training.job(start, datasets.load("mini", "defects").samples, recipe, 0, "cpu", 1)
    assert (task.epoch, task.steps) == (19, 285)
    (group,) = training.sgd(task).param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.001, 0.9, 0.0)
    images, labels = task.batch(18)
    assert images.shape == (600 - 18 * 32, 3, 112, 112)
    assert len(labels) == 24
    with pytest.raises(ValueError, match="needs good and defective images; the train split has 0"):
        defect_training.job(start, [s for s in datasets.load("mini", "defects").samples if s.split == "test"], recipe, 0, "cpu", 1)


def test_weights_against_imbalance():
    start = networks.start("mini-defects", "none", 2, 0)
    samples = [s for s in datasets.load("mini", "defects").samples if s.split == "train"]
    rare = [s for s in samples if not s.label] + [s for s in samples if s.label][:100]
    task = defect_training.job(start, rare, defect_training.Recipe(balance="loss"), 0, "cpu", 1)
    images, labels = torch.randn(4, 3, 112, 112), torch.tensor([0, 1, 1, 0])
    start.module.eval()
    expected = nn.functional.cross_entropy(start.module(images), labels, torch.tensor([400 / 600, 400 / 200]))
    assert torch.allclose(task.loss(images, labels), expected)


@pytest.mark.slow
def test_kill_9_then_the_same_command(tmp_path):
    """A real training, killed after its first checkpoint, ends with the weights of an undisturbed one."""
    (tmp_path / "two").mkdir()
    command = [CAMX, "train", "defects", "--init", "none", "--lr", "0.05", "--epochs", "2", "--split", "96/32", "--flip", "--out"]
    subprocess.run([*command, "whole"], cwd=tmp_path, check=True, capture_output=True)
    process = subprocess.Popen([*command, "killed"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "killed/checkpoint.pt").is_file():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL  # it had not finished before
    subprocess.run([*command, "killed"], cwd=tmp_path, check=True, capture_output=True)
    for name in ("best.safetensors", "last.safetensors"):
        assert same(tmp_path / "whole" / name, tmp_path / "killed" / name)
