"""The training of Table V's networks, by hand."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from camx.camcore import networks, views
from camx.camcore.image_files import read_image
from camx.camcore.preprocessing import Preprocessing
from camx.evaluators import draws
from camx.evaluators.ranks import Ranks
from camx.evaluators.tasks.localize import recipe as recipes
from camx.evaluators.tasks.localize import trainer
from camx.evaluators.types import Sample

PLAIN = Preprocessing("plain", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
MACHINE = {"seed": 0, "device": "cpu", "workers": 1}


@pytest.fixture
def samples(tmp_path):
    """Twelve images of three classes, each with its own colours."""
    rng, made = np.random.default_rng(0), []
    for at in range(12):
        path = tmp_path / f"{at}.png"
        Image.fromarray(rng.integers(0, 255, (30, 20, 3), dtype=np.uint8)).save(path)
        made.append(Sample(str(at), path, at % 3, split="train"))
    return made


class Branches(nn.Module):
    """Logits of two branches where the labels are told."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x, labels=None):
        x = x.mean((2, 3))
        return self.first(x) if labels is None else (self.first(x), self.second(x))


def start(module, size=14):
    def groups(lr, **rates):
        return [{"params": list(module.parameters()), "lr": lr, "told": rates}]

    return networks.Start("n", module, size, PLAIN, "none", "", groups, 3)


def recipe(**changed):
    whole = {"batch": 4, "epochs": 2, "lr": 0.1, "validation": 0.0, "resize": 16, **changed}
    return recipes.load("mini-vgg-gap", whole)


def test_a_batch_is_random_squares_of_squashed_images(samples):
    job = trainer.job(start(Branches()), samples, recipe(), **MACHINE)
    for number in (0, 2):
        inputs, labels = job.batch(number)
        taken = draws.draw(12, 4, 0, number)
        for row, (place, rng) in enumerate(taken):
            pixels = views.squash(read_image(samples[place].path), 16)
            y, x = rng.integers(3, size=2)
            square = pixels[:, y : y + 14, x : x + 14]
            square = square[..., ::-1] if rng.random() < 0.5 else square
            assert np.allclose(inputs[row], square / 255)
            assert labels[row] == samples[place].label
    flips = trainer.job(start(Branches()), samples, recipe(flip=False), **MACHINE).batch(0)[0]
    same = [torch.equal(a, b) for a, b in zip(flips, job.batch(0)[0])]
    assert any(same)
    assert not all(same)


def test_the_side_is_eight_sevenths_of_the_input(samples, monkeypatch):
    sides = []
    monkeypatch.setattr(
        trainer, "cut", lambda path, side, size, flip, rng: (
            sides.append((side, size)), np.zeros((3, size, size), np.uint8)
        )[1],
    )  # fmt: skip
    trainer.job(start(Branches()), samples, recipe(resize=0), **MACHINE).batch(0)
    assert set(sides) == {(16, 14)}


def test_the_loss_is_the_sum_over_branches(samples):
    module = Branches()
    job = trainer.job(start(module), samples, recipe(), **MACHINE)
    images, labels = job.batch(0)
    expected = 0.0
    for logits in module(images, labels):
        shares = logits.softmax(1)
        each = [-float(shares[row, label].log()) for row, label in enumerate(labels.tolist())]
        expected += sum(each) / len(each)
    assert float(job.loss(module, images, labels)) == pytest.approx(expected, rel=1e-5)
    single = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    job = trainer.job(start(single), samples, recipe(), **MACHINE)
    expected = nn.functional.cross_entropy(single(images), labels)
    assert torch.equal(job.loss(single, images, labels), expected)


def test_the_recipe_reaches_the_job(samples):
    asked = recipe(
        batch=5, epochs=3, decay_at=[1, 2], decay=0.5, nesterov=False, momentum=0.7,
        weight_decay=0.01, new_rate=7, bias_rate=3, bias_decay=False,
    )  # fmt: skip
    job = trainer.job(start(Branches()), samples, asked, **MACHINE)
    assert (job.epoch, job.steps, job.parts) == (3, 9, 1)
    assert [job.rate(step) for step in (0, 2, 3, 5, 6)] == [1, 1, 0.5, 0.5, 0.25]
    assert (job.momentum, job.weight_decay, job.nesterov) == (0.7, 0.01, False)
    assert job.groups[0]["told"] == {"new_rate": 7, "bias_rate": 3, "bias_decay": False}
    job = trainer.job(start(Branches()), samples, recipe(epoch_steps=7, epochs=2), **MACHINE)
    assert (job.epoch, job.steps) == (7, 14)


