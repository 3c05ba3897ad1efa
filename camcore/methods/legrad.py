import torch
from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "LeGrad"
SOURCE = "Bousselham et al. 2025 (arXiv 2404.03214), all blocks; WalBouss/LeGrad"
COSTLY = True
EXACT = True
WHOLE = True  # a map of the whole network


def cam(tap: Tap) -> Tensor:
    """M = mean_l mean_heads mean_queries ReLU(ds_l / dA_l), s_l block l's own score. (N,h,w)."""
    blocks = [local.relu().mean((1, 2)) for local in tap.attention.local]
    return tap.attention.patches(torch.stack(blocks).mean(0))
