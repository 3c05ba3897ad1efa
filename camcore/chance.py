"""Chance that repeats: numbers drawn for a picture, whatever stands beside it in its batch."""

import hashlib

import torch
from torch import Tensor

from camx.camcore.taps import Tap


def uniform(tap: Tap) -> Tensor:
    """A number of U(-1, 1) for each row's channels, ``(N,C)``.

    Seeded by what the network sees of the row's picture and by the layer's name, not by the row's
    place or class: it repeats in any batch.
    """
    weights = torch.empty(tap.acts.shape[:2], dtype=tap.acts.dtype)
    for row, origin in enumerate(tap.origin.tolist()):
        seed = hashlib.sha256(_digest(tap, origin) + tap.layer.name.encode()).digest()[:8]
        generator = torch.Generator().manual_seed(int.from_bytes(seed, "big", signed=True))
        weights[row].uniform_(-1, 1, generator=generator)
    return weights.to(tap.acts.device)


def _digest(tap: Tap, origin: int) -> bytes:
    """Of an image's pixels as the network sees them, computed once for all layers."""
    digests: dict[int, bytes] = tap.shared.setdefault("digests of images", {})
    if origin not in digests:
        pixels = tap.images[origin].detach().cpu().contiguous()
        digests[origin] = hashlib.sha256(pixels.view(torch.uint8).numpy().tobytes()).digest()
    return digests[origin]
