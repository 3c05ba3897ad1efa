"""VGG16 as CAM changes it: no pool5, one more convolution, global average, one linear layer."""

from dataclasses import replace

from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from camx.camcore.models import vgg16

TITLE = "VGG16 in CAM's form, of VOC's classes"
SOURCE = "Zhou et al. 2016, VGG16-GAP; metalbubble/CAM"
# No pool follows S5, so its gradient is its own. conv6 is what CAM's weights are of.
LAYERS = {**vgg16.LAYERS, "S5": ("features.29", None), "conv6": ("relu6", None)}


class CAMForm(nn.Module):
    """``(N,3,h,w) -> (N,classes)``: `features`, a convolution, global average, one linear layer.

    CAM's has two groups of channels, and a dropout.
    """

    def __init__(
        self, features: nn.Module, width: int, classes: int, groups: int = 2, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.conv6 = nn.Conv2d(width, 2 * width, 3, padding=1, groups=groups)
        self.relu6 = nn.ReLU(True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.avgpool(self.relu6(self.conv6(self.features(images))))
        return self.fc(self.dropout(x.flatten(1)))


def build(classes: int = 20) -> nn.Module:
    """The network without weights."""
    return CAMForm(make_layers(cfgs["D"][:-1]), 512, classes)


def adopt(state: vgg16.State) -> dict[str, Tensor]:
    """VGG16's convolutions of any package under torchvision's names; the rest as it is."""
    return vgg16.renamed(state, vgg16.convolutions(state))


SPEC = replace(
    vgg16.SPEC, build=build, layers=LAYERS, head="fc", backbone=("features.",), adopt=adopt
)
