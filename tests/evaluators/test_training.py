"""The trainer: schedules, orders, and that a kill changes nothing."""

import csv
import dataclasses
import json
import os
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

from camx.evaluators import checkpoint, draws, stopping, training
from camx.evaluators.draws import Stream

CAMX = Path(sys.executable).parent / "camx"


@pytest.fixture(autouse=True)
def _untimed(monkeypatch):
    """A checkpoint is an epoch's, however slow the machine is."""
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", float("inf"))


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
            "loss": lambda network, x, y: nn.functional.cross_entropy(network(x), y),
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


@pytest.mark.parametrize("when", [1, 5, 7])
def test_a_signal_is_heeded_after_a_step_which_is_saved(tmp_path, capfd, when):
    rows = training.fit(job(), tmp_path / "whole", quiet)
    taken = []

    def tick(steps, _line):
        taken.append(steps)
        if sum(taken) == when and steps:
            os.kill(os.getpid(), signal.SIGTERM)
            while not stopping.asked():
                time.sleep(0.01)

    def ended():
        with stopping.heeded(), stopping.patiently():
            training.fit(job(), tmp_path / "broken", tick)

    with pytest.raises(stopping.Stopped) as stopped:
        ended()
    assert stopped.value.code == 143
    content = torch.load(tmp_path / "broken/checkpoint.pt", weights_only=True)
    assert content["state"]["step"] == sum(taken) == when
    assert training.fit(job(), tmp_path / "broken", quiet) == rows
    assert same(tmp_path / "whole/last.safetensors", tmp_path / "broken/last.safetensors")
    capfd.readouterr()


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
        by_hand.loss(by_hand.module, *by_hand.batch(step)).backward()
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
    assert draws.generator(3, Stream.SHUFFLE, 5).random() == 0.20621750370385572
    assert draws.generator(3, Stream.AUGMENT, 5).random() == 0.18900952102081825
    order = [4, 5, 3, 6, 0, 2, 1]
    assert draws.order(7, 3, 2).tolist() == order
    assert draws.shuffled(7, 3, range(14, 21)) == order
    (_, first), (place, second) = draws.draw(7, 2, 3, 7)
    assert place == order[1]
    assert first.random() == draws.generator(3, Stream.AUGMENT, 14).random()
    assert second.random() == draws.generator(3, Stream.AUGMENT, 15).random()


def test_dropout_s_seed_is_the_step_s(tmp_path):
    seeds = []
    task = job(seed=3, steps=2)

    def loss(network, inputs, targets):
        seeds.append(torch.initial_seed())
        return task.loss(network, inputs, targets)

    training.fit(dataclasses.replace(task, loss=loss), tmp_path, quiet)
    assert seeds == [3_000_009, 3_000_010]


def test_an_epoch_s_loss_is_the_mean_of_its_steps(tmp_path):
    """Also of the last epoch, which has two steps instead of five."""
    losses = []
    task = job()

    def loss(network, inputs, targets):
        value = task.loss(network, inputs, targets)
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


def test_a_run_s_folder_holds_five_files(tmp_path):
    training.fit(job(), tmp_path / "run", quiet)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == FILES


def test_answers_are_in_order_and_without_gradients():
    module = nn.Linear(1, 2)
    inputs = torch.arange(7.0)[:, None]

    def show(places):
        return inputs[list(places)]

    for size in (1, 3, 7, 10):
        paths = [Path(f"{n}.png") for n in range(7)]
        logits = training.answers(module, show, paths, size, "cpu", 2)
        assert torch.allclose(logits, module(inputs))
        assert not logits.requires_grad


FILES = ["best.safetensors", "checkpoint.pt", "curve.png", "last.safetensors", "log.csv"]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*")}


