"""DeepLab-LargeFOV on VGG16: strides 2, 2, 2, 1, 1, dilation 2 in stage 5 and 12 in fc6."""

from collections.abc import Mapping

from torch import Tensor, nn
from torchvision.models import VGG16_Weights
from torchvision.models.vgg import cfgs, make_layers

from camx.camcore.groups import Group, scaled
from camx.camcore.models.vgg16 import CAFFE_MEAN_BGR, MEAN, STD
from camx.camcore.segmenters._largefov import LargeFOV
from camx.camcore.spec import Spec

TITLE = "DeepLab-LargeFOV on VGG16"
SOURCE = "Chen et al. 2015; as trained in PengtaoJiang/OAA, examples/seg/exp1"


def build(classes: int = 21) -> nn.Module:
    """The network without weights; new layers as Caffe draws them, ``N(0, 0.01)`` and no bias."""
    network = LargeFOV(make_layers(cfgs["D"]), 512, 1024, 12, classes)
    for parameter in network.head.parameters():
        nn.init.normal_(parameter, std=0.01 if parameter.ndim > 1 else 0.0)
    return network


def adopt(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """VGG16's weights, fc6 and fc7 thinned out: every third cell of 7x7, every fourth unit.

    Chen et al. 2015, section 2: subsampling by simple decimation. The 7x7 cells at stride 32 so
    become 3x3, 12 cells of stride 8 apart, which is where the dilation comes from.
    """
    kept = {k: v for k, v in state.items() if not k.startswith("classifier.")}
    fc6, fc7 = (state.get(f"classifier.{i}.weight") for i in (0, 3))
    if fc6 is None or fc7 is None or fc6.shape[1] % (7 * 7):
        return kept
    thinned = {
        "head.fc6.weight": fc6.unflatten(1, (-1, 7, 7))[::4, :, ::3, ::3],
        "head.fc7.weight": fc7[::4, ::4, None, None],
        "head.fc6.bias": state["classifier.0.bias"][::4],
        "head.fc7.bias": state["classifier.3.bias"][::4],
    }
    return {**kept, **{k: v.contiguous() for k, v in thinned.items()}}


def groups(module: nn.Module, lr: float) -> list[Group]:
    """Weights at `lr`, biases at twice it and without decay; the score layer at ten times those."""
    return scaled(module, lr, lambda name: name.startswith("head.score."), bias_decay=False)


SPEC = Spec(
    build=build,
    input_size=321,
    mean=MEAN,
    std=STD,
    weights=VGG16_Weights,
    head="head.score",
    backbone=("features.",),
    caffe_mean_bgr=CAFFE_MEAN_BGR,
    adopt=adopt,
    groups=groups,
    test={"long_side": 401, "pad_to": 401},
)
