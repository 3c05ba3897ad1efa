import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from camx.camcore import ablation, biases
from camx.camcore.masked_passes import combine as masked
from camx.camcore.masked_passes import stretch
from camx.camcore.taps import Tap

TITLE = "pytorch-grad-cam"
SOURCE = "jacobgil/pytorch-grad-cam: base_cam.py and a file a method, such as score_cam.py"
ABLATED, BATCH = 1e7, 32  # ablation_layer.py, ablation_cam.py


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


def _ablated(acts: Tensor) -> Tensor:
    """Zero where that is the lowest activation; else 1e7 below it, 2e7 for the batch's second..."""
    if not (low := acts.min()):
        return ablation.zero(acts)
    return low - ABLATED * (torch.arange(len(acts), device=acts.device) % BATCH + 1)


def ablationcam(tap: Tap) -> Tensor:
    """Channels of networks whose activations may be negative are far below all. Shape (N,h,w)."""
    weights = ablation.weights(tap, _ablated)
    return torch.einsum("nk,nkij->nij", weights, tap.acts).relu()


def fullgrad(tap: Tap) -> Tensor:
    """Each channel is stretched alone; corners are not aligned. Shape (N,H,W)."""
    return biases.aggregate(tap, lambda part: stretch(part, 1e-7), corners=False)


def xgradcam(tap: Tap) -> Tensor:
    """1e-7 is added to the sums of activations that it divides by. Shape (N,h,w)."""
    weights = tap.grads * tap.acts / (tap.acts.sum((2, 3), keepdim=True) + 1e-7)
    return torch.einsum("nk,nkij->nij", weights.sum((2, 3)), tap.acts).relu()


def _component(values: Tensor) -> Tensor:
    """Channels are centred first, and the sign is what NumPy's SVD happens to give. (N,h,w)."""
    channels = values.nan_to_num(0.0, 0.0, 0.0).flatten(2).mT.cpu().numpy()
    maps = np.zeros(channels.shape[:2], channels.dtype)
    for row, places in enumerate(channels):
        centred = places - places.mean(0)
        maps[row] = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    return torch.from_numpy(maps).to(values.device).unflatten(1, values.shape[2:]).relu()


def eigencam(tap: Tap) -> Tensor:
    return _component(tap.acts)


def eigengradcam(tap: Tap) -> Tensor:
    return _component(tap.grads * tap.acts)


METHODS = {
    "gradcampp": (gradcampp, False),
    "scorecam": (scorecam, True),
    "ablationcam": (ablationcam, True),
    "fullgrad": (fullgrad, True),
    "xgradcam": (xgradcam, False),
    "eigencam": (eigencam, False),
    "eigengradcam": (eigengradcam, False),
}


def combine(method: str, maps: list[Tensor], size: int) -> Tensor:
    """Each layer's map is stretched, then resized; their mean is stretched again."""
    parts = [stretch(m.relu(), 1e-7)[:, None] for m in maps]
    parts = [interpolate(p, (size, size), mode="bilinear", align_corners=False) for p in parts]
    return stretch(torch.cat(parts, 1).mean(1), 1e-7)
