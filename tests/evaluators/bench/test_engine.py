"""The bare pass is the gradient that camx's maps start from; drawn networks repeat."""

import pytest
import torch

from camx.camcore import taps
from camx.camcore.layers import Layer
from camx.evaluators.bench import engine, subjects


@pytest.fixture(scope="module")
def network():
    return subjects.network("mini-vgg", "cpu", 3)


@pytest.fixture(scope="module")
def inputs(network):
    return network.prepare(subjects.images(2, network.input_size, 3))


def test_the_bare_pass_gives_the_shallowest_layer_s_gradient(network, inputs):
    targets, layer = torch.tensor([7, 1]), network.layers["S1"]
    shown = taps.tap(network.module, inputs, targets, [layer])
    bare = engine.bare(network.module, inputs, targets, layer)
    assert torch.equal(bare, shown["S1"].grads)
    assert bare.abs().max() > 0
    assert all(p.grad is None for p in network.module.parameters())


def test_weights_and_pictures_repeat_by_seed(network):
    again, other = (subjects.network("mini-vgg", "cpu", seed) for seed in (3, 4))
    weights = [n.module.state_dict()["features.0.weight"] for n in (network, again, other)]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])
    assert subjects.images(2, 8, 0).equal(subjects.images(2, 8, 0))
    assert not subjects.images(2, 8, 0).equal(subjects.images(2, 8, 1))


def test_gradients_are_of_normal_numbers(network, inputs):
    """In the range of the first layers' down to the deepest."""
    every = taps.tap(network.module, inputs, torch.tensor([0, 1]), list(network.layers.values()))
    sizes = [shown.grads.abs().max() for shown in every.values()]
    assert 1e-4 < min(sizes) <= max(sizes) < 1e4


def test_the_next_gradient_where_there_is_a_follower(network, inputs):
    targets = torch.tensor([0, 1])
    layers = list(network.layers.values())
    runs = engine.runs(network.module, inputs, targets, layers, "!")
    assert [*runs] == ["bare!", "camx, own gradient!", "camx, next gradient!"]
    assert runs["bare!"]().shape[2:] == (112, 112)  # back to the shallowest of them
    maps, _ = runs["camx, next gradient!"]()
    assert len(maps) == 5 * len(layers)
    alone = [Layer("S1", layers[-1].activation)]
    assert [*engine.runs(network.module, inputs, targets, alone)] == ["bare", "camx, own gradient"]


def test_channels_last_is_another_layout_of_the_same(network, inputs):
    module = subjects.channels_last(network.module)
    weight = module.features[2].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not network.module.features[2].weight.is_contiguous(memory_format=torch.channels_last)
    last = inputs.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(module(last), network.module(inputs), rtol=1e-3, atol=1e-4)
