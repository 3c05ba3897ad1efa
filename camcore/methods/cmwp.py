from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "c-MWP"
SOURCE = "Zhang et al. 2016, contrastive excitation backpropagation; TorchRay, excitation_backprop"
COSTLY = True
LAYERS = ("S4",)  # read at the pool that follows it, pool4 of VGG16


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k p_kij), p the contrastive excitation. Shape (N,h,w)."""
    return tap.excite().sum(1).relu()
