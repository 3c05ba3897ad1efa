import torch
from torch import Tensor

from camx.camcore.models.acol import minmax
from camx.camcore.taps import Tap

TITLE = "ACoL"
SOURCE = "Zhang et al. 2018, section 3.3; xiaomengyc/ACoL, get_localization_maps"
LAYERS = ("pool6",)  # what both branches see


def cam(tap: Tap) -> Tensor:
    """M = max(A, B) of the two branches' maps of the target, each in [0, 1]. Shape (N,h,w)."""
    if (branches := getattr(tap.network, "branches", None)) is None:
        raise ValueError("ACoL's map needs its network's two branches: acol or mini-acol")
    if (layer := tap.layer).activation not in LAYERS:
        raise ValueError(f"ACoL's map is of pool6, which both branches see, not of {layer.name}")
    return torch.maximum(*map(minmax, branches(tap.acts, tap.targets)))
