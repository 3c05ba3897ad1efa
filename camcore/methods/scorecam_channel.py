from torch import Tensor

from camx.camcore.masked_passes import combine
from camx.camcore.taps import Tap

TITLE = "Score-CAM, softmax over channels"
SOURCE = "as pytorch-grad-cam and torch-cam: the class's masked logits compete across channels"
COSTLY = True


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k w_k A_k), w = softmax over k of f(x * mask_k)_c. Shape (N,h,w)."""
    return combine(tap, lambda logits: logits.softmax(0))
