from torch import Tensor

from camx.camcore import biases
from camx.camcore.masked_passes import stretch
from camx.camcore.taps import Tap

TITLE = "FullGrad"
SOURCE = "Srinivas and Fleuret 2019 (arXiv 1905.00780), eq. 8; idiap/fullgrad-saliency"
COSTLY = True
WHOLE = True


def cam(tap: Tap) -> Tensor:
    """M = sum_c psi(x dy/dx)_c + sum_l sum_c psi(b_l g_l)_c, of the input's size: (N,H,W).

    psi is the magnitude, an image's channels stretched together into [0, 1], upsampled.
    """
    return biases.aggregate(tap, lambda p: stretch(p.flatten(2), 1e-6).view_as(p), corners=True)
