import torch

TITLE = "CAM"
SOURCE = "Zhou et al. 2016, eq. 2"
LAYERS = ("layer4", "S5")  # the layer that is pooled


def cam(tap):
    """M = sum_k w_ck A_k, signed; needs logits that are a linear layer of the layer's global average. (N,h,w)."""
    if tap.head is None:
        raise ValueError(f"CAM needs a network that ends in global average pooling of {tap.layer.name} and one linear layer")
    return torch.einsum("nk,nkij->nij", tap.head[tap.targets], tap.acts)
