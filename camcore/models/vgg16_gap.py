"""VGG16-GAP, the network that CAM is defined on: `vgg16_cam` of ILSVRC's thousand classes."""

from dataclasses import replace

from torch import nn

from camx.camcore.models import vgg16_cam

TITLE = "VGG16-GAP, of CAM (Table V)"
SOURCE = "Zhou et al. 2016, VGG16-GAP; metalbubble/CAM"


def build(classes: int = 1000) -> nn.Module:
    """The network without weights."""
    return vgg16_cam.build(classes)


SPEC = replace(vgg16_cam.SPEC, build=build)
