"""ResNet34: four stages of basic blocks, global average pooling and one linear layer."""

from torchvision.models import ResNet34_Weights, resnet34

from camx.camcore.models.resnet50 import residual

TITLE = "ResNet34"
SOURCE = "He et al. 2016; torchvision's resnet34"
SPEC = residual(resnet34, ResNet34_Weights)
