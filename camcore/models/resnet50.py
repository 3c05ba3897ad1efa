"""ResNet50: four stages of bottleneck blocks, global average pooling and one linear layer."""

from typing import Any

from torch import nn
from torchvision.models import ResNet50_Weights, resnet50

from camx.camcore.spec import Build, Spec

TITLE = "ResNet50"
SOURCE = "He et al. 2016; torchvision's resnet50"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# No pool follows a stage, so each layer's gradient is its own.
LAYERS = {f"layer{s}": (f"layer{s}", None) for s in (4, 3, 2, 1)}


def residual(network: Build, weights: Any) -> Spec:
    """One of torchvision's residual networks, which differ in their blocks alone."""

    def build(classes: int = 1000) -> nn.Module:
        return network(num_classes=classes)

    return Spec(
        build=build, input_size=224, mean=MEAN, std=STD, layers=LAYERS, weights=weights, head="fc"
    )


SPEC = residual(resnet50, ResNet50_Weights)
