import torch
from torch import Tensor

from camx.camcore import ablation
from camx.camcore.taps import Tap

TITLE = "Ablation-CAM"
SOURCE = "Desai and Ramaswamy 2020: a channel's weight is the share of y_c that goes without it"
COSTLY = True


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k w_k A_k), w_k = (y_c - y_c of A_k = 0) / y_c. Shape (N,h,w)."""
    return torch.einsum("nk,nkij->nij", ablation.weights(tap), tap.acts).relu()
