"""The miniature's ResNet: four stages of two basic blocks, global average, one linear layer.

Input 112x112; stages layer1-layer4 have 56, 28, 14 and 7 pixels a side, as ResNet50's have at 224.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from camx.camcore.models.mini_vgg import MEAN, STD
from camx.camcore.models.resnet50 import LAYERS
from camx.camcore.spec import Spec

TITLE = "slim four-stage ResNet (input 112) of the miniature"
SOURCE = "He et al. 2016, narrowed; trained by scripts/train_miniature.py"


def _norm(width: int, batch_norm: bool) -> nn.Module:
    return nn.BatchNorm2d(width) if batch_norm else nn.Identity()


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, width_in: int, width: int, stride: int, batch_norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1)
        self.bn1 = _norm(width, batch_norm)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)
        self.bn2 = _norm(width, batch_norm)
        same = stride == 1 and width_in == width
        self.downsample = nn.Identity() if same else nn.Conv2d(width_in, width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + self.downsample(x))


def _stage(width_in: int, width: int, stride: int, norm: bool) -> nn.Sequential:
    return nn.Sequential(Block(width_in, width, stride, norm), Block(width, width, 1, norm))


class MiniResNet(nn.Module):
    """``(N,3,112,112) -> (N,classes)``; the modules are named as torchvision names ResNet50's."""

    def __init__(self, classes: int, batch_norm: bool) -> None:
        super().__init__()
        a, b, c, d = 16, 32, 48, 64
        self.conv1 = nn.Conv2d(3, a, 3, 2, 1)
        self.bn1 = _norm(a, batch_norm)
        self.layer1 = _stage(a, a, 1, batch_norm)
        self.layer2 = _stage(a, b, 2, batch_norm)
        self.layer3 = _stage(b, c, 2, batch_norm)
        self.layer4 = _stage(c, d, 2, batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(d, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(images)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def build(classes: int = 10, batch_norm: bool = False) -> nn.Module:
    """The network without weights; `batch_norm` while training, folded away in what is shipped."""
    return MiniResNet(classes, batch_norm)


def arguments(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What `build` needs to know of weights besides their classes."""
    return {"batch_norm": "bn1.weight" in state}


SPEC = Spec(
    build=build,
    input_size=112,
    mean=MEAN,
    std=STD,
    layers=LAYERS,
    shipped="mini-resnet.safetensors",
    head="fc",
    untrained={"batch_norm": True},
    arguments=arguments,
)
