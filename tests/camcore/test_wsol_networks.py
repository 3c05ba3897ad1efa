"""The trained networks of Table V against their papers' networks, written slowly in plain loops."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.vgg import make_layers

from camx.camcore import building, maps, networks
from camx.camcore.layers import Layer
from camx.camcore.models import acol, adl, vgg16_cam, vgg16_gap
from camx.camcore.taps import tap

STAGES = ((2, 2), (2, 3), (3, 3, 3), (4, 4, 4), (4, 4, 4))  # VGG16's convolutions, narrow
WIDTHS = [width for stage in STAGES for width in (*stage, "M")]
SIDE, CLASSES = 32, 3


def convolution(x, weight, bias, groups=1):
    """``(C,h,w) -> (K,h,w)``, zeros around, each group of outputs from its group of inputs."""
    size, (outputs, share) = weight.shape[-1], weight.shape[:2]
    margin = size // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
    out = np.zeros((outputs, *x.shape[1:]))
    for k in range(outputs):
        first = k // (outputs // groups) * share
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                patch = padded[first : first + share, i : i + size, j : j + size]
                out[k, i, j] = bias[k] + (patch * weight[k]).sum()
    return out


def pool(x, size, stride, margin, reduce=max):
    """The largest (or the mean, zeros counted) of each window, nothing being around it."""
    _, height, width = x.shape
    rows = range(-margin, height + margin - size + 1, stride)
    columns = range(-margin, width + margin - size + 1, stride)
    out = np.zeros((len(x), len(rows), len(columns)))
    for c in range(len(x)):
        for i, top in enumerate(rows):
            for j, left in enumerate(columns):
                places = [(top + a, left + b) for a in range(size) for b in range(size)]
                inside = [(y, z) for y, z in places if 0 <= y < height and 0 <= z < width]
                out[c, i, j] = reduce(x[c, y, z] for y, z in inside)
    return out


def mean_of_nine(values):
    return sum(values) / 9


def relu(x):
    return np.maximum(x, 0)


def state_of(network):
    return {k: v.double().numpy() for k, v in network.state_dict().items()}


def trunk(x, state, pools, drops=None):
    """VGG16's stages of one image; `pools` say of each stage's pool its size, stride and margin.

    `drops` are functions of the activation after pool3, conv4_3 and conv5_3.
    """
    drops = drops or {}
    at = 0
    for number, (stage, after) in enumerate(zip(STAGES, pools), 1):
        for _ in stage:
            names = f"features.{at}.weight", f"features.{at}.bias"
            x, at = relu(convolution(x, *(state[name] for name in names))), at + 2
        x = drops.get(f"conv{number}", lambda acts: acts)(x)
        x = pool(x, *after) if after else x
        x = drops.get(f"pool{number}", lambda acts: acts)(x)
        at += 1
    return x


HALVED = (2, 2, 0)


def gap(x, state, groups, drops=None):
    """VGG-GAP's logits of one image: no pool5, a convolution, its average, one linear layer."""
    x = trunk(x, state, (HALVED, HALVED, HALVED, HALVED, None), drops)
    x = relu(convolution(x, state["conv6.weight"], state["conv6.bias"], groups))
    averages = [float(np.mean(channel)) for channel in x]
    return [
        sum(w * a for w, a in zip(weights, averages)) + bias
        for weights, bias in zip(state["fc.weight"], state["fc.bias"])
    ]


def normal(grid):
    low, high = grid.min(), grid.max()
    return (grid - low) / (high - low) if high > low else np.zeros_like(grid)


def branch(x, state, name):
    for at in (0, 2):
        x = relu(convolution(x, state[f"{name}.{at}.weight"], state[f"{name}.{at}.bias"]))
    return convolution(x, state[f"{name}.4.weight"], state[f"{name}.4.bias"])


def acol_maps(x, state, label):
    """The class maps ``(K,h,w)`` of both branches of one image, the label's being erased."""
    wide, same = (3, 2, 1), (3, 1, 1)
    acts = pool(trunk(x, state, (wide, wide, wide, same, same)), 3, 1, 1, mean_of_nine)
    first = branch(acts, state, "first")
    mask = normal(first[label])
    rest = acts.copy()
    for i in range(mask.shape[0]):
        for j in range(mask.shape[1]):
            if mask[i, j] >= 0.6:
                rest[:, i, j] = 0
    return first, branch(rest, state, "second")


def livened(network):
    """The network in double and evaluation mode, its biases no zeros."""
    torch.manual_seed(1)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=1 / math.sqrt(parameter[0].numel()))
    return network.double().eval()


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(2, 3, SIDE, SIDE, dtype=torch.double)


