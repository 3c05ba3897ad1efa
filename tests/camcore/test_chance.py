"""Random weights repeat: the picture and the layer's name seed them, nothing else."""

import torch
from torch import nn

from camx.camcore import chance, maps
from camx.camcore.taps import Layer, tap

IMAGES = torch.randn(3, 3, 8, 8, generator=torch.manual_seed(0))
LAYERS = [Layer("one", "0"), Layer("two", "1")]


def network():
    torch.manual_seed(0)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)]
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), *head)


def weights(images, targets, layer="one"):
    return chance.uniform(tap(network(), images, targets, LAYERS)[layer])


def test_they_are_uniform():
    drawn = torch.cat([weights(IMAGES[:1] + v, torch.tensor([0])) for v in range(99)])
    assert drawn.shape == (99, 6)
    assert -1 <= drawn.min() < -0.97
    assert 0.97 < drawn.max() <= 1
    assert abs(drawn.mean()) < 0.1


def test_the_picture_and_the_layer_alone_seed_them():
    first = weights(IMAGES, torch.tensor([0, 1, 2]))
    torch.manual_seed(7)
    assert torch.equal(weights(IMAGES, torch.tensor([3, 3, 3])), first)
    assert torch.equal(weights(IMAGES.flip(0), torch.tensor([0, 0, 0])), first.flip(0))
    assert torch.equal(weights(IMAGES[1:2], torch.tensor([0])), first[1:2])
    pairs = torch.tensor([[2, 0], [0, 1], [2, 3]])
    assert torch.equal(weights(IMAGES, pairs), first[[2, 0, 2]])
    assert len({tuple(row) for row in first.tolist()}) == 3
    assert not torch.equal(weights(IMAGES, torch.tensor([0, 1, 2]), "two"), first)


def test_the_state_of_torch_s_own_numbers_is_left_alone():
    before = torch.get_rng_state()
    weights(IMAGES, torch.tensor([0, 1, 2]))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_method_draws_them_for_every_map_again():
    def raw(images):
        cams = maps.methods(["randomcam"])
        return maps.compute(network(), images, torch.zeros(len(images)).long(), LAYERS[1:], cams)[0]

    whole = raw(IMAGES)["randomcam", "two"]
    tapped = tap(network(), IMAGES, torch.tensor([0, 1, 2]), LAYERS)["two"]
    drawn = chance.uniform(tapped)
    expected = torch.zeros_like(whole)
    for n in range(3):
        for k in range(6):
            expected[n] += drawn[n, k] * tapped.acts[n, k]
    assert torch.allclose(whole, expected.relu(), atol=1e-6)
