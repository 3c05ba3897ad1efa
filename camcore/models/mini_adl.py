"""The miniature's VGG-GAP with attention-based dropout."""

from dataclasses import replace

from torch import nn
from torchvision.models.vgg import make_layers

from camx.camcore.models import adl, mini_vgg_gap
from camx.camcore.models.mini_vgg import WIDTHS

TITLE = "slim VGG-GAP with ADL (width 1/8, input 112) of the miniature (Table V)"
SOURCE = "Choe and Shim 2019, narrowed; `camx train wsol` makes its weights"


def build(classes: int = 10) -> nn.Module:
    """The network without weights."""
    return adl.head(make_layers(WIDTHS[:-1]), 64, classes)


SPEC = replace(mini_vgg_gap.SPEC, build=build)
