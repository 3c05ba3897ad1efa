"""ResNet50: four stages of bottleneck blocks, global average pooling and one linear layer."""

from torch import nn
from torchvision.models import ResNet50_Weights, resnet50

TITLE = "ResNet50"
SOURCE = "He et al. 2016; torchvision's resnet50"
INPUT_SIZE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WEIGHTS = ResNet50_Weights
# No pool follows a stage, so each layer's gradient is its own.
LAYERS = {f"layer{s}": (f"layer{s}", None) for s in (4, 3, 2, 1)}


def build(classes: int = 1000) -> nn.Module:
    """The network without weights."""
    return resnet50(num_classes=classes)
