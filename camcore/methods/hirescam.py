from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "HiResCAM"
SOURCE = "Draelos and Carin 2020, arXiv 2011.08891"


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k g_kij A_kij), the same map as LayerCAM-normal. Shape (N,h,w)."""
    return (tap.grads * tap.acts).sum(1).relu()
