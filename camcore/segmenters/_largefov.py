"""What the DeepLab-LargeFOV networks share: the head with its wide field of view."""

import torch
from torch import Tensor, nn


class Head(nn.Module):
    """``(N,width_in,h,w) -> (N,classes,h,w)``: fc6, its weights `dilation` apart, fc7, score.

    A `plain` one has neither dropout nor biases but the score's.
    """

    def __init__(
        self, width_in: int, width: int, dilation: int, classes: int, plain: bool = False
    ) -> None:
        super().__init__()
        bias = not plain
        self.fc6 = nn.Conv2d(width_in, width, 3, padding=dilation, dilation=dilation, bias=bias)
        self.fc7 = nn.Conv2d(width, width, 1, bias=bias)
        self.dropout = nn.Dropout(0.0 if plain else 0.5)
        self.score = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(torch.relu(self.fc6(x)))
        return self.score(self.dropout(torch.relu(self.fc7(x))))


class LargeFOV(nn.Module):
    """``(N,3,h,w) -> (N,classes,h/8,w/8)``: VGG's convolutions made `dense`, and the head."""

    def __init__(
        self, features: nn.Module, width_in: int, width: int, dilation: int, classes: int
    ) -> None:
        super().__init__()
        self.features = dense(features)
        self.pool5a = nn.AvgPool2d(3, 1, 1)
        self.head = Head(width_in, width, dilation, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.pool5a(self.features(images)))


def dense(features: nn.Module) -> nn.Module:
    """VGG16's `features`, in place: pools of strides 2, 2, 2, 1, 1, stage 5 with dilation 2."""
    for name, stride in zip(("4", "9", "16", "23", "30"), (2, 2, 2, 1, 1)):
        setattr(features, name, nn.MaxPool2d(3, stride, 1))
    for name in ("24", "26", "28"):
        conv = features.get_submodule(name)
        conv.dilation = conv.padding = (2, 2)  # type: ignore[assignment]  # a Conv2d's
    return features
