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
from torch import nn

from camx.evaluators import training
from camx.evaluators.training import Stream

CAMX = Path(sys.executable).parent / "camx"


def job(**changes):
    """Ten steps of a small network with dropout, five an epoch; each batch follows from its
    step.
    """
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
            "judge": lambda network, loss: (
                {"weights": float(network[0].weight.detach().sum())},
                -loss,
            ),
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
def test_an_interrupted_run_ends_as_an_undisturbed_one(interrupted, tmp_path, when):
    rows = interrupted(job, when)
    assert (tmp_path / "whole/best.safetensors").is_file()
    assert (
        training.fit(job(), tmp_path / "broken", quiet) == rows
    )  # a finished run has nothing left to do
    assert [r["step"] for r in rows] == [5, 10, 12]


def test_the_rate_falls_at_its_epochs(tmp_path):
    rows = training.fit(job(), tmp_path, quiet)
    assert [r["lr"] for r in rows] == pytest.approx([0.1, 0.01, 0.01])
    rate = training.multistep(10, (5, 10), 0.1)
    assert [rate(s) for s in (0, 49, 50, 99, 100, 149)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )
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
    for trained, expected in zip(task.module.parameters(), by_hand.module.parameters()):
        assert torch.allclose(trained, expected, atol=1e-6)


def test_the_job_s_numbers_reach_the_optimiser():
    task = job(momentum=0.7, weight_decay=0.02, nesterov=True)
    (group,) = training.sgd(task).param_groups
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.7, 0.02, True)
    (group,) = training.sgd(job()).param_groups
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 0.01, False)


def test_a_job_is_made_by_keyword():
    values = vars(job())
    with pytest.raises(TypeError, match="positional"):
        training.Job(*values.values())


def test_streams_of_random_numbers():
    """What runs of before drew: written down, as an interrupted one must go on with them."""
    assert training.generator(3, Stream.SHUFFLE, 5).random() == 0.20621750370385572
    assert training.generator(3, Stream.AUGMENT, 5).random() == 0.18900952102081825
    order = [4, 5, 3, 6, 0, 2, 1]
    assert training.order(7, 3, 2).tolist() == order
    assert training.shuffled(7, 3, range(14, 21)) == order
    (_, first), (place, second) = training.draw(7, 2, 3, 7)
    assert place == order[1]
    assert first.random() == training.generator(3, Stream.AUGMENT, 14).random()
    assert second.random() == training.generator(3, Stream.AUGMENT, 15).random()


def test_dropout_s_seed_is_the_step_s(tmp_path):
    seeds = []
    task = job(seed=3, steps=2)

    def loss(inputs, targets):
        seeds.append(torch.initial_seed())
        return task.loss(inputs, targets)

    training.fit(dataclasses.replace(task, loss=loss), tmp_path, quiet)
    assert seeds == [3_000_009, 3_000_010]


def test_an_epoch_s_loss_is_the_mean_of_its_steps(tmp_path):
    """Also of the last epoch, which has two steps instead of five."""
    losses = []
    task = job()

    def loss(inputs, targets):
        value = task.loss(inputs, targets)
        losses.append(float(value.detach()))
        return value

    rows = training.fit(dataclasses.replace(task, loss=loss), tmp_path, quiet)
    means = [np.mean(losses[:5]), np.mean(losses[5:10]), np.mean(losses[10:])]
    assert [row["train_loss"] for row in rows] == pytest.approx(means)


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path):
    def judge(network, _loss):
        return {}, scores.pop(0)

    for name, scores, epoch in (("all", [0.1, 0.3, 0.2], 2), ("ties", [0.3, 0.3, 0.3], 1)):
        training.fit(job(judge=judge), tmp_path / name, quiet)
        scores = [0.0, 0.0]
        training.fit(job(judge=judge, steps=5 * epoch), tmp_path / f"{name}-short", quiet)
        expected = tmp_path / f"{name}-short/last.safetensors"
        assert same(tmp_path / name / "best.safetensors", expected)
        assert not same(tmp_path / name / "last.safetensors", expected)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 100, 2000, -1000, -30, -1])
def test_a_damaged_checkpoint_is_one_clear_line(tmp_path, size):
    rows = training.fit(job(), tmp_path, quiet)
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:size])
    with pytest.raises(
        ValueError, match=r"checkpoint\.pt: a damaged checkpoint; delete it"
    ) as error:
        training.fit(job(), tmp_path, quiet)
    assert str(checkpoint) in str(error.value)
    assert "\n" not in str(error.value)
    checkpoint.unlink()
    assert training.fit(job(), tmp_path, quiet) == rows


def test_a_checkpoint_of_something_else_is_damaged(tmp_path):
    for content in ([1, 2], {"weights": torch.zeros(3)}, {"state": {"steps": 3}}):
        torch.save(content, tmp_path / "checkpoint.pt")
        with pytest.raises(ValueError, match="a damaged checkpoint; delete it"):
            training.fit(job(), tmp_path, quiet)


def test_a_run_s_folder_holds_four_files(tmp_path):
    training.fit(job(), tmp_path / "run", quiet)
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["best.safetensors", "checkpoint.pt", "last.safetensors", "log.csv"]


def test_answers_are_in_order_and_without_gradients():
    module = nn.Linear(1, 2)
    inputs = torch.arange(7.0)[:, None]
    for size in (1, 3, 7, 10):
        paths = [Path(f"{n}.png") for n in range(7)]
        show = lambda places: inputs[list(places)]  # noqa: E731
        logits = training.answers(module, show, paths, size, "cpu", 2)
        assert torch.allclose(logits, module(inputs))
        assert not logits.requires_grad


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


@pytest.mark.parametrize("able", [True, False])
def test_precision(monkeypatch, able):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: able)
    assert training.precision("auto", "cuda:1") == ("bf16" if able else "float32")
    assert training.precision("auto", "cpu") == "float32"
    assert training.precision("bf16", "cpu") == "bf16"
    assert training.precision("float32", "cuda") == "float32"


def test_bf16_computes(tmp_path):
    rows = training.fit(job(precision="bf16"), tmp_path, quiet)
    assert np.isfinite(rows[-1]["train_loss"])


@pytest.mark.slow
def test_kill_9_then_the_same_command(tmp_path):
    """A real training, killed after its first checkpoint, ends with the weights of an undisturbed
    one.
    """
    (tmp_path / "two").mkdir()
    command = [
        CAMX,
        "train",
        "defects",
        "--init",
        "none",
        "--lr",
        "0.05",
        "--epochs",
        "2",
        "--split",
        "96/32",
        "--flip",
        "--out",
    ]
    subprocess.run([*command, "whole"], cwd=tmp_path, check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, "killed"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not (tmp_path / "killed/checkpoint.pt").is_file():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL  # it had not finished before
    subprocess.run([*command, "killed"], cwd=tmp_path, check=True, capture_output=True)
    for name in ("best.safetensors", "last.safetensors"):
        assert same(tmp_path / "whole" / name, tmp_path / "killed" / name)
