"""The miniature's VGG in CAM's form: VGG16's convolutions an eighth as wide, global average."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torchvision.models.vgg import make_layers

from camx.camcore.models import mini_vgg, vgg16_cam
from camx.camcore.models.mini_vgg import WIDTHS

TITLE = "slim VGG16 in CAM's form (width 1/8, input 112) of the miniature's scenes"
SOURCE = "Zhou et al. 2016, VGG16-GAP, narrowed; trained by scripts/train_miniature.py"


def features(batch_norm: bool, last_pool: bool = False) -> nn.Sequential:
    """The convolutions ``(N,3,h,w) -> (N,64,h/16,w/16)``, halved once more by the last pool.

    Batch norms bear names of their own between the others, which keep VGG16's numbers.
    """
    named: OrderedDict[str, nn.Module] = OrderedDict()
    for name, module in make_layers(WIDTHS if last_pool else WIDTHS[:-1]).named_children():
        named[name] = module
        if batch_norm and isinstance(module, nn.Conv2d):
            named[f"bn{name}"] = nn.BatchNorm2d(module.out_channels)
    return nn.Sequential(named)


def build(classes: int = 10, batch_norm: bool = False) -> nn.Module:
    """The network without weights; `batch_norm` while training, folded away in what is shipped."""
    return vgg16_cam.CAMForm(features(batch_norm), 64, classes)


def arguments(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What `build` needs to know of weights besides their classes."""
    return {"batch_norm": "features.bn0.weight" in state}


SPEC = replace(
    mini_vgg.SPEC,
    build=build,
    layers=vgg16_cam.LAYERS,
    shipped="mini-vgg-voc.safetensors",
    head="fc",
    backbone=("features.",),
    untrained={"batch_norm": True},
    arguments=arguments,
)