def spoiling(at, value=float("nan"), what="loss", **changes):
    """A job that diverges in step `at`: its loss is no number, or the gradient of a finite one."""
    task = job(**changes)

    def loss(network, inputs, targets):
        finite = task.loss(network, inputs, targets)
        if torch.equal(inputs, task.batch(at)[0]):
            if what == "loss":
                return finite * value
            finite.register_hook(lambda gradient: gradient * value)
        return finite

    return dataclasses.replace(task, loss=loss)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path, value):
    """Nothing of it is saved; gone on with, the run stops there again."""
    with pytest.raises(ValueError, match=rf"the loss is {value} at step 1; lower --lr \(0\.1\)"):
        training.fit(spoiling(0, value), tmp_path, quiet)
    assert contents(tmp_path) == {}
    for _ in range(2):
        with pytest.raises(ValueError, match="at step 8"):
            training.fit(spoiling(7, value), tmp_path, quiet)
        assert checkpoint.resume(tmp_path, job().module, training.sgd(job())).step == 5
        before = contents(tmp_path)
        assert sorted(before) == sorted(FILES)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2  # the head, and one epoch


@pytest.mark.parametrize("at", [4, 9, 11, 10])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_not_saved(tmp_path, monkeypatch, at, value):
    """The loss of the step that made them was a number: of an epoch's last step, the run's last,
    and one that a checkpoint would follow.
    """
    if at == 10:
        monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"0\.weight holds NaN or Inf after step {at + 1}"):
            training.fit(spoiling(at, value, "gradient"), tmp_path, quiet)
        held = contents(tmp_path)
        for name in set(held) & {"best.safetensors", "last.safetensors"}:
            assert all(v.isfinite().all() for v in load_file(tmp_path / name).values())
        step = at - at % 5 if at != 10 else 10
        if step:
            task = job()
            assert checkpoint.resume(tmp_path, task.module, training.sgd(task)).step == step
            assert all(p.isfinite().all() for p in task.module.parameters())
        else:
            assert held == {}


def test_momentum_that_is_no_number_is_not_saved(tmp_path):
    """A rate of nothing leaves the weights as they are."""
    task = spoiling(4, float("inf"), "gradient", rate=lambda step: 0.0 if step == 4 else 1.0)
    with pytest.raises(ValueError, match="holds NaN or Inf after step 5"):
        training.fit(task, tmp_path, quiet)
    assert contents(tmp_path) == {}


def test_a_checkpoint_that_holds_no_numbers_is_refused(tmp_path):
    task = job()
    training.fit(task, tmp_path, quiet)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    content["module"]["3.bias"][1] = float("nan")
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"checkpoint\.pt: 3\.bias holds NaN or Inf; delete it"):
        training.fit(job(), tmp_path, quiet)


@pytest.mark.parametrize(
    ("judged", "said"),
    [
        (({"val_loss": float("inf")}, 0.5), "val_loss is infinite after epoch 1"),
        (({}, float("nan")), "the score is nan after epoch 1"),
        (({}, float("-inf")), "the score is -inf after epoch 1"),
    ],
)
def test_an_epoch_without_a_score_is_not_saved(tmp_path, judged, said):
    with pytest.raises(ValueError, match=said):
        training.fit(job(judge=lambda network, loss: judged), tmp_path, quiet)
    assert contents(tmp_path) == {}
    undefined = {"test_auc": float("nan")}  # where a split is of one kind
    assert training.fit(job(judge=lambda network, loss: (undefined, 1.0)), tmp_path, quiet)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_no_numbers_are_not_judged(value):
    """They would rank first and be the best."""
    module = nn.Identity()
    logits = torch.zeros(5, 2)
    logits[3, 1] = value
    paths = [Path(f"{n}.png") for n in range(5)]
    with pytest.raises(ValueError, match=r"^3\.png: the logits of the network hold"):
        training.answers(module, lambda places: logits[list(places)], paths, 2, "cpu", 2)


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


# camx that kills itself in the second step after its first checkpoint, however fast it is.
KILLED = """
import os, signal
from camx.cli.main import main
from camx.evaluators import checkpoint, training

left, step, save = [], training._step, checkpoint.save

def counted(*arguments):
    if left and not left.pop():
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)

training._step = counted
checkpoint.save = lambda *arguments: (save(*arguments), left or left.extend([0, 1]))
main()
"""


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
    killed = subprocess.run([sys.executable, "-c", KILLED, *command[1:], "killed"], cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "killed/checkpoint.pt").is_file()
    assert json.loads((tmp_path / "killed/run.json").read_text())["end"] is None
    subprocess.run([*command, "killed"], cwd=tmp_path, check=True, capture_output=True)
    for name in ("best.safetensors", "last.safetensors"):
        assert same(tmp_path / "whole" / name, tmp_path / "killed" / name)
