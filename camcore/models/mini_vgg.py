"""The miniature's VGG: VGG16's thirteen convolutions, five pools and three linear layers, an eighth as wide.

Input 112x112, so its stages have 112, 56, 28, 14 and 7 pixels a side.
"""

from torch import nn
from torchvision.models.vgg import make_layers

from camcore.models.vgg16 import LAYERS as LAYERS

TITLE = "slim VGG16 (width 1/8, input 112) of the miniature"
SOURCE = "Simonyan and Zisserman 2015, configuration D, narrowed; trained by scripts/train_miniature.py"
INPUT_SIZE = 112
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
SHIPPED = "mini-vgg.safetensors"
WIDTHS: list[str | int] = [8, 8, "M", 16, 16, "M", 32, 32, 32, "M", 64, 64, 64, "M", 64, 64, 64, "M"]


class MiniVGG(nn.Module):
    """``(N,3,112,112) -> (N,classes)``; the modules are named as torchvision names VGG16's."""

    def __init__(self, classes: int, batch_norm: bool) -> None:
        super().__init__()
        self.features = make_layers(WIDTHS, batch_norm)
        self.features[-1].ceil_mode = True  # 7 -> 4: the last row and column count too
        self.classifier = nn.Sequential(
            nn.Linear(64 * 4 * 4, 128), nn.ReLU(True), nn.Dropout(0.3),
            nn.Linear(128, 128), nn.ReLU(True), nn.Dropout(0.3),
            nn.Linear(128, classes),
        )  # fmt: skip

    def forward(self, images):
        return self.classifier(self.features(images).flatten(1))


def build(classes: int = 10, batch_norm: bool = False) -> nn.Module:
    """The network without weights; `batch_norm` only while training, folded away before shipping."""
    return MiniVGG(classes, batch_norm)
