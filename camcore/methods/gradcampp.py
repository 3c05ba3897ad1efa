import torch
from torch import Tensor

from camx.camcore.doubts import without_zeros
from camx.camcore.taps import Tap

TITLE = "Grad-CAM++"
SOURCE = "Chattopadhay et al. 2018; LayerCAM paper, eq. 4-5"
NON_NEGATIVE = True


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k w_k A_k), w_k = sum_ij g / (2 + g sum_ab A_kab) where g_kij > 0, else 0: eq. 5
    (alpha = g^2 / (2 g^2 + sum A g^3)) times ReLU(g); no epsilon, for A after a ReLU is >= 0."""
    g, sums = tap.grads.clamp(min=0), tap.acts.sum((2, 3), keepdim=True)
    denominators = (sums * g).add_(2)
    if (sums < 0).any():
        denominators = without_zeros(denominators, tap, "gradcampp")
    return torch.einsum("nk,nkij->nij", g.div_(denominators).sum((2, 3)), tap.acts).relu()
