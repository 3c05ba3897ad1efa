"""VGG16, configuration D: thirteen 3x3 convolutions in five stages, each ended by a max-pool."""

from torch import nn
from torchvision.models import VGG16_Weights, vgg16

from camx.camcore.spec import Spec

TITLE = "VGG16"
SOURCE = "Simonyan and Zisserman 2015, configuration D; torchvision's vgg16"
INPUT_SIZE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The paper's network: Caffe's weights in torchvision's layout want BGR, 0-255, minus these means.
CAFFE_MEAN_BGR = (104.00699, 116.66877, 122.67892)
# A layer is a pair: the stage's last ReLU, and the max-pool after it (the paper's gradient source).
LAYERS: dict[str, tuple[str, str | None]] = {
    f"S{s}": (f"features.{relu}", f"features.{relu + 1}")
    for s, relu in zip(range(5, 0, -1), (29, 22, 15, 8, 3))
}


def build(classes: int = 1000) -> nn.Module:
    """The network without weights."""
    return vgg16(num_classes=classes, init_weights=False)


SPEC = Spec(
    build=build,
    input_size=INPUT_SIZE,
    mean=MEAN,
    std=STD,
    layers=LAYERS,
    weights=VGG16_Weights,
    head="classifier.6",
    caffe_mean_bgr=CAFFE_MEAN_BGR,
)
