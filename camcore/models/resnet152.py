"""ResNet152: four stages of bottleneck blocks, global average pooling and one linear layer."""

from torchvision.models import ResNet152_Weights, resnet152

from camx.camcore.models.resnet50 import residual

TITLE = "ResNet152"
SOURCE = "He et al. 2016; torchvision's resnet152"
SPEC = residual(resnet152, ResNet152_Weights)