def test_vgg16_gap_is_cam_s_network(images):
    network = livened(vgg16_cam.CAMForm(make_layers(WIDTHS[:-1]), 4, CLASSES))
    state = state_of(network)
    expected = [gap(image.numpy(), state, groups=2) for image in images]
    assert torch.allclose(network(images), torch.tensor(expected), rtol=1e-9)
    assert network.dropout.p == 0.5


def test_adl_is_vgg_gap_and_its_dropouts_are_inactive_in_evaluation(images):
    network = livened(adl.head(make_layers(WIDTHS[:-1]), 4, CLASSES))
    state = state_of(network)
    expected = [gap(image.numpy(), state, groups=1) for image in images]
    assert torch.allclose(network(images), torch.tensor(expected), rtol=1e-9)
    assert network.dropout.p == 0


def hidden(acts):
    """ADL's drop mask applied: 0 where the mean over channels reaches 0.9 of its largest."""
    attention = acts.mean(0)
    return np.where(attention < 0.9 * attention.max(), acts, 0)


def weighed(acts):
    return acts / (1 + np.exp(-acts.mean(0)))


@pytest.mark.parametrize(("rate", "drop"), [(1.0, hidden), (0.0, weighed)])
def test_adl_hides_or_weighs_after_pool3_conv4_3_and_conv5_3(images, rate, drop):
    network = livened(adl.head(make_layers(WIDTHS[:-1]), 4, CLASSES)).train()
    for module in network.modules():
        if isinstance(module, adl.AttentionDropout):
            module.rate = rate
    drops = dict.fromkeys(("pool3", "conv4", "conv5"), drop)
    state = state_of(network)
    expected = [gap(image.numpy(), state, groups=1, drops=drops) for image in images]
    assert torch.allclose(network(images), torch.tensor(expected), rtol=1e-9)


def test_the_drop_mask_s_statistics():
    """Of many draws three in four hide; each hides what reaches 0.9 of its image's largest."""
    layer, (count, high) = adl.AttentionDropout().train(), (4000, 0.75)
    assert (layer.rate, layer.threshold) == (adl.DROP_RATE, adl.THRESHOLD) == (0.75, 0.9)
    acts = torch.tensor([[[[1.0, 9.0], [8.99, 10.0]], [[1.0, 9.0], [8.99, 10.0]]],
                         [[[0.1, 0.2], [0.3, 0.4]], [[0.5, 0.4], [0.3, 0.2]]]])  # fmt: skip
    dropped = torch.tensor([[[True, False], [True, False]], [[False] * 2] * 2])
    torch.manual_seed(0)
    hides = 0
    for _ in range(count):
        out = layer(acts)
        if (out == 0).any():
            hides += 1
            assert torch.equal((out != 0).any(1), dropped)
            assert torch.equal(out, acts * dropped[:, None])
        else:
            assert torch.equal(out, acts * torch.sigmoid(acts.mean(1, keepdim=True)))
    spread = 4 * math.sqrt(high * (1 - high) / count)
    assert abs(hides / count - high) < spread
    assert torch.equal(layer.eval()(acts), acts)


def test_acol_is_two_branches_the_second_of_what_the_first_leaves(images):
    network = livened(acol.ACoL(acol.pooled(make_layers(WIDTHS)), 4, 8, CLASSES))
    state, labels = state_of(network), torch.tensor([2, 0])
    pairs = [acol_maps(i.numpy(), state, int(label)) for i, label in zip(images, labels)]
    a, b = (torch.tensor(np.stack(maps)) for maps in zip(*pairs))
    alone, (first, second) = network(images), network(images, labels)
    assert torch.allclose(alone, a.mean((2, 3)), rtol=1e-9)
    assert torch.equal(alone, first)
    assert torch.allclose(second, b.mean((2, 3)), rtol=1e-9)
    assert not torch.allclose(first, second)
    taps = tap(network, images, labels, [Layer("pool6", "pool6")])
    made = maps.methods(["acol"])["acol"](taps["pool6"])
    for n, label in enumerate(labels.tolist()):
        expected = np.maximum(normal(pairs[n][0][label]), normal(pairs[n][1][label]))
        assert torch.allclose(made[n], torch.tensor(expected), rtol=1e-9, atol=1e-12)


def test_what_reaches_six_tenths_is_erased():
    acts = torch.ones(2, 2, 2, 2)
    maps = torch.tensor([[[10.0, 15.99], [16.0, 20.0]], [[3.0, 3.0], [3.0, 3.0]]])
    left = acol.erased(acts, maps)
    assert left[0].tolist() == [[[1, 1], [0, 0]]] * 2
    assert torch.equal(left[1], acts[1])  # a map that marks nothing erases nothing
    assert acol.minmax(maps).tolist() == [[[0, pytest.approx(0.599)], [pytest.approx(0.6), 1]],
                                          [[0, 0], [0, 0]]]  # fmt: skip


