import torch
from torch import Tensor
from torch.nn.functional import interpolate

from camx.camcore.masked_passes import combine as masked
from camx.camcore.masked_passes import stretch
from camx.camcore.taps import Tap

TITLE = "pytorch-grad-cam"
SOURCE = "jacobgil/pytorch-grad-cam: base_cam.py, grad_cam_plusplus.py, score_cam.py"


def gradcampp(tap: Tap) -> Tensor:
    """Eq. 5 with 1e-6 in the denominator: smaller weights where gradients are small. (N,h,w)."""
    g2 = tap.grads.square()
    alpha = g2 / (2 * g2 + tap.acts.sum((2, 3), keepdim=True) * g2 * tap.grads + 1e-6)
    weights = (alpha * tap.grads.relu()).sum((2, 3))
    return torch.einsum("nk,nkij->nij", weights, tap.acts).relu()


def _masks(acts: Tensor, size: torch.Size) -> Tensor:
    return stretch(interpolate(acts[:, None], size, mode="bilinear", align_corners=True), 1e-8)


def scorecam(tap: Tap) -> Tensor:
    """Softmax over channels of masked logits; corners aligned, flat channels' masks empty."""
    return masked(tap, lambda logits: logits.softmax(0), masks=_masks, keep_flat=True)


METHODS = {"gradcampp": (gradcampp, False), "scorecam": (scorecam, True)}


def combine(method: str, maps: list[Tensor], size: int) -> Tensor:
    """Each layer's map is stretched, then resized; their mean is stretched again."""
    parts = [stretch(m.relu(), 1e-7)[:, None] for m in maps]
    parts = [interpolate(p, (size, size), mode="bilinear", align_corners=False) for p in parts]
    return stretch(torch.cat(parts, 1).mean(1), 1e-7)
