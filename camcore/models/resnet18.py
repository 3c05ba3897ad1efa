"""ResNet18: four stages of basic blocks, global average pooling and one linear layer."""

from torch import nn
from torchvision.models import ResNet18_Weights, resnet18

from camcore.models.resnet50 import INPUT_SIZE as INPUT_SIZE
from camcore.models.resnet50 import LAYERS as LAYERS
from camcore.models.resnet50 import MEAN as MEAN
from camcore.models.resnet50 import STD as STD

TITLE = "ResNet18"
SOURCE = "He et al. 2016; torchvision's resnet18"
WEIGHTS = ResNet18_Weights


def build(classes: int = 1000) -> nn.Module:
    """The network without weights."""
    return resnet18(num_classes=classes)
