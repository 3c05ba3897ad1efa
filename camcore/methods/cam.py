import torch
from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "CAM"
SOURCE = "Zhou et al. 2016, eq. 2"
LAYERS = ("layer4", "S5")  # the layer that is pooled


def cam(tap: Tap) -> Tensor:
    """M = sum_k w_ck A_k, signed, w the linear layer of the global average. Shape (N,h,w)."""
    if (head := tap.head) is None:
        end = f"global average pooling of {tap.layer.name} and one linear layer"
        raise ValueError(f"CAM needs a network that ends in {end}")
    return torch.einsum("nk,nkij->nij", head[tap.targets], tap.acts)
