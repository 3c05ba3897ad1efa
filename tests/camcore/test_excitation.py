"""c-MWP against the marginal winning probabilities written out neuron by neuron."""

import pytest
import torch
from torch import nn

from camx.camcore import maps, networks
from camx.camcore.excitation import contrastive
from camx.camcore.taps import Layer, tap

torch.manual_seed(0)
IMAGES = torch.rand(2, 2, 4, 4, dtype=torch.double)


def network():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 1), nn.ReLU(True), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(4, 5), nn.ReLU(True), nn.Linear(5, 3),
    ).double()  # fmt: skip


def linear_step(weight, x, p):
    """p'_j = sum_i w+_ij x_j / (sum_k w+_ik x_k) p_i."""
    out = [0.0] * len(x)
    for i in range(len(p)):
        total = sum(max(0.0, weight[i][k]) * x[k] for k in range(len(x)))
        for j in range(len(x)):
            if total > 0:
                out[j] += max(0.0, weight[i][j]) * x[j] / total * p[i]
    return out


def by_hand(net, image, target):
    """The chain above the max-pool, one image: p at the max-pool's output ``(3,2,2)``."""
    with torch.no_grad():
        pooled = net[:3](image[None])[0]  # (3,2,2)
        hidden = net[3:5](pooled[None])[0]  # (4,2,2)
        averaged = hidden.mean((1, 2))  # (4,)
        relu7 = net[8](net[7](averaged[None]))[0].clone()  # (5,)
    top = [1.0 if k == target else 0.0 for k in range(3)]
    w8, w7 = net[9].weight.tolist(), net[7].weight.tolist()
    w_conv = net[3].weight[:, :, 0, 0].tolist()
    positive = linear_step(w8, relu7.tolist(), top)
    negative = linear_step([[-w for w in row] for row in w8], relu7.tolist(), top)
    p = [a - b for a, b in zip(positive, negative)]
    p = linear_step(w7, averaged.tolist(), p)
    expected = torch.zeros(3, 2, 2, dtype=torch.double)
    for c in range(4):
        total = sum(hidden[c, i, j].item() for i in range(2) for j in range(2))
        for i in range(2):
            for j in range(
                2
            ):  # the average is a linear layer of equal weights, then the 1x1 convolution
                share = hidden[c, i, j].item() / total * p[c] if total else 0.0
                for k, value in enumerate(
                    linear_step([w_conv[c]], pooled[:, i, j].tolist(), [share])
                ):
                    expected[k, i, j] += value
    return expected


@pytest.mark.parametrize("target", range(3))
def test_excitation_is_the_equation(target):
    net = network()
    targets = torch.full((2,), target)
    with torch.no_grad():
        excited = contrastive(net, IMAGES, targets, "2")
    for n in range(2):
        assert torch.allclose(excited[n], by_hand(net, IMAGES[n], target), rtol=1e-9, atol=1e-15)


def test_cmwp_clamps_the_channel_sum_at_the_pool():
    net = network()
    targets = torch.tensor([2, 0])
    taps = tap(net, IMAGES, targets, [Layer("x", "1", "2")])
    cam = maps.methods(["cmwp"])["cmwp"](taps["x"])
    for n in range(2):
        assert torch.allclose(
            cam[n], by_hand(net, IMAGES[n], int(targets[n])).sum(0).clamp(min=0), atol=1e-15
        )


def test_through_convolutions_and_max_pools_excitation_is_kept():
    """Between layers whose every winner has an input, the sum of p stays: it is a probability."""
    net = network()
    with torch.no_grad():
        high = contrastive(net, IMAGES, torch.tensor([0, 1]), "4")
        low = contrastive(net, IMAGES, torch.tensor([0, 1]), "2")
        assert torch.allclose(high.sum((1, 2, 3)), low.sum((1, 2, 3)), atol=1e-12)
        assert torch.allclose(
            low.sum((1, 2, 3)),
            contrastive(net, IMAGES, torch.tensor([0, 1]), "1").sum((1, 2, 3)),
            atol=1e-12,
        )


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.flatten, self.fc = (
            nn.Conv2d(2, 2, 1),
            nn.ReLU(True),
            nn.Flatten(),
            nn.Linear(32, 3),
        )

    def forward(self, x):
        return self.fc(self.flatten(self.relu(self.conv(x) + x)))


def test_networks_with_residual_sums_are_refused():
    from camx.camcore.models import mini_resnet

    with pytest.raises(ValueError, match="breaks the chain"):
        contrastive(Residual().double(), IMAGES, torch.tensor([0, 1]), "conv")
    with pytest.raises(ValueError, match="breaks the chain"):
        contrastive(mini_resnet.build(), torch.rand(1, 3, 112, 112), torch.tensor([0]), "layer4")
    with pytest.raises(ValueError, match="not within the chain"):
        contrastive(network(), IMAGES, torch.tensor([0, 1]), "nothing")


def test_nothing_of_torch_is_patched_and_no_hook_stays():
    net = network()
    before = torch.nn.functional.conv2d, torch.nn.functional.linear
    contrastive(net, IMAGES, torch.tensor([0, 1]), "2")
    assert (torch.nn.functional.conv2d, torch.nn.functional.linear) == before
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in net.modules())


def test_the_last_pool_before_a_flatten():
    """The result has the module's own shape, also where the chain is flattened right after it."""
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 4 * 4, 5),
    )
    excited = contrastive(network, torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), "2")
    assert excited.shape == (2, 4, 4, 4)


def test_a_row_s_map_does_not_depend_on_its_batch():
    """Nor on how many rows are left of it; more than one pass takes are asked in several."""
    network, cam = networks.load("mini-vgg"), maps.methods(["cmwp"])["cmwp"]
    images, targets = torch.rand(23, 3, 112, 112), torch.arange(23) % 10
    shown = tap(network.module, images, targets, [network.layer("S4")])["S4"]
    whole = cam(shown)
    assert len(whole) == 23
    for count in (1, 3, 7, 21):
        assert torch.equal(cam(shown[:count]), whole[:count])
    assert cam(shown[:0]).shape == (0, *whole.shape[1:])
