"""VGG16 as CAM changes it: no pool5, one more convolution, global average pooling and one linear layer."""

from torch import nn
from torchvision.models import VGG16_Weights
from torchvision.models.vgg import cfgs, make_layers

from camcore.models.vgg16 import CAFFE_MEAN_BGR as CAFFE_MEAN_BGR
from camcore.models.vgg16 import INPUT_SIZE as INPUT_SIZE
from camcore.models.vgg16 import LAYERS as _VGG16
from camcore.models.vgg16 import MEAN as MEAN
from camcore.models.vgg16 import STD as STD

TITLE = "VGG16 in CAM's form"
SOURCE = "Zhou et al. 2016, VGG16-GAP; metalbubble/CAM"
WEIGHTS = VGG16_Weights
BACKBONE = ("features.",)
# No pool follows S5, so its gradient is its own. conv6 is what CAM's weights are of.
LAYERS = {**_VGG16, "S5": ("features.29", None), "conv6": ("relu6", None)}


class CAMForm(nn.Module):
    """``(N,3,h,w) -> (N,classes)``: `features` ``(N,C,h/16,w/16)``, a convolution to 2C in two groups, average, linear."""

    def __init__(self, features: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.conv6 = nn.Conv2d(width, 2 * width, 3, padding=1, groups=2)
        self.relu6 = nn.ReLU(True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, images):
        x = self.avgpool(self.relu6(self.conv6(self.features(images))))
        return self.fc(self.dropout(x.flatten(1)))


def build(classes: int = 20) -> nn.Module:
    """The network without weights."""
    return CAMForm(make_layers(cfgs["D"][:-1]), 512, classes)
