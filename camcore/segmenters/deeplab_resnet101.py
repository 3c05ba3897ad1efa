"""DeepLab-LargeFOV on ResNet101: stages 3, 4 keep stage 2's resolution; fixed batch norms."""

import torch
from torch import Tensor, nn
from torchvision.models import ResNet101_Weights, resnet101

from camx.camcore.groups import Group, scaled
from camx.camcore.models.resnet50 import MEAN, STD, origin
from camx.camcore.models.vgg16 import CAFFE_MEAN_BGR
from camx.camcore.segmenters._largefov import Head
from camx.camcore.spec import Spec

TITLE = "DeepLab-LargeFOV on ResNet101"
SOURCE = "Chen et al. 2015 and He et al. 2016; as trained in PengtaoJiang/OAA, examples/seg/exp2"
_TRUNK = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


class DeepLabResNet(nn.Module):
    """``(N,3,h,w) -> (N,classes,h/8,w/8)``; the trunk's modules have torchvision's names."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        trunk = resnet101(replace_stride_with_dilation=(False, True, True))
        for stage, dilation in ((trunk.layer3, 2), (trunk.layer4, 4)):
            # Torchvision leaves a stage's first block behind.
            stage[0].conv2.dilation = stage[0].conv2.padding = (dilation, dilation)
        for name in _TRUNK:
            setattr(self, name, getattr(trunk, name))
        self.head = Head(2048, 1024, 12, classes, plain=True)  # as OAA's
        for norm in self.norms():
            norm.requires_grad_(False)

    def norms(self) -> list[nn.Module]:
        return [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]

    def train(self, mode: bool = True) -> "DeepLabResNet":
        """Training mode for all but the batch norms, which keep the statistics they came with."""
        super().train(mode)
        for norm in self.norms():
            norm.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for name in _TRUNK:
            x = self.get_submodule(name)(x)
        return self.head(x)


def build(classes: int = 21) -> nn.Module:
    """The network without weights; new layers as Caffe's ``xavier`` and ``msra`` draw them."""
    network = DeepLabResNet(classes)
    head = network.head
    for weight in (head.fc6.weight, head.fc7.weight):
        nn.init.kaiming_uniform_(weight, nonlinearity="linear")
    nn.init.kaiming_normal_(head.score.weight)
    head.score.bias = nn.Parameter(torch.zeros(classes))
    return network


def groups(module: nn.Module, lr: float) -> list[Group]:
    """The trunk's convolutions at `lr`, the head's at ten times it, the score's bias at twenty."""
    return scaled(module, lr, lambda name: name.startswith("head."))


SPEC = Spec(
    build=build,
    input_size=321,
    mean=MEAN,
    std=STD,
    weights=ResNet101_Weights,
    head="head.score",
    backbone=("conv1.", "bn1.", "layer"),
    caffe_mean_bgr=CAFFE_MEAN_BGR,
    origin=origin,
    groups=groups,
    test={"scales": (0.5, 0.75, 1.0, 1.25, 1.5), "pad_to": 401},
)
