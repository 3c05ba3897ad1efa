import torch
from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "Grad-CAM"
SOURCE = "Selvaraju et al. 2017; LayerCAM paper, eq. 2-3"


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k w_k A_k), w_k = mean_ij g_kij. Shape (N,h,w)."""
    weights = tap.grads.mean((2, 3))
    return torch.einsum("nk,nkij->nij", weights, tap.acts).relu()
