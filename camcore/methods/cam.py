import torch
from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "CAM"
SOURCE = "Zhou et al. 2016, eq. 2"
POOLED = True  # read at the layer whose global average is classified


def cam(tap: Tap) -> Tensor:
    """M = sum_k w_ck A_k, signed, w the head's weights (see `Tap.head`). Shape (N,h,w)."""
    if (head := tap.head) is None:
        end = (
            f"global average pooling of {tap.layer.name} and one linear layer, or a 1x1 one before"
        )
        raise ValueError(f"CAM needs a network that ends in {end}")
    return torch.einsum("nk,nkij->nij", head[tap.targets], tap.acts)
