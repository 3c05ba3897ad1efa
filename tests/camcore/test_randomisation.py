"""The cascade: order, seeds, what is shared, and that the network asked about stays as it was."""

import copy

import pytest
import torch
from torch import nn

from camx.camcore import networks, randomisation
from camx.camcore.layers import Layer


@pytest.fixture(scope="module")
def mini():
    return networks.load("mini-resnet")


def cascade(network, groups, seed=0):
    drawn = network.prepare(randomisation.pictures(network.input_size, seed))
    return randomisation.cascade(network.module, groups, drawn, seed)


def test_steps_go_from_the_output_to_the_input(mini):
    """Every module with parameters is in one step: of the stage that it is done in."""
    steps = randomisation.steps(mini.module, mini.layers, mini.input_size)
    names = list(steps)
    assert names[0] == "head"
    assert sorted(path for members in steps.values() for path in members) == sorted(
        randomisation.parametric(mini.module)
    )
    assert steps["head"] == ["fc"]
    assert all(path.startswith("layer4") for path in steps["layer4"])
    assert all(path.startswith("layer3") for path in steps["layer3"])
    assert names[1:3] == ["layer4", "layer3"]
    each = randomisation.steps(mini.module, mini.layers, mini.input_size, each=True)
    assert all([path] == members for path, members in each.items())
    assert next(iter(each)) == "fc"
    assert list(each)[-1] == "conv1"


def test_a_step_changes_its_modules_and_those_before(mini):
    before = {name: t.clone() for name, t in mini.module.state_dict().items()}
    steps = list(randomisation.steps(mini.module, mini.layers, mini.input_size).values())
    made = cascade(mini, steps)
    for name, tensor in mini.module.state_dict().items():
        assert tensor.equal(before[name])
    for count, module in enumerate(made, 1):
        changed = {path for step in steps[:count] for path in step}
        for name, parameter in module.named_parameters():
            path = name.rpartition(".")[0]
            kept = parameter.equal(before[name])
            if path in changed and parameter.ndim > 1:
                assert not kept, name
            if path not in changed:
                assert parameter is dict(mini.module.named_parameters())[name]
        assert not module.training
    images = torch.rand(2, 3, mini.input_size, mini.input_size)
    assert mini.module(images).equal(copy.deepcopy(mini.module)(images))
    assert made[-1](images).isfinite().all()


def test_a_seed_draws_the_same_and_leaves_the_global_generator(mini):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again, other = (randomisation.drawn(mini.module, seed) for seed in (0, 0, 1))
    assert torch.rand(1).equal(expected)
    weights = [m.conv1.weight for m in (first, again, other)]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])
    assert not first.fc.weight.equal(mini.module.fc.weight)


def test_parameters_that_cannot_be_reset_are_dealt_anew():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.arange(20.0))

    module = nn.Sequential(nn.Conv2d(3, 20, 1), Scaled())
    fresh = randomisation.drawn(module, 0)
    assert not fresh[1].scale.equal(module[1].scale)
    assert fresh[1].scale.sort().values.equal(module[1].scale)


def test_normalisations_see_what_the_new_weights_give():
    """Ten convolutions whose weights shrink values: normalised by what comes, none is lost."""
    layers = []
    for _ in range(10):
        layers += [nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU()]
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4)).eval()
    steps = randomisation.steps(module, {"end": Layer("end", "29")}, 64)
    assert list(steps) == ["head", "end"]
    pictures = randomisation.pictures(64, 0).float() / 255
    made = randomisation.cascade(module, list(steps.values()), pictures, 0)
    assert made[1][:29](pictures).std() > 0.1
    assert made[1][1].momentum == 0.1
    assert module[1].running_mean.eq(0).all()


def test_quantus_draws_every_module_with_the_same_seed():
    """So that equal modules get equal weights."""
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")
    from quantus.helpers.model.pytorch_model import PyTorchModel

    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).eval()
    assert quantus
    *_, (_, theirs) = PyTorchModel(module).get_random_layer_generator(seed=42)
    assert theirs[0].weight.equal(theirs[1].weight)
    fresh = randomisation.drawn(module, 42)
    assert not fresh[0].weight.equal(fresh[1].weight)
