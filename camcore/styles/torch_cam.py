import torch
from torch import Tensor
from torch.nn.functional import interpolate

from camx.camcore.masked_passes import combine as masked
from camx.camcore.masked_passes import stretch
from camx.camcore.taps import Tap

TITLE = "torch-cam"
SOURCE = "frgfm/torch-cam: methods/core.py, gradient.py, activation.py"


def gradcampp(tap: Tap) -> Tensor:
    """The weight is the sum of ReLU(g)^3, for alpha's division acts on a copy. Shape (N,h,w)."""
    weights = tap.grads.relu().pow(3).sum((2, 3))
    return torch.einsum("nk,nkij->nij", weights, tap.acts).relu()


def xgradcam(tap: Tap) -> Tensor:
    """1e-8 is added to the sums of activations that it divides by. Shape (N,h,w)."""
    weights = (tap.grads * tap.acts).sum((2, 3)) / (tap.acts.sum((2, 3)) + 1e-8)
    return torch.einsum("nk,nkij->nij", weights, tap.acts).relu()


def _masks(acts: Tensor, size: torch.Size) -> Tensor:
    return interpolate(stretch(acts[:, None], 1e-8), size, mode="bilinear", align_corners=False)


def scorecam(tap: Tap) -> Tensor:
    """Softmax over channels of masked logits (the baseline cancels); stretched, then upsampled."""
    return masked(tap, lambda logits: logits.softmax(0), masks=_masks, keep_flat=True)


METHODS = {
    "gradcampp": (gradcampp, False),
    "scorecam": (scorecam, True),
    "xgradcam": (xgradcam, False),
}


def combine(method: str, maps: list[Tensor], size: int) -> Tensor:
    """Each layer's map is stretched; several are fused by maximum, LayerCAM's through tanh(2x)."""
    parts = [stretch(m.relu(), 1e-8) for m in maps]
    if len(parts) > 1 and method == "layercam":
        parts = [torch.tanh(2 * part) for part in parts]
    parts = [interpolate(p[:, None], (size, size), mode="bilinear") for p in parts]
    return torch.cat(parts, 1).amax(1)
