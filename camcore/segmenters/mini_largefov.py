"""The miniature's DeepLab-LargeFOV: the layout of that on VGG16, an eighth as wide.

Crops of 129 give 17x17 cells; fc6 spans 11 of them, the share that 25 are of VGG16's 41.
"""

from torch import nn

from camcore.groups import Group, scaled
from camcore.models.mini_vgg import MEAN as MEAN
from camcore.models.mini_vgg import STD as STD
from camcore.models.mini_vgg_voc import UNTRAINED as UNTRAINED
from camcore.models.mini_vgg_voc import arguments as arguments
from camcore.models.mini_vgg_voc import features
from camcore.segmenters._largefov import LargeFOV

TITLE = "slim DeepLab-LargeFOV (width 1/8, crop 129) of the miniature"
SOURCE = "Chen et al. 2015, narrowed"
INPUT_SIZE = 129
INIT = "mini-vgg.safetensors"
BACKBONE = ("features.",)
TEST = {"long_side": 161, "pad_to": 161}


def build(classes: int = 11, batch_norm: bool = False) -> nn.Module:
    """The network without weights; `batch_norm` when it is trained from nothing."""
    return LargeFOV(features(batch_norm, last_pool=True), 64, 128, 5, classes)


def groups(module: nn.Module, lr: float) -> list[Group]:
    """As on ResNet101, whose head is new as this one is: all of it at ten times the rate, biases at twice theirs."""
    return scaled(module, lr, lambda name: name.startswith("head."), bias_decay=False)
