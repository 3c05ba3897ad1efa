import torch
from torch import Tensor

from camx.camcore.chance import uniform
from camx.camcore.taps import Tap

TITLE = "random weights"
SOURCE = "pytorch-grad-cam, random_cam.py: RandomCAM; seeded by the picture and the layer's name"


def cam(tap: Tap) -> Tensor:
    """M = ReLU(sum_k w_k A_k), w_k drawn from U(-1, 1): what a map must beat. Shape (N,h,w)."""
    return torch.einsum("nk,nkij->nij", uniform(tap), tap.acts).relu()
