"""ResNet18: four stages of basic blocks, global average pooling and one linear layer."""

from torchvision.models import ResNet18_Weights, resnet18

from camx.camcore.models.resnet50 import residual

TITLE = "ResNet18"
SOURCE = "He et al. 2016; torchvision's resnet18"
SPEC = residual(resnet18, ResNet18_Weights)
