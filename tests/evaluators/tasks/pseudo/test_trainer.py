"""The multi-label classifier: crops, targets, average precision, rates, and that a kill changes
nothing.
"""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from torch import nn

from camx.camcore import networks
from camx.evaluators import training
from camx.evaluators.tasks.pseudo import trainer
from camx.evaluators.tasks.pseudo.trainer import Recipe
from camx.evaluators.types import Scene


@pytest.fixture
def scenes(tmp_path):
    """Six grey images, brighter where they hold class 0."""
    scenes = []
    for index, labels in enumerate([(0,), (1,), (0, 2), (2,), (), (0, 1, 2)]):
        rng = np.random.default_rng(index)
        pixels = rng.integers(0, 100, (30 + index, 44 - 2 * index, 3)) + 120 * (0 in labels)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{index}.png")
        scenes.append(Scene(str(index), tmp_path / f"{index}.png", labels))
    return scenes


def start(classes=3, side=24):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(8, classes),
    )
    form = networks.Preprocessing("torchvision", (0.5,) * 3, (0.25,) * 3)

    def groups(lr):
        return [{"params": list(module.parameters()), "lr": lr}]

    return networks.Start(
        name="tiny", module=module, input_size=side, classes=classes, preprocessing=form,
        init="none", sha256="", groups=groups,
    )  # fmt: skip


def job(begun, train, validation, recipe, seed=0, workers=1):
    return trainer.job(begun, train, validation, recipe, seed=seed, device="cpu", workers=workers)


@pytest.mark.parametrize("levels", [3, 10, 10_000])
def test_average_precision_is_scikit_learn_s(levels):
    rng = np.random.default_rng(levels)
    scores = rng.integers(0, levels, (80, 7)).astype(float)
    truth = rng.random((80, 7)) < 0.2
    truth[:, 3] = False
    truth[:, 4] = True
    ours = [trainer.average_precision(s, t) for s, t in zip(scores.T, truth.T)]
    expected = [average_precision_score(t, s) for s, t in zip(scores.T, truth.T) if t.any()]
    assert np.isnan(ours[3])
    assert [value for value in ours if not np.isnan(value)] == pytest.approx(expected)
    assert trainer.mean_average_precision(scores, truth) == pytest.approx(np.mean(expected))
    assert np.isnan(trainer.mean_average_precision(scores, np.zeros_like(truth)))


def test_targets(scenes):
    assert trainer.targets(scenes, 3).tolist() == [
        [True, False, False], [False, True, False], [True, False, True],
        [False, False, True], [False] * 3, [True] * 3,
    ]  # fmt: skip
    with pytest.raises(
        ValueError, match=r"0\.png: label 20 is not one of the 20 classes, 0\.\.19$"
    ):
        trainer.targets([dataclasses.replace(scenes[0], labels=(3, 20))], 20)


def test_crops_are_windows_of_the_resized_image(scenes):
    scene = scenes[0]
    image = Image.open(scene.path)
    whole = np.asarray(image.resize((round(44 * 24 / 30), 24))).transpose(2, 0, 1)
    windows = np.lib.stride_tricks.sliding_window_view(whole, (3, 24, 24))[0]
    places = set()
    for draw in range(40):
        square = trainer.crop(scene.path, 24, True, np.random.default_rng(draw))
        assert (square.shape, square.dtype) == ((3, 24, 24), np.uint8)
        hits = [
            (turn, x)
            for turn in (1, -1)
            for x in range(windows.shape[1])
            if (windows[0, x] == square[..., ::turn]).all()
        ]
        assert len(hits) == 1
        places.add(hits[0])
    assert {turn for turn, _ in places} == {1, -1}
    assert {x for _, x in places} == set(range(whole.shape[2] - 23))


def test_the_job_is_the_recipe_s(scenes):
    recipe = Recipe(epochs=3, batch=2)
    task = job(start(), scenes, scenes, recipe)
    assert (task.epoch, task.steps) == (3, 9)
    assert [task.rate(step) for step in (0, 5, 6, 8)] == pytest.approx([1, 1, 0.1, 0.1])
    assert (task.momentum, task.weight_decay, Recipe().lr, Recipe().epochs) == (0.9, 5e-4, 1e-3, 15)
    images, labels = task.batch(4)
    assert (images.shape, labels.shape, labels.dtype) == ((2, 3, 24, 24), (2, 3), torch.float32)
    assert all(a.equal(b) for a, b in zip(task.batch(4), (images, labels)))
    drawn = torch.cat([task.batch(step)[1] for step in range(3)])
    assert sorted(drawn.tolist()) == sorted(trainer.targets(scenes, 3).astype(float).tolist())
    task.module.eval()
    logits = task.module(images)
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, labels)
    assert torch.allclose(task.loss(task.module, images, labels), entropy)


def test_the_recipe_is_that_of_oaa():
    assert dataclasses.asdict(Recipe()) == {
        "epochs": 15, "batch": 5, "lr": 0.001, "momentum": 0.9, "weight_decay": 0.0005,
        "decay_at": 2 / 3, "decay": 0.1, "side": 0, "flip": True, "precision": "auto",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [
        ("epochs", 0, "a whole number from 1"),
        ("batch", 0, "a whole number from 1"),
        ("lr", float("nan"), "a number above 0"),
        ("momentum", float("nan"), "a number from 0 to below 1"),
        ("weight_decay", -0.1, "a number from 0"),
        ("decay_at", 1.1, "a number from 0 to 1"),
        ("decay", 0, "a number above 0"),
        ("side", -1, "a whole number from 0"),
        ("flip", "yes", "true, false"),
        ("precision", "half", "auto, float32, bf16"),
    ],
)
def test_a_recipe_refuses(field, value, accepted):
    with pytest.raises(ValueError, match=f"^{field} is .*; accepted: {accepted}$"):
        Recipe(**{field: value})


