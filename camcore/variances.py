"""How much a weight differs from place to place within one feature map (LayerCAM paper, Figure 4).

Grad-CAM weights a feature map by its mean gradient, Grad-CAM++ by the sum of alpha ReLU(gradient).
Where what they average hardly varies, one weight stands for every place; where it does, none can.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from camx.camcore.taps import Tap


def gradients(tap: Tap) -> Tensor:
    """What Grad-CAM averages over each feature map: g, ``(N,C,h,w)``."""
    return tap.grads


def weighted(tap: Tap) -> Tensor:
    """What Grad-CAM++ sums over each feature map: alpha ReLU(g), ``(N,C,h,w)`` (eq. 4-5).

    alpha = g^2 / (2 g^2 + sum A g^3), so that alpha g = g / (2 + g sum A) where g > 0, else 0.
    """
    g, sums = tap.grads.clamp(min=0), tap.acts.sum((2, 3), keepdim=True)
    denominators = sums * g + 2
    return torch.where(denominators == 0, 0, g / denominators)


WEIGHTS: dict[str, Callable[[Tap], Tensor]] = {"gradcam": gradients, "gradcampp": weighted}


def spread(weights: Tensor) -> tuple[Tensor, Tensor]:
    """``(variance, mean square)`` over the places of each map of ``(N,C,h,w)``, ``(N,C)`` double.

    The variance is the population's: the mean squared difference from the mean. It is at most the
    mean square, and their ratio, in [0, 1], is the same whatever the weights' unit: 0 where all are
    one, 1 where they cancel out. Of weights that are all one number the variance is exactly 0.
    """
    values = weights.double().flatten(2)
    mean = values.mean(2, keepdim=True)
    return (values - mean).square().mean(2), values.square().mean(2)
