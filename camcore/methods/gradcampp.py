import torch
from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "Grad-CAM++"
SOURCE = "Chattopadhay et al. 2018; LayerCAM paper, eq. 4-5"


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k w_k A_k), w_k = sum_ij alpha_kij ReLU(g_kij). Shape (N,h,w).

    alpha = g^2 / (2 g^2 + sum_ab A_kab g^3), so alpha * ReLU(g) = g / (2 + g sum_ab A_kab) where g
    > 0 and 0 elsewhere: no epsilon is needed, for activations after a ReLU are not negative.
    """
    g = tap.grads.clamp(min=0)
    weights = (g / (tap.acts.sum((2, 3), keepdim=True) * g).add_(2)).sum((2, 3))
    return torch.einsum("nk,nkij->nij", weights, tap.acts).relu()
