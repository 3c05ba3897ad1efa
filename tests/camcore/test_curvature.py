"""ShapleyCAM's second derivatives against differences of gradients."""

import pytest
import torch
from torch import nn

from camx.camcore import maps
from camx.camcore.curvature import products
from camx.camcore.layers import Layer, Layout
from camx.camcore.taps import tap

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.manual_seed(5), dtype=torch.double)
TARGETS = torch.tensor([3, 1])
LAYER = [Layer("x", "0")]


def network(activation):
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, stride=2), activation(), nn.Conv2d(4, 5, 3), activation(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(5, 4),
    ).double().eval()  # fmt: skip


def gradient(net, acts, target):
    acts = acts.clone().requires_grad_()
    return torch.autograd.grad(net[1:](acts[None])[0, target], acts)[0]


def shapley(net, image, target):
    """w_k = mean_ij (g - H A / 2)_kij, H A the central difference of g along A."""
    with torch.no_grad():
        acts = net[0](image[None])[0]
    step = 1e-4
    ahead, back = (gradient(net, (1 + s) * acts, target) for s in (step, -step))
    inner = gradient(net, acts, target) - (ahead - back) / (2 * step) / 2
    out = torch.zeros(4, 4, dtype=torch.double)
    for k in range(4):
        weight = sum(inner[k, i, j].item() for i in range(4) for j in range(4)) / 16
        for i in range(4):
            for j in range(4):
                out[i, j] += weight * acts[k, i, j].item()
    return out.clamp(min=0)


@pytest.mark.parametrize("activation", [nn.GELU, nn.Tanh, nn.SiLU])
def test_shapleycam(activation):
    net = network(activation)
    cams = maps.methods(["shapleycam", "gradcam"])
    raw, _ = maps.compute(net, IMAGES, TARGETS, LAYER, cams)
    for n in range(2):
        expected = shapley(net, IMAGES[n], TARGETS[n])
        assert torch.allclose(raw["shapleycam", "x"][n], expected, rtol=1e-5, atol=1e-8)
    assert (raw["shapleycam", "x"] - raw["gradcam", "x"]).abs().max() > 1e-3


def test_where_the_gradient_is_constant_it_is_grad_cam():
    """A network of ReLUs, in place or not, and one that is linear from the layer on."""
    for net in (network(nn.ReLU), network(lambda: nn.ReLU(True)), network(nn.Identity)):
        cams = maps.methods(["shapleycam", "gradcam"])
        raw, _ = maps.compute(net, IMAGES, TARGETS, LAYER, cams)
        assert raw["gradcam", "x"].max() > 0
        assert torch.equal(raw["shapleycam", "x"], raw["gradcam", "x"])


class Attending(nn.Module):
    """Tokens through fused attention, which torch cannot differentiate twice."""

    def __init__(self):
        super().__init__()
        self.patches, self.fc = nn.Conv2d(3, 8, 2, 2), nn.Linear(8, 4)
        self.tokens = nn.Identity()

    def forward(self, x):
        x = self.tokens(self.patches(x).flatten(2).transpose(1, 2))
        y = x.unflatten(2, (2, 4)).transpose(1, 2)
        y = nn.functional.scaled_dot_product_attention(y, y, y)
        return self.fc(y.transpose(1, 2).flatten(2).mean(1))


def test_attention_and_tokens():
    torch.manual_seed(0)
    net = Attending().double().eval()
    layer = Layer("x", "tokens", None, Layout("nlc", 0, (2, 2)))
    shown = tap(net, IMAGES, TARGETS, [layer])["x"]
    made = products(shown)
    step, shift = 1e-5, shown.acts

    def along(s):
        def hook(_module, _inputs, output):
            return output + s * layer.layout.placed(shift, output)

        with net.tokens.register_forward_hook(hook):
            probe = nn.Sequential(net)  # its logits by torch's own gradient
            return tap(probe, IMAGES, TARGETS, [Layer("x", "0.tokens", None, layer.layout)])["x"]

    difference = (along(step).grads - along(-step).grads) / (2 * step)
    assert difference.abs().max() > 1e-3
    assert torch.allclose(made, difference, rtol=1e-4, atol=1e-7)


def test_rows_are_of_their_images_and_of_no_others():
    net = network(nn.GELU)
    pairs = torch.tensor([[1, 1], [0, 3], [1, 2]])
    several = products(tap(net, IMAGES, pairs, LAYER)["x"])
    alone = products(tap(net, IMAGES, TARGETS, LAYER)["x"])
    assert torch.allclose(several[:2].flip(0), alone)
    assert not torch.allclose(several[2], several[0])
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
