"""DeepLab-LargeFOV on VGG16: strides 2, 2, 2, 1, 1, dilation 2 in stage 5 and 12 in fc6."""

from torch import Tensor, nn
from torchvision.models import VGG16_Weights
from torchvision.models.vgg import cfgs, make_layers

from camx.camcore.groups import Group, scaled
from camx.camcore.models import vgg16
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


def adopt(state: vgg16.State) -> dict[str, Tensor]:
    """VGG16's weights of any package, fc6 and fc7 thinned out unless they are LargeFOV's already.

    Chen et al. 2015, section 2: subsampling by simple decimation, every third cell of 7x7, every
    fourth unit. The 7x7 cells at stride 32 so become 3x3, 12 cells of stride 8 apart, which is
    where the dilation comes from. `ValueError` for an fc6 or fc7 that is neither.
    """
    layers = vgg16.dense(state)
    names = {f"head.{layer}": layers[layer] for layer in ("fc6", "fc7") if layer in layers}
    adopted = vgg16.renamed(state, {**vgg16.convolutions(state), **names})
    if len(names) < 2:
        return adopted
    fc6, fc7 = (adopted[f"head.{layer}.weight"] for layer in ("fc6", "fc7"))
    shapes = f"{layers['fc6']}.weight {tuple(fc6.shape)}, {layers['fc7']}.weight {tuple(fc7.shape)}"
    if fc6.ndim == 2 and fc6.shape[1] % (7 * 7) == 0:
        fc6 = fc6.unflatten(1, (-1, 7, 7))
    sides, square = fc6.shape[2:], fc7.shape[:2] == (fc6.shape[0], fc6.shape[0])
    if sides not in ((7, 7), (3, 3)) or not square or fc7[0, 0].numel() != 1:
        accepted = "VGG16's, (4096, 25088) and (4096, 4096), or LargeFOV's, (1024, 512, 3, 3)"
        raise ValueError(f"fc6 and fc7 are {shapes}; accepted: {accepted} and (1024, 1024, 1, 1)")
    units, cells = (4, 3) if sides == (7, 7) else (1, 1)
    fc7 = fc7.reshape(*fc7.shape[:2], 1, 1)
    thinned = {
        "head.fc6.weight": fc6[::units, :, ::cells, ::cells],
        "head.fc7.weight": fc7[::units, ::units],
    }
    biases = (f"head.{layer}.bias" for layer in ("fc6", "fc7"))
    thinned |= {name: adopted[name][::units] for name in biases if name in adopted}
    return {**adopted, **{k: v.contiguous() for k, v in thinned.items()}}


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
    origin=vgg16.origin,
    groups=groups,
    test={"long_side": 401, "pad_to": 401},
)
