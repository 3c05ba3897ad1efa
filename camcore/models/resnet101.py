"""ResNet101: four stages of bottleneck blocks, global average pooling and one linear layer."""

from torchvision.models import ResNet101_Weights, resnet101

from camx.camcore.models.resnet50 import residual

TITLE = "ResNet101"
SOURCE = "He et al. 2016; torchvision's resnet101"
SPEC = residual(resnet101, ResNet101_Weights)
