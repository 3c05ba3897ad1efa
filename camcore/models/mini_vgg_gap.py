"""The miniature's VGG in CAM's form, of its pictures of one class."""

from dataclasses import replace

from torch import nn
from torchvision.models.vgg import make_layers

from camx.camcore.models import mini_vgg, vgg16_cam
from camx.camcore.models.mini_vgg import WIDTHS

TITLE = "slim VGG16-GAP (width 1/8, input 112) of the miniature (Table V)"
SOURCE = "Zhou et al. 2016, VGG16-GAP, narrowed; `camx train wsol` makes its weights"


def build(classes: int = 10) -> nn.Module:
    """The network without weights."""
    return vgg16_cam.CAMForm(make_layers(WIDTHS[:-1]), 64, classes)


SPEC = replace(
    mini_vgg.SPEC, build=build, layers=vgg16_cam.LAYERS, shipped="", head="fc",
    backbone=("features.",), init="mini-vgg.safetensors",
)  # fmt: skip
