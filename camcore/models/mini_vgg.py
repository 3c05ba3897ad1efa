"""The miniature's VGG: VGG16's convolutions, pools and linear layers, an eighth as wide.

Input 112x112, so its stages have 112, 56, 28, 14 and 7 pixels a side.
"""

from torch import Tensor, nn

from camx.camcore.models._vgg import LAYERS, features, widths
from camx.camcore.spec import Spec

TITLE = "slim VGG16 (width 1/8, input 112) of the miniature"
SOURCE = "Simonyan and Zisserman 2015, narrowed; trained by scripts/train_miniature.py"
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
WIDTHS = widths(share=8)


class MiniVGG(nn.Module):
    """``(N,3,112,112) -> (N,classes)``; the modules are named as torchvision names VGG16's."""

    def __init__(self, classes: int, batch_norm: bool) -> None:
        super().__init__()
        self.features = features(WIDTHS[:-1], batch_norm)
        # 7 -> 4: the last row and column count too.
        self.features.append(nn.MaxPool2d(2, 2, ceil_mode=True))
        self.classifier = nn.Sequential(
            nn.Linear(64 * 4 * 4, 128), nn.ReLU(True), nn.Dropout(0.3),
            nn.Linear(128, 128), nn.ReLU(True), nn.Dropout(0.3),
            nn.Linear(128, classes),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images).flatten(1))


def build(classes: int = 10, batch_norm: bool = False) -> nn.Module:
    """The network without weights; `batch_norm` while training, folded away in what is shipped."""
    return MiniVGG(classes, batch_norm)


SPEC = Spec(
    build=build,
    input_size=112,
    mean=MEAN,
    std=STD,
    layers=LAYERS,
    shipped="mini-vgg.safetensors",
    head="classifier.6",
)
