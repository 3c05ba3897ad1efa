"""FullGrad: its parts make the score, and its map is the equation's."""

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from camx.camcore import maps
from camx.camcore.biases import bias, terms
from camx.camcore.taps import Layer

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.manual_seed(5))
TARGETS = torch.tensor([3, 1])


class Normed(nn.BatchNorm2d):
    """As timm's: a batch norm with the activation inside."""

    def __init__(self, channels):
        super().__init__(channels)
        self.act = nn.ReLU(True)

    def forward(self, x):
        return self.act(super().forward(x))


def network(seed=2):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, stride=2), nn.ReLU(True), nn.Conv2d(6, 5, 3, bias=False),
        nn.BatchNorm2d(5), nn.ReLU(True), nn.Conv2d(5, 5, 1), Normed(5),
        nn.BatchNorm2d(5, affine=False), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(5, 7),
        nn.ReLU(True), nn.Linear(7, 4),
    )  # fmt: skip
    for module in net:
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return net.eval()


@pytest.mark.parametrize("seed", range(3))
def test_the_parts_make_the_score(seed):
    """The paper's theorem, exact for a network of ReLUs."""
    net = network(seed).double()
    parts = terms(net, IMAGES.double(), TARGETS)
    assert [tuple(part.shape[1:]) for part in parts.places] == [
        (3, 8, 8), (6, 4, 4), (5, 2, 2), (5, 2, 2), (5, 2, 2), (5, 2, 2),
    ]  # fmt: skip
    assert [tuple(part.shape[1:]) for part in parts.others] == [(7,), (4,)]
    with torch.no_grad():
        expected = net(IMAGES.double())[torch.arange(2), TARGETS]
    assert torch.allclose(parts.sums, expected, rtol=1e-12, atol=1e-12)
    assert all(part.abs().sum() > 0 for part in parts.places)


def test_a_batch_norm_s_implicit_bias_is_what_it_makes_of_zero():
    for module in (network()[3], network()[7]):
        with torch.no_grad():
            expected = module(torch.zeros(1, 5, 1, 1)).flatten()
            assert torch.allclose(bias(module), expected, atol=1e-6)
    assert bias(nn.BatchNorm2d(5, track_running_stats=False)) is None  # its shift is the batch's
    assert bias(nn.Conv2d(3, 4, 1, bias=False)) is None


def full(net, image, target):
    """The map, a part and a channel at a time; the gradients by moving what a layer gives."""
    net, image = net.double(), image.double()
    out = torch.zeros(8, 8, dtype=torch.double)

    def stretched(part):
        part = part.abs()
        part = part - part.min()
        part = part / (part.max() + 1e-6)
        for channel in part:
            grown = interpolate(channel[None, None], (8, 8), mode="bilinear", align_corners=True)
            out.add_(grown[0, 0])

    x = image[None].clone().requires_grad_()
    stretched((x * torch.autograd.grad(net(x)[0, target], x)[0])[0].detach())
    with torch.no_grad():
        for at in (0, 3, 5, 6, 7):
            y = net[:at](image[None])
            if at == 6:  # before its ReLU
                y, rest = nn.BatchNorm2d.forward(net[6], y), nn.Sequential(nn.ReLU(), *net[7:])
            else:
                y, rest = net[at](y), net[at + 1 :]
            grad = torch.zeros_like(y[0])
            for place in torch.cartesian_prod(*map(torch.arange, y.shape[1:])).tolist():
                moved = torch.zeros_like(y)
                moved[0][tuple(place)] = 1e-7
                change = rest(y + moved)[0, target] - rest(y.clone())[0, target]
                grad[tuple(place)] = change / 1e-7
            stretched(bias(net[at])[:, None, None] * grad)
    return out


def test_fullgrad():
    net = network()
    raw, _ = maps.compute(net, IMAGES, TARGETS, [Layer("x", "1")], maps.methods(["fullgrad"]))
    cams = raw["fullgrad", "x"]
    assert cams.shape == (2, 8, 8)
    for n in range(2):
        expected = full(network(), IMAGES[n], TARGETS[n])
        assert torch.allclose(cams[n].double(), expected, rtol=1e-3, atol=1e-4)


def test_rows_are_of_their_images_and_of_no_others():
    net, cams = network(), maps.methods(["fullgrad"])
    pairs = torch.tensor([[1, 1], [0, 3], [1, 2]])
    several, _ = maps.compute(net, IMAGES, pairs, [Layer("x", "1")], cams)
    alone, _ = maps.compute(net, IMAGES, TARGETS, [Layer("x", "1")], cams)
    reverse, _ = maps.compute(net, IMAGES.flip(0), TARGETS.flip(0), [Layer("x", "1")], cams)
    assert torch.allclose(several["fullgrad", "x"][:2].flip(0), alone["fullgrad", "x"], atol=1e-5)
    assert torch.equal(reverse["fullgrad", "x"].flip(0), alone["fullgrad", "x"])


def test_the_network_is_left_as_it_was():
    net = network().train()
    terms(net, IMAGES, TARGETS)
    assert net.training
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    with pytest.raises(ValueError, match=r"0\.\.3"):
        terms(net, IMAGES, torch.tensor([0, 4]))
