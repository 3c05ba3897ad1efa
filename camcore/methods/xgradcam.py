import torch
from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "XGrad-CAM"
SOURCE = "Fu et al. 2020, arXiv 2008.02312"
NON_NEGATIVE = True  # it divides by a sum of activations


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k w_k A_k), w_k = sum_ij g_kij A_kij / sum_ij A_kij, 0 where that sum is 0."""
    sums = tap.acts.sum((2, 3))
    weights = (tap.grads * tap.acts).sum((2, 3)) / sums.where(sums != 0, torch.inf)
    return torch.einsum("nk,nkij->nij", weights, tap.acts).relu()