def test_the_recipe_reaches_the_optimiser(scenes):
    recipe = Recipe(momentum=0.7, weight_decay=0.02, lr=0.01, decay=0.5, decay_at=0.5, batch=2)
    task = job(start(), scenes, [], recipe)
    (group,) = training.sgd(task).param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.01, 0.7, 0.02)
    assert not group["nesterov"]
    (group,) = training.sgd(dataclasses.replace(task, nesterov=True)).param_groups
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.7, 0.02, True)
    assert task.steps == 45
    assert [task.rate(step) for step in (0, 22, 23, 44)] == [1, 1, 0.5, 0.5]


def test_images_are_shown_as_the_recipe_says(scenes):
    """Of the side asked for, and never mirrored unless asked: darker to the right, they stay so."""
    ramp = np.linspace(200, 0, 40).astype(np.uint8)[None, :, None].repeat(40, 0).repeat(3, 2)
    Image.fromarray(ramp).save(scenes[0].path)
    for flip, expected in ((False, {True}), (True, {True, False})):
        task = job(start(), scenes[:1], [], Recipe(batch=20, side=40, flip=flip))
        images, _ = task.batch(0)
        assert images.shape == (20, 3, 40, 40)
        assert {bool(image[0, 0, 0] > image[0, 0, -1]) for image in images} == expected


def test_the_seed_is_the_job_s(scenes):
    task = job(start(), scenes, [], Recipe(), seed=3, workers=2)
    assert (task.seed, task.device, task.workers) == (3, "cpu", 2)
    assert not task.batch(0)[0].equal(job(start(), scenes, [], Recipe()).batch(0)[0])


def test_the_last_parameters_need_not_be_the_head_s(scenes, tmp_path):
    """How many classes there are is the network's to say: here its last bias is of eight."""

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(8, 3)
            self.features = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 8))

        def forward(self, images):
            return self.head(self.features(images))

    module = Odd()
    begun = dataclasses.replace(start(), module=module)
    task = job(begun, scenes, scenes, Recipe(epochs=1, batch=2))
    assert task.batch(0)[1].shape == (2, 3)
    assert np.isfinite(training.fit(task, tmp_path, lambda *_: None)[0]["val_loss"])
    for train, validation in ((scenes, [strange(scenes)]), ([strange(scenes)], scenes)):
        with pytest.raises(ValueError, match="label 3 is not one of the 3 classes"):
            job(begun, train, validation, Recipe())


def strange(scenes):
    """A scene with a class too many."""
    return dataclasses.replace(scenes[0], labels=(3,))


def test_rates_on_the_optimiser(scenes):
    """The backbone times 1 and 2, what CAM adds times 10 and 20."""
    begun = networks.start("mini-vgg-voc", "none", 3, 0)
    task = job(begun, scenes, [], Recipe())
    groups = training.sgd(task).param_groups
    assert [g["lr"] for g in groups] == pytest.approx([1e-3, 2e-3, 1e-2, 2e-2])
    assert [len(g["params"]) for g in groups] == [26, 26, 2, 2]
    assert {g["weight_decay"] for g in groups} == {5e-4}
    assert task.batch(0)[0].shape == (5, 3, 112, 112)


def test_measured_on_whole_images_in_order(scenes):
    """The same whatever the batch; the mAP is that of the network's logits."""
    begun = start()
    begun.module.eval()
    truth = trainer.targets(scenes, 3)
    values, *others = (
        trainer.measure(begun.module, begun, scenes, batch, "cpu", 2) for batch in (1, 4, 6)
    )
    for other in others:
        assert values == pytest.approx(other, rel=1e-5)
    squares = [Image.open(s.path).resize((24, 24), Image.Resampling.BILINEAR) for s in scenes]
    images = np.stack([np.asarray(square).transpose(2, 0, 1) for square in squares])
    with torch.no_grad():
        logits = begun.module(begun.preprocessing(torch.from_numpy(images))).numpy()
    assert values["map"] == pytest.approx(average_precision_score(truth, logits, average="macro"))


@pytest.mark.parametrize("when", [2, 3, 5])
def test_an_interrupted_run_ends_as_an_undisturbed_one(scenes, interrupted, tmp_path, when):
    def again():
        return job(start(), scenes, scenes, Recipe(epochs=2, batch=2), workers=2)

    rows = interrupted(again, when)
    assert {"train_loss", "val_loss", "val_map"} <= set(rows[0])
    assert (tmp_path / "whole/best.safetensors").is_file()


def test_a_class_that_shows_is_learned(scenes, tmp_path):
    task = job(start(), scenes, scenes, Recipe(epochs=20, batch=6, lr=0.1))
    rows = training.fit(task, tmp_path, lambda *_: None)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert rows[-1]["val_map"] > 0.6


def test_nothing_to_learn_from_is_one_clear_line(scenes):
    with pytest.raises(ValueError, match="training needs images with labels; of 1 none has one"):
        job(start(), [scenes[4]], [], Recipe())
