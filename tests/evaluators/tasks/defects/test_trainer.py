"""The defect classifier: recipe, orders, flips, balance, what is held out, and ROC-AUC."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from camx.camcore import networks
from camx.evaluators import datasets, training
from camx.evaluators.ranks import Ranks
from camx.evaluators.tasks.defects import trainer
from camx.evaluators.tasks.defects.trainer import Recipe


@pytest.fixture(scope="module")
def samples(camx_home):
    """Those of the miniature: 300 good and 300 defective images to learn from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMX_HOME", str(camx_home))
        return datasets.load("mini", "defects").samples


@pytest.fixture
def few(samples):
    """Thirty of each kind to learn from, and to test."""
    kinds = [(split, label) for split in ("train", "test") for label in (0, 1)]
    parts = [[s for s in samples if (s.split, s.label) == kind][:30] for kind in kinds]
    return [dataclasses.replace(sample, group="") for part in parts for sample in part]


@pytest.fixture
def rare(samples):
    """100 of 400 images to learn from are defective."""
    train = [s for s in samples if s.split == "train"]
    return [s for s in train if not s.label] + [s for s in train if s.label][:100]


def start():
    return networks.start("mini-defects", "none", 2, 0)


def job(samples, seed=0, workers=1, **recipe):
    recipe = Recipe(**recipe)
    return trainer.job(start(), samples, recipe, seed=seed, device="cpu", workers=workers)


def test_the_recipe_is_the_paper_s():
    assert dataclasses.asdict(Recipe()) == {
        "epochs": 15, "batch": 32, "lr": 0.001, "momentum": 0.9, "weight_decay": 0.0,
        "decay_at": (5, 10), "decay": 0.1, "balance": "none", "flip": False, "validation": 0.0,
        "precision": "auto",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [
        ("epochs", 0, "a whole number from 1"),
        ("batch", 0, "a whole number from 1"),
        ("lr", float("nan"), "a number above 0"),
        ("lr", 0, "a number above 0"),
        ("momentum", float("nan"), "a number from 0 to below 1"),
        ("momentum", 1, "a number from 0 to below 1"),
        ("weight_decay", -0.1, "a number from 0"),
        ("decay_at", (5, -1), r"whole numbers from 0, such as \[5, 10\]"),
        ("decay", 0, "a number above 0"),
        ("balance", "both", "none, loss, sample"),
        ("validation", 1, "a number from 0 to below 1"),
        ("precision", "half", "auto, float32, bf16"),
    ],
)
def test_a_recipe_refuses(field, value, accepted):
    with pytest.raises(ValueError, match=f"^{field} is .*; accepted: {accepted}$"):
        Recipe(**{field: value})


def test_the_recipe_reaches_the_optimiser(samples):
    task = job(samples, momentum=0.7, weight_decay=0.02, lr=0.01)
    (group,) = training.sgd(task).param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.01, 0.7, 0.02)
    assert not group["nesterov"]
    assert len(group["params"]) == len(list(task.module.parameters()))
    (group,) = training.sgd(dataclasses.replace(task, nesterov=True)).param_groups
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.7, 0.02, True)


def test_the_job_is_the_recipe_s(samples):
    task = job(samples)
    assert (task.epoch, task.steps, task.precision) == (19, 285, "float32")
    assert job(samples, precision="bf16").precision == "bf16"
    steps = (0, 94, 95, 189, 190, 284)
    assert [task.rate(s) for s in steps] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    task = job(samples, epochs=3, batch=100, decay_at=(1,), decay=0.5)
    assert [task.rate(s) for s in (5, 6, 17)] == [1, 0.5, 0.5]
    assert (task.epoch, task.steps) == (6, 18)


def test_an_epoch_shows_each_image_once(few):
    """Its last batch is what is left."""
    task = job(few, batch=40)
    pictures = trainer.Pictures([s for s in few if s.split == "train"], start())
    for epoch in range(2):
        order = trainer.order(pictures.labels, "none", 0, epoch)
        for step, places in ((2 * epoch, order[:40]), (2 * epoch + 1, order[40:])):
            images, labels = task.batch(step)
            assert images.equal(pictures.batch(places))
            assert labels.numpy().tolist() == pictures.labels[places].tolist()


def test_nothing_to_learn_from_is_one_clear_line(samples):
    with pytest.raises(ValueError, match="needs good and defective images; the train split has 0"):
        job([s for s in samples if s.split == "test"])
    with pytest.raises(ValueError, match=r"validation 0\.002 holds out 1 images, of one kind"):
        job(samples, validation=0.002)


def test_the_seed_is_the_job_s(few):
    task = job(few, seed=3, workers=2, batch=4)
    assert (task.seed, task.device, task.workers) == (3, "cpu", 2)
    assert not task.batch(0)[0].equal(job(few, batch=4).batch(0)[0])


def test_orders():
    labels = np.array([0] * 90 + [1] * 10)
    plain = trainer.order(labels, "none", 0, 3)
    assert sorted(plain) == list(range(100))
    assert not np.array_equal(plain, trainer.order(labels, "none", 0, 4))
    assert 30 < labels[trainer.order(labels, "sample", 0, 0)].sum() < 70


