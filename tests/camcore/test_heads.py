"""Heads that CAM is defined for, and where."""

import pytest
import torch
from torch import nn

from camx.camcore import maps, networks
from camx.camcore.models import mini_resnet
from camx.camcore.taps import Layer, tap

SQUEEZENET = """
from torchvision.models import squeezenet1_1 as build
INPUT_SIZE, MEAN, STD = 64, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LAYERS = {"deep": ("features.12", None), "middle": ("features.7", None)}
"""


@pytest.fixture
def squeezenet(tmp_path):
    """SqueezeNet as torchvision has it, of seven classes, and its weights' file."""
    from torchvision.models import squeezenet1_1

    path = tmp_path / "squeeze.py"
    path.write_text(SQUEEZENET)
    torch.manual_seed(0)
    module = squeezenet1_1(num_classes=7)
    nn.init.normal_(module.classifier[1].weight, std=0.1)
    nn.init.normal_(module.classifier[1].bias, std=0.1)
    torch.save(module.state_dict(), tmp_path / "w.pth")
    return networks.load(str(path), str(tmp_path / "w.pth"))


def images(network, count=2):
    generator = torch.Generator().manual_seed(0)
    size = (count, 3, network.input_size, network.input_size)
    return network.prepare(torch.randint(256, size, generator=generator).byte())


def test_squeezenet_s_classes_and_cam(squeezenet):
    """Its logits are the average, behind a ReLU, of what CAM's weights and the bias give."""
    assert squeezenet.classes == 7
    assert maps.method_layers("cam", squeezenet) == ["deep"]
    layers, targets = [squeezenet.layer("deep")], torch.tensor([0, 5])
    raw, logits = maps.compute(
        squeezenet.module, images(squeezenet), targets, layers, maps.methods(["cam"])
    )
    head = squeezenet.module.classifier[1]
    assert (raw["cam", "deep"] < 0).any()
    averages = (raw["cam", "deep"] + head.bias[targets, None, None]).relu().mean((1, 2))
    assert torch.allclose(averages, logits[range(2), targets], atol=1e-5)
    acts = squeezenet.module.features(images(squeezenet))
    expected = torch.einsum("nc,ncij->nij", head.weight[targets, :, 0, 0], acts)
    assert torch.allclose(raw["cam", "deep"], expected, atol=1e-5)
    with pytest.raises(ValueError, match="CAM needs a network that ends in"):
        maps.compute(
            squeezenet.module, images(squeezenet), targets, [squeezenet.layer("middle")],
            maps.methods(["cam"]),
        )  # fmt: skip


class Scores(nn.Module):
    """A 1x1 convolution before the average, with a ReLU behind it or without."""

    def __init__(self, *behind, bias=True):
        super().__init__()
        self.score = nn.Conv2d(4, 6, 1, bias=bias)
        self.trunk = nn.Conv2d(3, 4, 3)
        self.behind = nn.Sequential(*behind)

    def forward(self, x):
        return self.behind(self.score(self.trunk(x))).mean((2, 3))


@pytest.mark.parametrize("behind", [[], [nn.ReLU()]])
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_as_head(behind, bias):
    torch.manual_seed(0)
    network = Scores(*behind, bias=bias)
    shown = tap(network, torch.rand(2, 3, 9, 9), torch.tensor([0, 3]), [Layer("x", "trunk")])["x"]
    assert torch.equal(shown.head, network.score.weight[:, :, 0, 0])


def test_another_function_behind_it_is_no_head():
    torch.manual_seed(0)
    network = Scores(nn.Sigmoid())
    shown = tap(network, torch.rand(2, 3, 9, 9), torch.tensor([0, 3]), [Layer("x", "trunk")])["x"]
    assert shown.head is None


def test_cam_is_read_where_the_network_pools(tmp_path):
    from camx.camcore.models import vgg16_cam

    for name, layer in (("mini-resnet", "layer4"), ("mini-vgg-voc", "conv6")):
        assert maps.method_layers("cam", networks.load(name)) == [layer]
    assert vgg16_cam.LAYERS["conv6"] == ("relu6", None)
    assert maps.method_layers("cam", networks.load("mini-vgg")) == []
    assert maps.method_layers("cmwp", networks.load("mini-vgg")) == ["S4"]
    assert maps.method_layers("layercam", networks.load("mini-vgg")) == []
    torch.manual_seed(0)
    network = mini_resnet.build(3)  # random weights, logits near zero
    torch.save(network.state_dict(), tmp_path / "w.pth")
    assert maps.method_layers("cam", networks.load("mini-resnet", str(tmp_path / "w.pth"))) == [
        "layer4"
    ]
