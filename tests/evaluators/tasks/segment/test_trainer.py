"""Training on pseudo labels: crops and their labels, what is ignored, rates, and that a kill
changes nothing.
"""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch import nn
from torch.nn.functional import cross_entropy, interpolate

from camx.camcore import networks
from camx.camcore.segmenters import deeplab_vgg16
from camx.evaluators import draws, training
from camx.evaluators.tasks.segment import trainer
from camx.evaluators.tasks.segment.trainer import Recipe

PLAIN = networks.Preprocessing("plain", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), scale=1.0)
SMALL = Recipe(iterations=4, batch=2, crop=33, log_every=2)


def read(path):
    return np.asarray(Image.open(path))


def start(module=None, preprocessing=PLAIN, groups=None):
    module = module or nn.Sequential(nn.Conv2d(3, 21, 1, stride=8))
    groups = groups or (lambda lr: [{"params": list(module.parameters()), "lr": lr}])
    return networks.Start(
        name="tiny", module=module, input_size=33, classes=21, preprocessing=preprocessing,
        init="none", sha256="", groups=groups,
    )  # fmt: skip


def job(begun, pairs, recipe, seed=0, workers=1):
    return trainer.job(begun, pairs, read, recipe, seed=seed, device="cpu", workers=workers)


@pytest.fixture
def pairs(tmp_path):
    """Five images in blocks of eight pixels, one class a block, each colour its own label (in the
    red channel).
    """
    pairs = []
    for index, (height, width) in enumerate([(40, 64), (64, 40), (24, 24), (48, 48), (16, 80)]):
        rng = np.random.default_rng(index)
        labels = (
            rng.integers(0, 21, (height // 8, width // 8), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        )
        labels[:8, :8] = 255
        image, path = tmp_path / f"{index}.png", tmp_path / f"{index}-labels.png"
        Image.fromarray(np.stack([labels, 255 - labels, labels], 2)).save(image)
        Image.fromarray(labels).save(path)
        pairs.append((image, path))
    return pairs


def crops(pairs, recipe, draws=60):
    for draw in range(draws):
        rng = np.random.default_rng([0, 2, draw])
        yield trainer.example(pairs[draw % len(pairs)], read, start(), recipe, rng)


def test_the_recipe_is_the_paper_s():
    assert dataclasses.asdict(Recipe()) == {
        "iterations": 16000, "batch": 10, "lr": 0.001, "power": 0.9, "momentum": 0.9,
        "weight_decay": 0.0005, "crop": 321, "scales": (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3),
        "mirror": True, "log_every": 1000, "precision": "auto",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [
        ("iterations", 0, "a whole number from 1"),
        ("batch", 0, "a whole number from 1"),
        ("lr", float("nan"), "a number above 0"),
        ("power", -1, "a number from 0"),
        ("momentum", float("nan"), "a number from 0 to below 1"),
        ("weight_decay", -0.1, "a number from 0"),
        ("crop", 16, "a whole number from 17"),
        ("scales", (1.0, 0), r"numbers above 0, such as \[0.5, 1.0\]"),
        ("log_every", 0, "a whole number from 1"),
        ("precision", "half", "auto, float32, bf16"),
    ],
)
def test_a_recipe_refuses(field, value, accepted):
    with pytest.raises(ValueError, match=f"^{field} is .*; accepted: {accepted}$"):
        Recipe(**{field: value})


def test_the_recipe_reaches_the_optimiser(pairs):
    """Biases of the network's own groups have no weight decay; all else is the recipe's."""
    begun = networks.start("mini-largefov", "none", 21, 0, package=networks.SEGMENTERS)
    recipe = Recipe(momentum=0.7, weight_decay=0.02, lr=0.01, power=2, iterations=10, log_every=4)
    task = job(begun, pairs, recipe)
    for nesterov in (False, True):
        groups = training.sgd(dataclasses.replace(task, nesterov=nesterov)).param_groups
        assert {g["momentum"] for g in groups} == {0.7}
        assert [g["weight_decay"] for g in groups] == [0.02, 0, 0.02, 0]
        assert {g["nesterov"] for g in groups} == {nesterov}
        assert [g["lr"] for g in groups] == pytest.approx([0.01, 0.02, 0.1, 0.2])
    assert not task.nesterov
    assert (task.steps, task.epoch) == (10, 4)
    assert [task.rate(step) for step in (0, 1, 9)] == pytest.approx([1, 0.81, 0.01])


def test_the_last_parameters_need_not_be_the_head_s(pairs):
    """How many classes there are is the network's to say: here its last parameter is a slope."""
    module = nn.Sequential(nn.Conv2d(3, 21, 1, stride=8), nn.PReLU())
    images, labels = job(start(module), pairs, SMALL).batch(0)
    assert set(labels.unique().tolist()) - {255} <= set(range(21))
    assert images.shape == (2, 3, 33, 33)


def test_images_and_labels_stay_together(pairs):
    """Where a block's inside is shown, its colour is its label; the rest is filled with zero and
    255.
    """
    for image, labels in crops(pairs, Recipe(crop=33)):
        assert (image.shape, labels.shape, labels.dtype) == ((3, 33, 33), (33, 33), torch.uint8)
        same = image[0] == labels
        outside = (image == 0).all(0) & (labels == 255)
        # Colours blend where blocks meet, within a pixel of the border between two labels.
        around = labels.float()[None, None]
        flat = (nn.functional.max_pool2d(around, 3, 1) == -nn.functional.max_pool2d(-around, 3, 1))[
            0, 0
        ]
        assert bool((same | outside)[1:-1, 1:-1][flat].all())
        assert int(flat.sum()) > 200


def test_without_scales_pixels_are_the_image_s(pairs):
    for draw, (image, labels) in enumerate(
        crops(pairs, Recipe(crop=24, scales=(1.0,), mirror=False), 10)
    ):
        whole = read(pairs[draw % 5][0])
        inside = labels.shape[0] if whole.shape[0] >= 24 else whole.shape[0]
        shown = image[:, :inside].permute(1, 2, 0).numpy()
        windows = np.lib.stride_tricks.sliding_window_view(whole, (inside, 24, 3))[:, :, 0]
        assert (windows == shown).all((2, 3, 4)).any()


def test_places_scales_and_mirrors_vary(pairs):
    cuts = [
        trainer.cut(
            *trainer.read_pair(pairs[0], read, 21), Recipe(crop=17), np.random.default_rng(i)
        )
        for i in range(50)
    ]
    assert len({c[0].tobytes() for c in cuts}) > 40
    assert 10 < sum(c[2] for c in cuts) < 40
    assert not trainer.cut(
        *trainer.read_pair(pairs[0], read, 21), Recipe(mirror=False), np.random.default_rng(1)
    )[2]


def test_small_images_are_filled_with_the_mean(pairs):
    form = networks.Preprocessing(
        "caffe", deeplab_vgg16.CAFFE_MEAN_BGR, (1.0,) * 3, scale=1.0, bgr=True
    )
    recipe = Recipe(crop=97, scales=(1.0,), mirror=False)
    image, labels = trainer.example(
        pairs[0], read, start(preprocessing=form), recipe, np.random.default_rng(0)
    )
    assert bool((image[:, 40:] == 0).all())
    assert bool((image[:, :, 64:] == 0).all())
    assert bool((labels[40:] == 255).all())
    assert bool((labels[:, 64:] == 255).all())
    assert np.array_equal(labels[:40, :64], read(pairs[0][1]))
    red = torch.from_numpy(read(pairs[0][0])[..., 0].copy()).float()
    assert torch.allclose(image[2, :40, :64], red - 122.67892, atol=1e-4)  # channels reversed


def test_a_batch_follows_from_seed_and_step(pairs):
    task, again, other = (job(start(), pairs, SMALL, seed, workers=2) for seed in (0, 0, 1))
    images, labels = task.batch(3)
    assert (images.shape, labels.shape) == ((2, 3, 33, 33), (2, 33, 33))
    assert (other.seed, other.device, other.workers) == (1, "cpu", 2)
    again.batch(0)
    assert all(a.equal(b) for a, b in zip(again.batch(3), (images, labels)))
    assert not other.batch(3)[0].equal(images)
    assert not task.batch(2)[0].equal(images)


def test_every_image_is_drawn_once_an_epoch():
    drawn = draws.shuffled(7, 0, range(21))
    assert all(sorted(drawn[at : at + 7]) == list(range(7)) for at in (0, 7, 14))
    assert drawn[:7] != drawn[7:14]
    assert draws.shuffled(7, 0, range(5, 10)) == drawn[5:10]


def test_255_is_ignored():
    """Neither the loss nor any gradient knows what the network says there."""
    torch.manual_seed(0)
    labels = torch.randint(0, 21, (2, 33, 33), dtype=torch.uint8)
    labels[0, :, 5:20], labels[1, 7:] = 255, 255
    logits = torch.randn(2, 21, 33, 33, requires_grad=True)
    loss = trainer.pixel_loss(logits, labels.long())
    (gradient,) = torch.autograd.grad(loss, logits)
    hidden = (labels == 255)[:, None].expand_as(logits)
    assert bool((gradient[hidden] == 0).all())
    assert bool((gradient[~hidden] != 0).all())
    changed = torch.where(hidden, 100 * torch.randn_like(logits), logits)
    assert trainer.pixel_loss(changed, labels.long()).equal(loss)
    each = [
        cross_entropy(logits[i : i + 1], labels[i : i + 1].long(), ignore_index=255)
        for i in range(2)
    ]
    assert torch.allclose(loss, torch.stack(each).mean())


def test_nothing_but_255_costs_nothing():
    logits = torch.randn(1, 21, 9, 9, requires_grad=True)
    loss = trainer.pixel_loss(logits, torch.full((1, 9, 9), 255))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (float(loss.detach()), float(gradient.abs().max())) == (0, 0)


def test_the_loss_is_on_the_upsampled_output(pairs):
    begun = start()
    task = job(begun, pairs, SMALL)
    images, labels = task.batch(0)
    large = interpolate(
        begun.module(images), scale_factor=33 / 5, mode="bilinear", align_corners=True
    )
    assert large.shape[-2:] == (33, 33)
    expected = [
        cross_entropy(large[i : i + 1], labels[i : i + 1].long(), ignore_index=255)
        for i in range(2)
    ]
    assert torch.allclose(
        task.loss(task.module, images, labels), torch.stack(expected).mean(), atol=1e-5
    )


def test_rates_on_the_optimiser(pairs, tmp_path, monkeypatch):
    """Times 1, 2, 10 and 20, all falling as the polynomial says, with the paper's momentum and
    decay.
    """
    torch.manual_seed(0)
    begun = networks.start("mini-largefov", None, 21, 0, package=networks.SEGMENTERS)
    task = job(begun, pairs, dataclasses.replace(SMALL, iterations=5))
    optimizer = training.sgd(task)
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([1e-3, 2e-3, 1e-2, 2e-2])
    assert {g["momentum"] for g in optimizer.param_groups} == {0.9}
    assert [g["weight_decay"] for g in optimizer.param_groups] == [5e-4, 0, 5e-4, 0]
    assert [len(g["params"]) for g in optimizer.param_groups] == [
        13,
        13,
        3,
        3,
    ]  # the miniature's whole head is new
    sgd = training.sgd

    def watched(task):
        optimizer = sgd(task)
        step = optimizer.step
        optimizer.step = lambda: (rates.append([g["lr"] for g in optimizer.param_groups]), step())
        return optimizer

    rates = []
    monkeypatch.setattr(training, "sgd", watched)
    training.fit(task, tmp_path, lambda *_: None)
    for step, of_groups in enumerate(rates):
        assert of_groups == pytest.approx(
            [times * 1e-3 * (1 - step / 5) ** 0.9 for times in (1, 2, 10, 20)]
        )
    assert len(rates) == 5


@pytest.mark.parametrize("when", [1, 2, 3])
def test_an_interrupted_run_ends_as_an_undisturbed_one(pairs, interrupted, tmp_path, when):
    def again():
        begun = networks.start("mini-largefov", "none", 21, 0, package=networks.SEGMENTERS)
        return job(begun, pairs, SMALL, workers=2)

    rows = interrupted(again, when)
    assert [r["step"] for r in rows] == [2, 4]
    with safe_open(tmp_path / "whole/last.safetensors", "pt") as file:
        assert file.metadata() == {"preprocessing": "torchvision"}


def test_a_network_learns_its_labels(pairs, tmp_path):
    """On colours that are their labels, a few steps lower the loss."""
    images = [(image, labels) for image, labels in pairs if Image.open(image).width >= 40]
    recipe = Recipe(iterations=60, batch=4, crop=33, log_every=20, lr=0.05, scales=(1.0,))
    begun = start(
        nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(3, 21, 1, stride=8)),
        networks.Preprocessing("half", (0.5,) * 3, (0.5,) * 3),
    )
    rows = training.fit(job(begun, images, recipe), tmp_path, lambda *_: None)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]


def test_bad_labels_are_one_clear_line(pairs, tmp_path):
    def refused(labels, word):
        Image.fromarray(labels).save(tmp_path / "bad.png")
        with pytest.raises(ValueError, match=word) as error:
            trainer.read_pair((pairs[0][0], tmp_path / "bad.png"), read, 21)
        assert str(tmp_path / "bad.png") in str(error.value)
        assert "\n" not in str(error.value)

    refused(np.zeros((64, 40), np.uint8), "40 x 64 pixels, but its image .* has 64 x 40")
    refused(np.full((40, 64), 21, np.uint8), r"a pixel is 21; accepted: 0\.\.20, and 255")
    with pytest.raises(ValueError, match="there are none"):
        job(start(), [], SMALL)
