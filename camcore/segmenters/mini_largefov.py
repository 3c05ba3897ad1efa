"""The miniature's DeepLab-LargeFOV: the layout of that on VGG16, an eighth as wide.

Crops of 129 give 17x17 cells; fc6 spans 11 of them, the share that 25 are of VGG16's 41.
"""

from torch import nn

from camx.camcore.groups import Group, scaled
from camx.camcore.models.mini_vgg import MEAN, STD
from camx.camcore.models.mini_vgg_voc import arguments, features
from camx.camcore.segmenters._largefov import LargeFOV
from camx.camcore.spec import Spec

TITLE = "slim DeepLab-LargeFOV (width 1/8, crop 129) of the miniature"
SOURCE = "Chen et al. 2015, narrowed"


def build(classes: int = 11, batch_norm: bool = False) -> nn.Module:
    """The network without weights; `batch_norm` when it is trained from nothing."""
    return LargeFOV(features(batch_norm, last_pool=True), 64, 128, 5, classes)


def groups(module: nn.Module, lr: float) -> list[Group]:
    """As on ResNet101, all of the head is new: ten times the rate, biases twice theirs."""
    return scaled(module, lr, lambda name: name.startswith("head."), bias_decay=False)


SPEC = Spec(
    build=build,
    input_size=129,
    mean=MEAN,
    std=STD,
    head="head.score",
    backbone=("features.",),
    untrained={"batch_norm": True},
    arguments=arguments,
    groups=groups,
    init="mini-vgg.safetensors",
    test={"long_side": 161, "pad_to": 161},
)
