import torch
from torch import Tensor

from camx.camcore import curvature
from camx.camcore.taps import Tap

TITLE = "ShapleyCAM"
SOURCE = "Cai 2025 (arXiv 2501.06261): the Shapley value to second order"
COSTLY = True
EXACT = True


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k w_k A_k), w_k = mean_ij (g - H A / 2)_kij, H = dg/dA. Shape (N,h,w)."""
    weights = (tap.grads - curvature.products(tap) / 2).mean((2, 3))
    return torch.einsum("nk,nkij->nij", weights, tap.acts).relu()
