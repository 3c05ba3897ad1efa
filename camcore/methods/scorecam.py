from torch import Tensor

from camx.camcore.masked_passes import combine
from camx.camcore.taps import Tap

TITLE = "Score-CAM"
SOURCE = "Wang et al. 2020; haofanwang/Score-CAM: softmax probability, flat channels skipped"
COSTLY = True


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k w_k A_k), w_k = softmax(f(x * mask_k))_c, mask_k the stretched channel."""
    return combine(tap, lambda logits: logits.softmax(1))
