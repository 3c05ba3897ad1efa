"""Normalisation by name, and fusion: several layers' maps into one (LayerCAM paper, eq. 9)."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

EPSILON = 1e-8  # the authors' own, in the division by the maximum


def _max(maps: Tensor) -> Tensor:
    return maps.clamp(min=0) / (maps.amax((-2, -1), keepdim=True).clamp(min=0) + EPSILON)


def _minmax(maps: Tensor) -> Tensor:
    low = maps.amin((-2, -1), keepdim=True)
    return (maps - low) / (maps.amax((-2, -1), keepdim=True) - low + EPSILON)


NORMALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {"max": _max, "minmax": _minmax}


def normalise(maps: Tensor, name: str = "max") -> Tensor:
    """Each map ``(...,h,w)`` into [0, 1]: ``max`` divides by its maximum, ``minmax`` stretches it."""
    if name not in NORMALISATIONS:
        raise ValueError(f"unknown normalisation {name!r}; known: {', '.join(NORMALISATIONS)}")
    return NORMALISATIONS[name](maps)


def scale(maps: Tensor, gamma: float = 2.0) -> Tensor:
    """Eq. 9: ``tanh(gamma M / max(M))``, each map by its own maximum. Shape kept."""
    return torch.tanh(gamma * normalise(maps))


def fuse(maps: Mapping[str, Tensor], scaled: Sequence[str] = ("S3", "S2", "S1"), gamma: float = 2.0) -> Tensor:
    """The elementwise maximum of max-normalised ``(N,h,w)`` maps, those of the layers `scaled` through eq. 9."""
    parts = [scale(m, gamma) if layer in scaled else normalise(m) for layer, m in maps.items()]
    if not parts:
        raise ValueError("nothing to fuse")
    return torch.stack(parts).amax(0)


def to_bytes(maps: Tensor) -> Tensor:
    """[0, 1] to ``uint8`` by truncating ``255 x``; a value that is not finite becomes 0."""
    return (maps.nan_to_num(0, 0, 0).clamp(0, 1) * 255).to(torch.uint8)