def test_a_step_s_images_are_shared_out(samples):
    ranks = Ranks(1, 2)
    whole = trainer.job(start(Branches()), samples, recipe(), **MACHINE)
    job = trainer.job(start(Branches()), samples, recipe(), **MACHINE, accumulate=2, ranks=ranks)
    assert job.parts == 4
    parts = [job.batch(number) for number in range(4)]
    assert torch.equal(torch.cat([inputs for inputs, _ in parts]), whole.batch(0)[0])
    assert torch.equal(torch.cat([labels for _, labels in parts]), whole.batch(0)[1])
    with pytest.raises(ValueError, match=r"batch is 4, .* 3 micro-batches of each of 1 processes"):
        trainer.job(start(Branches()), samples, recipe(), **MACHINE, accumulate=3)


def test_top1_is_of_whole_images(samples):
    """Squashed to the input; of ranks each counts its own."""
    module, val = Branches().eval(), [dataclasses.replace(s, split="val") for s in samples[:5]]
    hits, losses = 0, []
    for sample in val:
        pixels = torch.from_numpy(views.squash(read_image(sample.path), 14)) / 255
        logits = module(pixels[None])[0]
        hits += int(logits.argmax()) == sample.label
        losses.append(-float(logits.log_softmax(0)[sample.label]))
    job = trainer.job(start(module), [*samples, *val], recipe(), **MACHINE)
    row, score = job.judge(module, 9.0)
    assert row == {"val_loss": pytest.approx(np.mean(losses)), "val_top1": hits / 5}
    assert score == hits / 5
    sums = []

    class Counting(Ranks):
        def total(self, values):
            sums.append(values)
            return values

    for rank in (0, 1):
        trainer.measure(module, start(module), val, 2, "cpu", 1, Counting(rank, 2))
    assert (sums[0] + sums[1]).tolist() == [pytest.approx(sum(losses)), hits]
    assert sums[0][0] != sums[1][0]
    lonely = trainer.measure(module, start(module), val[:1], 2, "cpu", 1, Counting(1, 2))
    assert lonely == {"loss": 0, "top1": 0}


def test_images_are_held_out_where_there_are_none_to_judge_by(samples):
    train, val = trainer.hold_out(samples, 0.25, 0)
    assert (len(train), len(val)) == (9, 3)
    assert sorted(sample.label for sample in val) == [0, 1, 2]
    assert {sample.split for sample in (*train, *val)} == {"train"}
    assert {s.image_id for s in train} | {s.image_id for s in val} == {s.image_id for s in samples}
    own = [dataclasses.replace(samples[0], image_id="v", split="val")]
    assert trainer.hold_out([*samples, *own], 0.25, 0) == (samples, own)
    assert trainer.hold_out(samples, 0, 0) == (samples, [])
    job = trainer.job(start(Branches()), samples, recipe(), **MACHINE)
    assert job.judge(nn.Identity(), 3.0) == ({}, -3.0)


def test_what_cannot_be_learned_from_is_refused(samples):
    with pytest.raises(ValueError, match="two classes; of 4 to learn from all are of 1"):
        trainer.job(start(Branches()), samples[::3], recipe(), **MACHINE)
    with pytest.raises(ValueError, match="resize is 13, but the network's input is 14 pixels"):
        trainer.job(start(Branches()), samples, recipe(resize=13), **MACHINE)


@pytest.mark.parametrize("when", [1, 3])
def test_an_interrupted_run_ends_as_an_undisturbed_one(samples, interrupted, when):
    def again():
        torch.manual_seed(0)
        return trainer.job(start(Branches()), samples, recipe(), **MACHINE, accumulate=2)

    assert len(interrupted(again, when)) == 2


def test_recipes_are_files(tmp_path):
    names = {"vgg16-gap", "acol", "adl"}
    assert {*names, "mini-vgg-gap", "mini-acol", "mini-adl"} == set(recipes.names())
    assert {name: recipes.load(name).batch for name in names} == {
        "vgg16-gap": 32, "acol": 20, "adl": 256
    }  # fmt: skip
    (tmp_path / "mine.yaml").write_text("epochs: 3\n")
    with pytest.raises(ValueError, match=r"mine\.yaml: epoch_steps is missing; accepted: a whole"):
        recipes.load(str(tmp_path / "mine.yaml"))
    text = "\n".join(f"{k}: {list(v) if isinstance(v, tuple) else v}"
                     for k, v in vars(recipes.load("acol")).items())  # fmt: skip
    (tmp_path / "mine.yaml").write_text(text.replace("batch: 20", "batch: 0"))
    with pytest.raises(ValueError, match=r"mine\.yaml: batch is 0; accepted: a whole number from"):
        recipes.load(str(tmp_path / "mine.yaml"))
    (tmp_path / "mine.yaml").write_text(text.replace("lr:", "rate:"))
    with pytest.raises(ValueError, match=r"mine\.yaml: unknown field 'rate'"):
        recipes.load(str(tmp_path / "mine.yaml"))
    with pytest.raises(ValueError, match="unknown recipe 'acoll'; known: acol, adl"):
        recipes.load("acoll")
    (tmp_path / "mine.yaml").write_text("[1]\n")
    with pytest.raises(ValueError, match="expected a mapping of a recipe's fields"):
        recipes.load(str(tmp_path / "mine.yaml"))
