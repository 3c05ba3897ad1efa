"""Score-CAM and CAM against slow oracles, and what Score-CAM asks of the network."""

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from camx.camcore import maps
from camx.camcore.masked_passes import distinct
from camx.camcore.taps import Layer, tap

LAYER = [Layer("x", "1")]
IMAGES = torch.rand(2, 3, 8, 8, generator=torch.manual_seed(5))


class Counted(nn.Sequential):
    """Counts the views it is shown."""

    views = 0

    def forward(self, x):
        self.views += len(x)
        return super().forward(x)


def network():
    torch.manual_seed(2)
    net = Counted(
        nn.Conv2d(3, 6, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    ).eval()
    with torch.no_grad():
        net[0].bias[2] = -100.0  # this channel is flat: zero everywhere
    return net


def oracle(net, image, target, over_channels):
    """Weights one masked image at a time."""
    with torch.no_grad():
        acts = net[:2](image[None])[0]
        scores, kept = [], []
        for k in range(len(acts)):
            if acts[k].max() == acts[k].min():
                continue
            grown = interpolate(acts[k][None, None], (8, 8), mode="bilinear", align_corners=False)[
                0, 0
            ]
            mask = (grown - grown.min()) / (grown.max() - grown.min())
            logits = net((image * mask)[None])[0]
            scores.append(
                logits[target].item() if over_channels else logits.softmax(0)[target].item()
            )
            kept.append(k)
        weights = torch.tensor(scores).softmax(0).tolist() if over_channels else scores
        out = torch.zeros(4, 4)
        for weight, k in zip(weights, kept):
            out += weight * acts[k]
        return out.clamp(min=0)


@pytest.mark.parametrize(
    ("name", "over_channels"), [("scorecam", False), ("scorecam-channel", True)]
)
def test_score_cam(name, over_channels):
    net = network()
    targets = torch.tensor([3, 1])
    raw, _ = maps.compute(net, IMAGES, targets, LAYER, maps.methods([name]))
    for n in range(2):
        expected = oracle(net, IMAGES[n], targets[n], over_channels)
        assert torch.allclose(raw[name, "x"][n], expected, rtol=1e-5, atol=1e-7)


def test_flat_channels_are_skipped_and_classes_share_the_masked_pass():
    net, cams = network(), maps.methods(["scorecam"])
    maps.compute(net, IMAGES[:1], torch.tensor([0]), LAYER, cams)
    assert net.views == 1 + 5  # one forward, five masks: the sixth channel is flat
    net.views = 0
    pairs = torch.tensor([[0, 0], [0, 2], [0, 3]])
    raw, _ = maps.compute(net, IMAGES[:1], pairs, LAYER, cams)
    assert net.views == 1 + 5
    for row, target in enumerate([0, 2, 3]):
        assert torch.allclose(
            raw["scorecam", "x"][row], oracle(net, IMAGES[0], target, False), atol=1e-7
        )


@pytest.mark.parametrize(
    ("name", "over_channels"), [("scorecam", False), ("scorecam-channel", True)]
)
def test_equal_channels_are_asked_about_once(name, over_channels):
    net, target = network(), torch.tensor([1])
    with torch.no_grad():
        net[0].weight[5], net[0].bias[5] = net[0].weight[1], net[0].bias[1]
    raw, _ = maps.compute(net, IMAGES[:1], target, LAYER, maps.methods([name]))
    assert net.views == 1 + 4  # of six channels one is flat, and two are equal
    expected = oracle(net, IMAGES[0], 1, over_channels)
    assert torch.allclose(raw[name, "x"][0], expected, rtol=1e-5, atol=1e-7)


def test_distinct_channels_keep_their_order():
    acts = torch.tensor([5.0, 2, 5, 9, 2, 0])[:, None, None].expand(6, 2, 3).clone()
    acts[2, 0, 0] = 5.5
    first, alike = distinct(acts)
    assert first.tolist() == [0, 1, 2, 3, 5]
    assert alike.tolist() == [0, 1, 2, 3, 1, 4]
    assert torch.equal(acts[first][alike], acts)


def test_an_image_of_flat_channels_gives_an_empty_map():
    net = network()
    with torch.no_grad():
        net[0].bias[:] = -100.0
    raw, _ = maps.compute(net, IMAGES, torch.tensor([0, 1]), LAYER, maps.methods(["scorecam"]))
    assert torch.equal(raw["scorecam", "x"], torch.zeros(2, 4, 4))


def test_cam_is_the_weighted_sum_whose_mean_is_the_logit():
    net = network()
    targets = torch.tensor([2, 0])
    raw, logits = maps.compute(net, IMAGES, targets, LAYER, maps.methods(["cam"]))
    with torch.no_grad():
        acts = net[:2](IMAGES)
    for n in range(2):
        expected = sum(net[4].weight[targets[n], k].item() * acts[n, k] for k in range(6))
        assert torch.allclose(raw["cam", "x"][n], expected, atol=1e-6)
        assert raw["cam", "x"][n].mean().item() + net[4].bias[targets[n]].item() == pytest.approx(
            logits[n, targets[n]].item(), abs=1e-5
        )
    assert (raw["cam", "x"] < 0).any()  # signed


def test_cam_needs_global_pooling_and_one_linear_layer():
    torch.manual_seed(0)
    nets = [
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 4)),
        nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 4),
        ),
    ]
    for net in nets:
        with pytest.raises(ValueError, match="global average pooling"):
            maps.compute(net, IMAGES, torch.tensor([0, 1]), LAYER, maps.methods(["cam"]))


def test_several_classes_of_one_image_need_one_forward():
    net = network()
    pairs = torch.tensor([[0, 1], [1, 0], [0, 3], [1, 2], [0, 0]])
    tapped = tap(net, IMAGES, pairs, LAYER)["x"]
    assert net.views == 2
    for row, (image, target) in enumerate(pairs.tolist()):
        alone = tap(net, IMAGES[image : image + 1], torch.tensor([target]), LAYER)["x"]
        assert torch.allclose(tapped.grads[row], alone.grads[0], atol=1e-7)
        assert torch.allclose(tapped.acts[row], alone.acts[0], atol=1e-7)
        assert torch.allclose(tapped.logits[row], alone.logits[0], atol=1e-6)
    with pytest.raises(ValueError, match="there are 2"):
        tap(net, IMAGES, torch.tensor([[2, 0]]), LAYER)
