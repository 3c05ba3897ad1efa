from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "LayerCAM-normal"
SOURCE = "Jiang et al. 2021, section III-E: eq. 6 without its ReLU"


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k g_kij A_kij): LayerCAM whose negative gradients stay. Shape (N,h,w)."""
    return (tap.grads * tap.acts).sum(1).relu()
