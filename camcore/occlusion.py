"""Occlusion: which pixels a map says to hide, in what order, and what hides them.

Masks are made and applied on the image's grid, before it is cut into crops
(docs/protocol.md, section 2). Images are preprocessed, so zero is the preprocessing's mean.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import conv2d

BLUR_INPUT, BLUR_SIDE, BLUR_SIGMA = 224, 11, 5.0  # RISE's kernel is for that input size


def above(maps: Tensor, threshold: float) -> Tensor:
    """``M / max(M) > threshold`` of maps ``(N,h,w)`` (section III-B): false where one is empty."""
    highest = maps.flatten(1).amax(1)[:, None, None]
    return (maps > threshold * highest) & (highest > 0)


def stretched(maps: Tensor) -> Tensor:
    """Maps ``(N,h,w)`` from their minimum, 0, to their maximum, 1; 0 where one is constant."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return torch.where(high > low, (maps - low) / (high - low), torch.zeros_like(maps))


def coherency(maps: Tensor, others: Tensor) -> Tensor:
    """``(r + 1) / 2`` of maps ``(N,h,w)`` and others, r Pearson's: ADCC's (Poppi et al. 2021).

    0 where either is constant, as in the authors' code, whose constant maps are not numbers.
    """
    a, b = (m.double().flatten(1) for m in (maps, others))
    flat = (a.amax(1) == a.amin(1)) | (b.amax(1) == b.amin(1))
    a, b = (m - m.mean(1, keepdim=True) for m in (a, b))
    r = (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1)).sqrt()
    return torch.where(flat, torch.zeros_like(r), (r.clamp(-1, 1) + 1) / 2)


def order(maps: Tensor, ties: Tensor) -> Tensor:
    """Each pixel's place, from 0, when those of maps ``(N,h,w)`` are sorted from highest to lowest.

    Equal ones are in the order of ``ties (N,h*w)``, permutations: plateaus favour no corner.
    """
    shuffled = maps.flatten(1).gather(1, ties)
    best = ties.gather(1, shuffled.argsort(stable=True, dim=1, descending=True))
    places = torch.arange(best.shape[1], device=maps.device).expand_as(best)
    return torch.empty_like(best).scatter_(1, best, places).view(maps.shape)


def moved(masks: Tensor, offsets: list[tuple[int, int]]) -> Tensor:
    """Each mask ``(N,h,w)`` moved by its ``(rows, columns)``, around the edges: the same area."""
    return torch.stack([mask.roll(offset, (0, 1)) for mask, offset in zip(masks, offsets)])


def blurred(images: Tensor, input_size: int) -> Tensor:
    """``images (N,C,h,w)`` under RISE's Gaussian (Petsiuk et al. 2018), zero outside the image."""
    # The odd side nearest to that of RISE's kernel, scaled to this input.
    side = max(3, 2 * round(BLUR_SIDE * input_size / BLUR_INPUT / 2 - 0.5) + 1)
    delta = np.zeros((side, side))
    delta[side // 2, side // 2] = 1
    sigma = BLUR_SIGMA * input_size / BLUR_INPUT
    channels = images.shape[1]
    kernel = torch.from_numpy(gaussian_filter(delta, sigma)).to(images).expand(channels, 1, -1, -1)
    return conv2d(images, kernel, padding=side // 2, groups=channels)


def substitute(
    images: Tensor, fill: str, prepare: Callable[[Tensor], Tensor], input_size: int
) -> Tensor:
    """What hides ``images (N,3,h,w)``: ``mean`` zero, preprocessed ``black`` or their ``blur``."""
    if fill == "mean":
        return torch.zeros_like(images)
    if fill == "black":
        return prepare(torch.zeros_like(images[:1], dtype=torch.uint8)).expand_as(images)
    if fill == "blur":
        return blurred(images, input_size)
    raise ValueError(f"unknown fill {fill!r}; known: mean, black, blur")