def test_both_classes_equally_often(rare):
    shares = {}
    for balance in ("none", "loss", "sample"):
        task = job(rare, balance=balance, batch=400)
        shares[balance] = float(task.batch(0)[1].float().mean())
    assert shares["none"] == shares["loss"] == 0.25
    assert 0.42 < shares["sample"] < 0.58


def test_weights_against_imbalance(rare):
    images, labels = torch.randn(4, 3, 112, 112), torch.tensor([0, 1, 1, 0])
    even = torch.ones(2)
    for balance, weights in (("sample", even), ("loss", torch.tensor([2 / 3, 2]))):
        task = job(rare, balance=balance)
        task.module.eval()
        expected = nn.functional.cross_entropy(task.module(images), labels, weights)
        assert torch.allclose(task.loss(task.module, images, labels), expected)


def test_flips_are_the_step_s():
    images = torch.arange(2 * 3 * 4 * 4).view(2, 3, 4, 4).float()
    mirrored = trainer.mirrorings(0, 5, 2)
    turned = trainer.flipped(images, mirrored)
    assert turned.equal(trainer.flipped(images, trainer.mirrorings(0, 5, 2)))
    for image, other in zip(images, turned):
        mirrors = (image, image.flip(2), image.flip(1), image.flip((1, 2)))
        assert any(other.equal(mirror) for mirror in mirrors)
    many = torch.arange(16.0).view(1, 1, 4, 4).expand(200, 3, 4, 4)
    corners = {
        float(image[0, 0, 0]) for image in trainer.flipped(many, trainer.mirrorings(0, 0, 200))
    }
    assert corners == {0, 3, 12, 15}


def test_images_are_flipped_where_asked(samples):
    plain, mirrored = (job(samples, batch=8, flip=flip).batch(3)[0] for flip in (False, True))
    assert not plain.equal(mirrored)
    assert trainer.flipped(plain, trainer.mirrorings(0, 3, 8)).equal(mirrored)


def test_a_step_s_images_are_shared_out(few):
    """Of 60 the last step has 28 of 32: filled up to equal parts with the epoch's first."""
    machine = {"seed": 0, "device": "cpu", "workers": 1}
    recipe = Recipe(flip=True)
    whole = trainer.job(start(), few, recipe, **machine)
    shared = trainer.job(start(), few, recipe, **machine, accumulate=2, ranks=Ranks(1, 4))
    assert (whole.parts, shared.parts, whole.steps) == (1, 8, shared.steps)
    parts = [shared.batch(number) for number in range(8)]
    assert torch.cat([inputs for inputs, _ in parts]).equal(whole.batch(0)[0])
    assert torch.cat([labels for _, labels in parts]).equal(whole.batch(0)[1])
    last = [shared.batch(number)[1] for number in range(8, 16)]
    assert [len(labels) for labels in last] == [4] * 8
    assert torch.cat(last)[:28].equal(whole.batch(1)[1])
    assert torch.cat(last)[28:].equal(whole.batch(0)[1][:4])
    with pytest.raises(ValueError, match=r"batch is 32, .* 3 micro-batches of each of 1 processes"):
        trainer.job(start(), few, recipe, **machine, accumulate=3)


def test_a_step_of_fewer_images_than_parts_is_filled_up():
    places = np.array([3, 1, 2])
    assert trainer.step_of(places, 0, 8, 8).tolist() == [3, 1, 2, 3, 1, 2, 3, 1]
    assert trainer.step_of(places, 1, 2, 2).tolist() == [2, 3]
    assert trainer.step_of(places, 1, 2, 1).tolist() == [2]


def test_the_first_rank_judges(few):
    class Second(Ranks):
        def told(self, value):
            assert value is None
            return {"test_loss": 1.0}, 2.0

    shared = trainer.job(
        start(), few, Recipe(), seed=0, device="cpu", workers=1, ranks=Second(1, 2)
    )
    assert shared.judge(None, 0.0) == ({"test_loss": 1.0}, 2.0)


def test_the_test_images_choose_nothing(samples):
    """The best epoch is by the held-out images, or the training loss; they come from the train
    split alone.
    """
    train, validation = trainer.hold_out([s for s in samples if s.split == "train"], 0.25, 0)
    assert (len(train), len(validation)) == (450, 150)
    assert sum(s.label for s in validation) == 75
    assert {s.split for s in train + validation} == {"train"}
    assert not {s.image_id for s in train} & {s.image_id for s in validation}


def test_the_score_is_the_validation_s(few):
    task = job(few, validation=0.2, batch=16)
    assert task.epoch == 3  # of 48 images, of which 12 are held out
    row, score = task.judge(task.module.eval(), 0.5)
    keys = [f"{part}_{key}" for part in ("val", "test") for key in ("loss", "accuracy", "auc")]
    assert list(row) == keys
    assert score == row["val_auc"]
    task = job(few, batch=16)
    assert task.epoch == 4
    row, score = task.judge(task.module.eval(), 0.5)
    assert list(row) == keys[3:]
    assert score == -0.5


def test_auc_is_scikit_learn_s():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 6, 60).astype(float), rng.integers(0, 2, 60)
    assert trainer.auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    assert np.isnan(trainer.auc(scores, np.ones(60)))
