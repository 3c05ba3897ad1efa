"""Ablation-CAM and Recipro-CAM against their equations, a whole pass for each number."""

import pytest
import torch
from torch import nn

from camx.camcore import maps
from camx.camcore.taps import Layer

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.manual_seed(5))
TARGETS = torch.tensor([3, 1])
LAYER = [Layer("x", "1")]


class Counted(nn.Linear):
    """Counts what it classifies."""

    views = 0

    def forward(self, x):
        self.views += len(x)
        return super().forward(x)


def network():
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, stride=2), nn.ReLU(True), nn.Conv2d(6, 5, 3, padding=1),
        nn.Tanh(), nn.Flatten(), Counted(80, 4),
    ).eval()  # fmt: skip
    with torch.no_grad():
        net[0].bias[2] = -100.0  # a channel that is zero everywhere
        net[5].bias[1] = -1.0  # a class whose score is negative
    return net


def ablation(net, image, target, probability=False):
    """w_k = (y - y_k) / y, one channel at a time."""
    with torch.no_grad():
        acts = net[:2](image[None])[0]

        def score(acts):
            logits = net[2:](acts[None])[0]
            return (logits.softmax(0) if probability else logits)[target].item()

        out = torch.zeros(4, 4)
        for k in range(6):
            without = acts.clone()
            without[k] = 0
            weight = (score(acts) - score(without)) / score(acts)
            for i in range(4):
                for j in range(4):
                    out[i, j] += weight * acts[k, i, j].item()
    return out.clamp(min=0)


KERNEL = {(0, 0): 1 / 4, (0, 1): 1 / 8, (1, 0): 1 / 8, (1, 1): 1 / 16}


def reciprocal(net, image, target, gaussian):
    """The class's probability of what is at one place, a place at a time."""
    with torch.no_grad():
        acts, out = net[:2](image[None])[0], torch.zeros(4, 4)
        for i in range(4):
            for j in range(4):
                alone = torch.zeros_like(acts)
                alone[:, i, j] = acts[:, i, j]
                for a in range(4) if gaussian else ():
                    for b in range(4):
                        weight = KERNEL.get((abs(a - i), abs(b - j)), 0.0)
                        alone[:, a, b] = weight * acts[:, i, j]
                out[i, j] = net[2:](alone[None])[0].softmax(0)[target]
    return out


@pytest.mark.parametrize("target", ["logit", "softmax"])
def test_ablation_cam(target):
    net = network()
    raw, _ = maps.compute(net, IMAGES, TARGETS, LAYER, maps.methods(["ablationcam"]), target=target)
    for n in range(2):
        expected = ablation(net, IMAGES[n], TARGETS[n], target == "softmax")
        assert expected.max() > 0
        assert torch.allclose(raw["ablationcam", "x"][n], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["reciprocam", "reciprocam-gaussian"])
def test_reciprocam(name):
    net = network()
    raw, _ = maps.compute(net, IMAGES, TARGETS, LAYER, maps.methods([name]))
    for n in range(2):
        expected = reciprocal(net, IMAGES[n], TARGETS[n], name != "reciprocam")
        assert torch.allclose(raw[name, "x"][n], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("name", "passes"), [("ablationcam", 5), ("reciprocam", 16)])
def test_classes_share_their_image_s_passes_and_no_other_image_s(name, passes):
    """Channels that are zero already need none."""
    net, cams = network(), maps.methods([name])
    raw, _ = maps.compute(net, IMAGES, TARGETS, LAYER, cams)
    net[5].views = 0
    pairs = torch.tensor([[1, 1], [1, 0], [1, 3]])
    several, _ = maps.compute(net, IMAGES, pairs, LAYER, cams)
    assert net[5].views == 2 + 1 + 2 + passes  # two images tapped, one recorded and tried twice
    assert torch.allclose(several[name, "x"][0], raw[name, "x"][1], rtol=1e-5, atol=1e-7)
    reverse, _ = maps.compute(net, IMAGES.flip(0), TARGETS.flip(0), LAYER, cams)
    assert torch.equal(reverse[name, "x"].flip(0), raw[name, "x"])
    oracle = ablation if name == "ablationcam" else lambda *at: reciprocal(*at, False)
    for row, target in enumerate([1, 0, 3]):
        expected = oracle(net, IMAGES[1], target)
        assert torch.allclose(several[name, "x"][row], expected, rtol=1e-4, atol=1e-6)


def test_a_channel_that_moves_nothing_has_no_weight_whatever_the_score():
    """Not 0 / 0, where the last layer is zero."""
    net = network()
    nn.init.zeros_(net[5].weight)
    nn.init.zeros_(net[5].bias)
    raw, _ = maps.compute(net, IMAGES, TARGETS, LAYER, maps.methods(["ablationcam"]))
    assert torch.equal(raw["ablationcam", "x"], torch.zeros(2, 4, 4))


def test_more_channels_and_places_than_a_chunk(monkeypatch):
    net = network()
    cams = maps.methods(["ablationcam", "reciprocam"])
    at_once, _ = maps.compute(net, IMAGES, TARGETS, LAYER, cams)
    for module in ("ablation", "places", "resumption"):
        monkeypatch.setattr(f"camx.camcore.{module}.CHUNK", 3)
    raw, _ = maps.compute(net, IMAGES, TARGETS, LAYER, cams)
    for key, made in raw.items():
        assert torch.allclose(made, at_once[key], rtol=1e-5, atol=1e-7)
