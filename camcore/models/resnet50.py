"""ResNet50: four stages of bottleneck blocks, global average pooling and one linear layer."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torchvision.models import ResNet50_Weights, resnet50

from camx.camcore.models.vgg16 import CAFFE_MEAN_BGR
from camx.camcore.spec import Build, Spec

TITLE = "ResNet50"
SOURCE = "He et al. 2016; torchvision's resnet50"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LARGEST = max((1 - mean) / std for mean, std in zip(MEAN, STD))  # that a pixel can be
# No pool follows a stage, so each layer's gradient is its own.
LAYERS = {f"layer{s}": (f"layer{s}", None) for s in (4, 3, 2, 1)}


def origin(state: Mapping[str, Tensor]) -> str:
    """``caffe`` or ``model``, the preprocessing that the first batch norm's statistics show.

    No filter can spread more than the largest input allows, which Caffe's pixels, 0-255, exceed.
    Statistics merged into the weights are of Caffe's weights; others that are constant, such as
    those of a network that was never trained, tell nothing.
    """
    needed = ("conv1.weight", "bn1.weight", "bn1.running_var")
    if any(name not in state for name in needed):
        return ""
    weight, scale, variance = (state[name] for name in needed)
    if variance.min() == variance.max():
        return "" if scale.min() == scale.max() else "caffe"
    reach = LARGEST * weight.abs().sum((1, 2, 3))
    return "caffe" if (variance.sqrt() > reach).any() else "model"


def _origin(state: Mapping[str, Tensor]) -> str:
    """The same; where nothing tells, a classifier's weights are torchvision's."""
    return origin(state) or "model"


def residual(network: Build, weights: Any) -> Spec:
    """One of torchvision's residual networks, which differ in their blocks alone."""

    def build(classes: int = 1000) -> nn.Module:
        return network(num_classes=classes)

    return Spec(
        build=build, input_size=224, mean=MEAN, std=STD, layers=LAYERS, weights=weights, head="fc",
        caffe_mean_bgr=CAFFE_MEAN_BGR, origin=_origin,
    )  # fmt: skip


SPEC = residual(resnet50, ResNet50_Weights)
