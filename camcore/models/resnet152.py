"""ResNet152: four stages of bottleneck blocks, global average pooling and one linear layer."""

from torch import nn
from torchvision.models import ResNet152_Weights, resnet152

from camcore.models.resnet50 import INPUT_SIZE as INPUT_SIZE
from camcore.models.resnet50 import LAYERS as LAYERS
from camcore.models.resnet50 import MEAN as MEAN
from camcore.models.resnet50 import STD as STD

TITLE = "ResNet152"
SOURCE = "He et al. 2016; torchvision's resnet152"
WEIGHTS = ResNet152_Weights


def build(classes: int = 1000) -> nn.Module:
    """The network without weights."""
    return resnet152(num_classes=classes)
