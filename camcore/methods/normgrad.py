from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "NormGrad"
SOURCE = "Rebuffi et al. 2020, identity layer; TorchRay, branch normgrad"


def cam(tap: Tap) -> Tensor:
    """M = ||A_ij||_2 ||g_ij||_2, norms over the channels k. Shape (N,h,w)."""
    return tap.acts.square().sum(1).sqrt() * tap.grads.square().sum(1).sqrt()
