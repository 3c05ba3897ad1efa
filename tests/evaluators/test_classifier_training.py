"""The multi-label classifier: crops, targets, average precision, rates, and that a kill changes nothing."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score
from torch import nn

from camcore import networks
from evaluators import classifier_training, training
from evaluators.classifier_training import Recipe


class Scene(NamedTuple):
    image_id: str
    path: Path
    labels: tuple[int, ...]


@pytest.fixture
def scenes(tmp_path):
    """Six grey images, brighter where they hold class 0."""
    found = []
    for index, labels in enumerate([(0,), (1,), (0, 2), (2,), (), (0, 1, 2)]):
        rng = np.random.default_rng(index)
        pixels = rng.integers(0, 100, (30 + index, 44 - 2 * index, 3)) + 120 * (0 in labels)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{index}.png")
        found.append(Scene(str(index), tmp_path / f"{index}.png", labels))
    return found


def start(classes=3, side=24):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, classes))
    form = networks.Preprocessing("torchvision", (0.5,) * 3, (0.25,) * 3)
    groups = lambda lr: [{"params": list(module.parameters()), "lr": lr}]  # noqa: E731
    return networks.Start("tiny", module, side, form, "none", "", groups)


@pytest.mark.parametrize("levels", [3, 10, 10_000])
def test_average_precision_is_scikit_learn_s(levels):
    rng = np.random.default_rng(levels)
    scores = rng.integers(0, levels, (80, 7)).astype(float)
    truth = rng.random((80, 7)) < 0.2
    truth[:, 3] = False
    truth[:, 4] = True
    found = [classifier_training.average_precision(s, t) for s, t in zip(scores.T, truth.T)]
    expected = [average_precision_score(t, s) for s, t in zip(scores.T, truth.T) if t.any()]
    assert np.isnan(found[3])
    assert [f for f in found if not np.isnan(f)] == pytest.approx(expected)
    assert classifier_training.mean_average_precision(scores, truth) == pytest.approx(np.mean(expected))
    assert np.isnan(classifier_training.mean_average_precision(scores, np.zeros_like(truth)))


def test_targets(scenes):
    assert classifier_training.targets(scenes, 3).tolist() == [
        [True, False, False], [False, True, False], [True, False, True], [False, False, True], [False] * 3, [True] * 3,
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"0\.png: label 20 is not one of the 20 classes, 0\.\.19$"):
        classifier_training.targets([scenes[0]._replace(labels=(3, 20))], 20)


def test_crops_are_windows_of_the_resized_image(scenes):
    scene = scenes[0]
    image = Image.open(scene.path)
    whole = np.asarray(image.resize((round(44 * 24 / 30), 24))).transpose(2, 0, 1)
    windows = np.lib.stride_tricks.sliding_window_view(whole, (3, 24, 24))[0]
    places = set()
    for draw in range(40):
        found = classifier_training.crop(scene.path, 24, True, np.random.default_rng(draw))
        assert (found.shape, found.dtype) == ((3, 24, 24), np.uint8)
        hits = [(turn, x) for turn in (1, -1) for x in range(windows.shape[1]) if (windows[0, x] == found[..., ::turn]).all()]
        assert len(hits) == 1
        places.add(hits[0])
    assert {turn for turn, _ in places} == {1, -1}
    assert {x for _, x in places} == set(range(whole.shape[2] - 23))


def test_the_job_is_the_recipe_s(scenes):
    recipe = Recipe(epochs=3, batch=2)
    task = classifier_training.job(start(), scenes, scenes, recipe, 0, "cpu", 1)
    assert (task.epoch, task.steps) == (3, 9)
    assert [task.rate(step) for step in (0, 5, 6, 8)] == pytest.approx([1, 1, 0.1, 0.1])
    assert (task.momentum, task.weight_decay, Recipe().lr, Recipe().epochs) == (0.9, 5e-4, 1e-3, 15)
    images, labels = task.batch(4)
    assert (images.shape, labels.shape, labels.dtype) == ((2, 3, 24, 24), (2, 3), torch.float32)
    assert all(a.equal(b) for a, b in zip(task.batch(4), (images, labels)))
    drawn = torch.cat([task.batch(step)[1] for step in range(3)])
    assert sorted(drawn.tolist()) == sorted(classifier_training.targets(scenes, 3).astype(float).tolist())
    task.module.eval()
    logits = task.module(images)
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, labels)
    assert torch.allclose(task.loss(images, labels), entropy)


def test_rates_on_the_optimiser(scenes):
    """The backbone times 1 and 2, what CAM adds times 10 and 20."""
    begun = networks.start("mini-vgg-voc", "none", 3, 0)
    task = classifier_training.job(begun, scenes, [], Recipe(), 0, "cpu", 1)
    groups = training.sgd(task).param_groups
    assert [g["lr"] for g in groups] == pytest.approx([1e-3, 2e-3, 1e-2, 2e-2])
    assert [len(g["params"]) for g in groups] == [26, 26, 2, 2]
    assert {g["weight_decay"] for g in groups} == {5e-4}
    assert task.batch(0)[0].shape == (5, 3, 112, 112)


def test_measured_on_whole_images_in_order(scenes):
    """The same whatever the batch; the mAP is that of the network's logits."""
    begun = start()
    begun.module.eval()
    truth = classifier_training.targets(scenes, 3)
    found = [classifier_training.measure(begun.module, begun, scenes, truth, batch, "cpu", 2) for batch in (1, 4, 6)]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert found[0] == pytest.approx(found[2], rel=1e-5)
    images = np.stack([np.asarray(Image.open(s.path).resize((24, 24), Image.Resampling.BILINEAR)).transpose(2, 0, 1) for s in scenes])
    with torch.no_grad():
        logits = begun.module(begun.preprocessing(torch.from_numpy(images))).numpy()
    assert found[0]["map"] == pytest.approx(average_precision_score(truth, logits, average="macro"))


@pytest.mark.parametrize("when", [2, 3, 5])
def test_an_interrupted_run_ends_as_an_undisturbed_one(scenes, tmp_path, monkeypatch, when):
    def job():
        return classifier_training.job(start(), scenes, scenes, Recipe(epochs=2, batch=2), 0, "cpu", 2)

    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    rows = training.fit(job(), tmp_path / "whole", lambda *_: None)
    assert {"train_loss", "val_loss", "val_map"} <= set(rows[0])
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    done = []

    def stop(steps, _line):
        done.append(steps)
        if sum(done) == when:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.fit(job(), tmp_path / "broken", stop)
    assert training.fit(job(), tmp_path / "broken", lambda *_: None) == rows
    for name in ("best", "last"):
        whole, broken = (load_file(tmp_path / run / f"{name}.safetensors") for run in ("whole", "broken"))
        assert all(whole[k].equal(broken[k]) for k in whole)


def test_a_class_that_shows_is_learned(scenes, tmp_path):
    rows = training.fit(
        classifier_training.job(start(), scenes, scenes, Recipe(epochs=20, batch=6, lr=0.1), 0, "cpu", 1), tmp_path, lambda *_: None
    )
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert rows[-1]["val_map"] > 0.6


def test_nothing_to_learn_from_is_one_clear_line(scenes):
    with pytest.raises(ValueError, match="training needs images with labels; of 1 none has one"):
        classifier_training.job(start(), [scenes[4]], [], Recipe(), 0, "cpu", 1)
