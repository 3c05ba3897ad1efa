"""DeepLab-LargeFOV on VGG16: 3x3 pools of strides 2, 2, 2, 1, 1, stage 5 with dilation 2, fc6 with dilation 12."""

from collections.abc import Mapping

from torch import Tensor, nn
from torchvision.models import VGG16_Weights
from torchvision.models.vgg import cfgs, make_layers

from camcore.groups import Group, scaled
from camcore.models.vgg16 import CAFFE_MEAN_BGR as CAFFE_MEAN_BGR
from camcore.models.vgg16 import MEAN as MEAN
from camcore.models.vgg16 import STD as STD
from camcore.segmenters._largefov import LargeFOV

TITLE = "DeepLab-LargeFOV on VGG16"
SOURCE = "Chen et al. 2015; as trained in PengtaoJiang/OAA, examples/seg/exp1"
INPUT_SIZE = 321
WEIGHTS = VGG16_Weights
BACKBONE = ("features.",)
TEST = {"long_side": 401, "pad_to": 401}


def build(classes: int = 21) -> nn.Module:
    """The network without weights; new layers as Caffe draws them, ``N(0, 0.01)`` and no bias."""
    network = LargeFOV(make_layers(cfgs["D"]), 512, 1024, 12, classes)
    for parameter in network.head.parameters():
        nn.init.normal_(parameter, std=0.01 if parameter.ndim > 1 else 0.0)
    return network


def adopt(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """VGG16's weights with fc6 and fc7 thinned out to this head's: every third cell of 7x7, every fourth unit.

    Chen et al. 2015, section 2: subsampling by simple decimation. The 7x7 cells at stride 32 so become 3x3, 12 cells of
    stride 8 apart, which is where the dilation comes from.
    """
    found = {k: v for k, v in state.items() if not k.startswith("classifier.")}
    if {"classifier.0.weight", "classifier.3.weight"} <= set(state) and state["classifier.0.weight"].shape[1] % 49 == 0:
        fc6 = state["classifier.0.weight"].unflatten(1, (-1, 7, 7))
        found["head.fc6.weight"] = fc6[::4, :, ::3, ::3].contiguous()
        found["head.fc7.weight"] = state["classifier.3.weight"][::4, ::4, None, None].contiguous()
        found["head.fc6.bias"], found["head.fc7.bias"] = (state[f"classifier.{i}.bias"][::4].contiguous() for i in (0, 3))
    return found


def groups(module: nn.Module, lr: float) -> list[Group]:
    """Weights at `lr`, biases at twice it and without decay; the score layer at ten times those."""
    return scaled(module, lr, lambda name: name.startswith("head.score."), bias_decay=False)
