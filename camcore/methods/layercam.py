from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "LayerCAM"
SOURCE = "Jiang et al. 2021, eq. 6-8"
NON_NEGATIVE = True


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k ReLU(g_kij) A_kij): each place has a weight of its own. Shape (N,h,w)."""
    return tap.grads.clamp(min=0).mul_(tap.acts).sum(1).relu()
