"""VGG-GAP with attention-based dropout: in training, what it attends to most is hidden from it."""

from collections import OrderedDict
from dataclasses import replace

import torch
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from camx.camcore.models import vgg16_cam

TITLE = "VGG-GAP with ADL (Table V)"
SOURCE = "Choe and Shim 2019; junsukchoe/ADL, backbone/vgg.py and ops.py"
DROP_RATE = 0.75  # how often the most attended places are hidden, instead of all being weighed
THRESHOLD = 0.9  # of an image's largest attention, from which a place is hidden
AFTER = ("16", "22", "29")  # pool3, and the ReLUs of conv4_3 and conv5_3


class AttentionDropout(nn.Module):
    """In training, ``x (N,C,h,w)`` times a drop mask or an importance map; in evaluation, x.

    Attention is the mean over channels. The mask is 0 from `threshold` times the image's largest
    attention on; the map is the attention's sigmoid. One draw decides for the batch, the mask with
    probability `rate`.
    """

    def __init__(self, rate: float = DROP_RATE, threshold: float = THRESHOLD) -> None:
        super().__init__()
        self.rate, self.threshold = rate, threshold

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        attention = x.mean(1, keepdim=True)
        if torch.rand(()) >= self.rate:
            return x * attention.sigmoid()
        return x * (attention < self.threshold * attention.amax((2, 3), keepdim=True))


def attentive(features: nn.Sequential) -> nn.Sequential:
    """VGG16's features with the dropouts, between which the modules keep their numbers."""
    named: OrderedDict[str, nn.Module] = OrderedDict()
    for name, module in features.named_children():
        named[name] = module
        if name in AFTER:
            named[f"adl{name}"] = AttentionDropout()
    return nn.Sequential(named)


def head(features: nn.Sequential, width: int, classes: int) -> vgg16_cam.CAMForm:
    """The network of VGG16's `features`, without their last pool."""
    network = vgg16_cam.CAMForm(attentive(features), width, classes, groups=1, dropout=0.0)
    nn.init.kaiming_normal_(network.conv6.weight)
    nn.init.normal_(network.fc.weight, std=0.01)
    for name, parameter in network.named_parameters():
        if name in ("conv6.bias", "fc.bias"):
            nn.init.zeros_(parameter)
    return network


def build(classes: int = 1000) -> nn.Module:
    """The network without weights."""
    return head(make_layers(cfgs["D"][:-1]), 512, classes)


SPEC = replace(vgg16_cam.SPEC, build=build)