def test_nothing_is_learned_through_what_is_erased(images):
    """The first branch learns from its own logits alone."""
    network = livened(acol.ACoL(acol.pooled(make_layers(WIDTHS)), 4, 8, CLASSES)).train()
    network(images, torch.tensor([2, 0]))[1].sum().backward()
    assert all(p.grad is None for p in network.first.parameters())
    assert all(p.grad is not None for p in network.second.parameters())


def test_acol_needs_its_branches():
    network = networks.load("mini-vgg")
    images = torch.rand(1, 3, 112, 112)
    taps = tap(network.module, images, torch.tensor([0]), [network.layer("S5")])
    with pytest.raises(ValueError, match="two branches: acol or mini-acol"):
        maps.methods(["acol"])["acol"](taps["S5"])


BRANCH = {0: (1024, 512, 3, 3), 2: (1024, 1024, 3, 3), 4: (1000, 1024, 1, 1)}


@pytest.mark.parametrize(
    ("build", "heads"),
    [
        (vgg16_gap.build, {"conv6": (1024, 256, 3, 3), "fc": (1000, 1024)}),
        (adl.build, {"conv6": (1024, 512, 3, 3), "fc": (1000, 1024)}),
        (acol.build, {f"{b}.{at}": s for b in ("first", "second") for at, s in BRANCH.items()}),
    ],
)
def test_the_papers_networks_have_the_papers_sizes(build, heads):
    state = building.skeleton(build, 1000).state_dict()
    convolutions = [tuple(v.shape) for k, v in state.items() if k.startswith("features.")]
    widths = [3, 64, 64, 128, 128, *[256] * 3, *[512] * 6]
    expected = [s for a, b in pairwise(widths) for s in ((b, a, 3, 3), (b,))]
    assert convolutions == expected
    weights = {k: tuple(v.shape) for k, v in state.items() if k.endswith(".weight")}
    weights = {k.removesuffix(".weight"): s for k, s in weights.items()}
    assert {k: s for k, s in weights.items() if not k.startswith("features.")} == heads


@pytest.mark.parametrize("name", ["mini-vgg-gap", "mini-acol", "mini-adl"])
def test_the_slim_networks_begin_with_the_slim_backbone(name):
    start = networks.start(name, None, 10, 0)
    shipped = networks.load("mini-vgg").module.state_dict()
    trunk = {k: v for k, v in start.module.state_dict().items() if k.startswith("features.")}
    assert len(trunk) == 26
    assert all(v.equal(shipped[k]) for k, v in trunk.items())
    assert start.init.endswith("mini-vgg.safetensors")
    assert all(not name.startswith("features.") for name in start.new)
    rates = {id(p): g["lr"] for g in start.groups(1.0) for p in g["params"]}
    weights = {k: p for k, p in start.module.named_parameters() if k.endswith("weight")}
    assert {k.startswith("features."): rates[id(p)] for k, p in weights.items()} == {
        True: 1, False: 10
    }  # fmt: skip


NARROW = {
    vgg16_gap: lambda classes: vgg16_cam.CAMForm(make_layers(WIDTHS[:-1]), 4, classes),
    adl: lambda classes: adl.head(make_layers(WIDTHS[:-1]), 4, classes),
    acol: lambda classes: acol.ACoL(acol.pooled(make_layers(WIDTHS)), 4, 8, classes),
}


@pytest.mark.parametrize("module", NARROW, ids=lambda module: module.__name__.rpartition(".")[2])
def test_vgg16_s_weights_of_any_package_begin_their_training(module, tmp_path, monkeypatch):
    """Its convolutions fill the features, by name or by order; the heads are new."""
    monkeypatch.setattr(module, "SPEC", replace(module.SPEC, build=NARROW[module]))
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    torch.manual_seed(3)
    theirs = make_layers(WIDTHS).state_dict()
    numbered = {f"features.{k}": v for k, v in theirs.items()}
    renamed = {f"conv{k}": v for k, v in theirs.items()}
    for state in (numbered, renamed):
        torch.save(state, tmp_path / "w.pth")
        start = networks.start(name, str(tmp_path / "w.pth"), CLASSES, 0)
        begun = [v for k, v in start.module.state_dict().items() if k.startswith("features.")]
        assert all(a.equal(b) for a, b in zip(begun, theirs.values(), strict=True))
        assert start.new
        assert not any(k.startswith("features.") for k in start.new)


def test_acol_s_map_is_of_one_layer():
    network = networks.start("mini-acol", None, 10, 0)
    images = torch.rand(1, 3, 112, 112)
    layer = Layer("S5", *acol.LAYERS["S5"])
    taps = tap(network.module.eval(), images, torch.tensor([0]), [layer])
    with pytest.raises(ValueError, match="is of pool6, which both branches see, not of S5"):
        maps.methods(["acol"])["acol"](taps["S5"])
