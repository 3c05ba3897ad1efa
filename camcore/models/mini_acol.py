"""The miniature's VGG with ACoL's two branches."""

from dataclasses import replace

from torch import nn
from torchvision.models.vgg import make_layers

from camx.camcore.models import acol, mini_vgg_gap
from camx.camcore.models.mini_vgg import WIDTHS

TITLE = "slim VGG16 with ACoL's two branches (width 1/8, input 112) of the miniature (Table V)"
SOURCE = "Zhang et al. 2018, narrowed; `camx train wsol` makes its weights"


def build(classes: int = 10) -> nn.Module:
    """The network without weights."""
    return acol.ACoL(acol.pooled(make_layers(WIDTHS)), 64, 64, classes)


SPEC = replace(mini_vgg_gap.SPEC, build=build, layers=acol.LAYERS, head="")
