"""VGG16 with ACoL's two branches: the second learns from what the first one's map leaves."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from camx.camcore.models import vgg16, vgg16_cam

TITLE = "VGG16 with ACoL's two branches (Table V)"
SOURCE = (
    "Zhang et al. 2018, Adversarial Complementary Learning; xiaomengyc/ACoL, models/vgg/vgg_v1.py"
)
ERASE_FROM = 0.6  # of a map in [0, 1]: such places are erased for the second branch
# pool6 is what both branches see; of it the method `acol` makes its map.
LAYERS = {**vgg16.LAYERS, "pool6": ("pool6", None)}


def minmax(maps: Tensor) -> Tensor:
    """Maps ``(N,h,w)`` brought to [0, 1] by each one's minimum and maximum; 0 if they are equal."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return torch.where(high > low, (maps - low) / (high - low), 0.0)


def erased(acts: Tensor, maps: Tensor) -> Tensor:
    """``acts (N,C,h,w)``, 0 where the maps ``(N,h,w)``, brought to [0, 1], reach `ERASE_FROM`."""
    return acts * (minmax(maps.detach()) < ERASE_FROM)[:, None]


def branch(width: int, inner: int, classes: int) -> nn.Sequential:
    """Two 3x3 convolutions and one 1x1 that gives a map of each class."""
    network = nn.Sequential(
        nn.Conv2d(width, inner, 3, padding=1), nn.ReLU(True),
        nn.Conv2d(inner, inner, 3, padding=1), nn.ReLU(True),
        nn.Conv2d(inner, classes, 1),
    )  # fmt: skip
    for name, parameter in network.named_parameters():
        init = nn.init.zeros_ if name.endswith("bias") else nn.init.xavier_uniform_
        init(parameter)
    return network


class ACoL(nn.Module):
    """``(N,3,h,w) -> (N,classes)``: the averages of the first branch's class maps.

    Told the labels, as in training, it gives both branches' logits; the second branch does not see
    what the first one's map of the label marks.
    """

    def __init__(self, features: nn.Module, width: int, inner: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.pool6 = nn.AvgPool2d(3, 1, 1)
        self.first = branch(width, inner, classes)
        self.second = branch(width, inner, classes)

    def forward(
        self, images: Tensor, labels: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        acts = self.pool6(self.features(images))
        maps = self.first(acts)
        logits = maps.mean((2, 3))
        if labels is None:
            return logits
        rest = self.second(erased(acts, _of(maps, labels)))
        return logits, rest.mean((2, 3))

    def branches(self, acts: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Both branches' maps ``(N,h,w)`` of each target, from ``acts (N,C,h,w)`` of `pool6`."""
        first = _of(self.first(acts), targets)
        return first, _of(self.second(erased(acts, first)), targets)


def _of(maps: Tensor, targets: Tensor) -> Tensor:
    """Of each image's class maps ``(N,K,h,w)`` its target's, ``(N,h,w)``."""
    return maps[torch.arange(len(maps), device=maps.device), targets]


def pooled(features: nn.Sequential) -> nn.Sequential:
    """VGG16's features with ACoL's pools: of 3x3 cells, the last two of stride 1."""
    pools = [at for at, module in enumerate(features) if isinstance(module, nn.MaxPool2d)]
    for at in pools:
        features[at] = nn.MaxPool2d(3, 1 if at in pools[-2:] else 2, 1)
    return features


def build(classes: int = 1000) -> nn.Module:
    """The network without weights."""
    return ACoL(pooled(make_layers(cfgs["D"])), 512, 1024, classes)


SPEC = replace(vgg16_cam.SPEC, build=build, layers=LAYERS, head="")
