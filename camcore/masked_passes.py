"""Masked passes: what the network says of an image through each channel of a layer (Score-CAM)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from camx.camcore.taps import Tap

CHUNK = 32  # masked views a forward pass
Masks = Callable[[Tensor, torch.Size], Tensor]


def stretch(maps: Tensor, epsilon: float = 0.0) -> Tensor:
    """Each ``(...,h,w)`` map from its minimum to its maximum into [0, 1]."""
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    return (maps - low) / (high - low + epsilon)


def upsampled(acts: Tensor, size: torch.Size) -> Tensor:
    """The authors' masks ``(M,1,*size)`` of channels ``(M,h,w)``: upsampled, then stretched."""
    return stretch(interpolate(acts[:, None], size, mode="bilinear", align_corners=False))


def distinct(acts: Tensor) -> tuple[Tensor, Tensor]:
    """Of channels ``(M,h,w)`` the first of each that are equal, in their order, and ``(M,)`` which.

    Equal channels have equal masks, of which the network is asked once.
    """
    _, alike = torch.unique(acts.flatten(1), dim=0, return_inverse=True)
    at = torch.arange(len(acts), device=acts.device)
    first = at.new_full((int(alike.max()) + 1,), len(acts)).scatter_reduce(0, alike, at, "amin")
    order = first.argsort()
    return first[order], order.argsort()[alike]


def combine(
    tap: Tap, weigh: Callable[[Tensor], Tensor], masks: Masks = upsampled, keep_flat: bool = False
) -> Tensor:
    """``M = ReLU(sum_k w_k A_k)``, ``(N,h,w)``; `weigh` turns masked logits into weights ``(M,K)``.

    A flat channel has no mask; it is skipped, exactly. The network is asked about equal channels
    once. Masks are made a chunk at a time.
    """
    maps = torch.zeros_like(tap.acts[:, 0])
    for at in tap.origin.unique():  # an image's classes share one masked pass
        rows = torch.nonzero(tap.origin == at)[:, 0]
        acts, image = tap.acts[rows[0]], tap.images[at]
        kept = torch.nonzero((acts.amax((1, 2)) > acts.amin((1, 2))) | keep_flat)[:, 0]
        if not len(kept):
            continue
        asked, alike = distinct(acts[kept])
        chunks = kept[asked].split(CHUNK)
        parts = [tap.score(image * masks(acts[chunk], image.shape[1:])) for chunk in chunks]
        logits = torch.cat(parts)[alike]
        # A softmax makes a number of some infinite logits; their map is none.
        logits = logits.where(logits.isfinite().all(1, keepdim=True), torch.nan)
        weights = weigh(logits)[:, tap.targets[rows]]
        maps[rows] = torch.einsum("mr,mij->rij", weights, acts[kept]).relu()
    return maps
