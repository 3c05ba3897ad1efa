"""Normalisation by name, scaling, and fusion: several layers' maps into one (LayerCAM paper, eq. 9)."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor

EPSILON = 1e-8  # the authors' own, in the division by the maximum
SCALED = ("S3", "S2", "S1")  # the stages whose maps are scaled before the maximum; S5 and S4 are not
DEFAULT = "gamma=2"  # the paper's best, Table III


def _max(maps: Tensor) -> Tensor:
    maps = maps.clamp(min=0)
    return maps / (maps.flatten(-2).amax(-1)[..., None, None] + EPSILON)


def _minmax(maps: Tensor) -> Tensor:
    low = maps.amin((-2, -1), keepdim=True)
    return (maps - low) / (maps.amax((-2, -1), keepdim=True) - low + EPSILON)


NORMALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {"max": _max, "minmax": _minmax}
# Table IV's functions. Its tanh(x) is gamma=1 of Table III, eq. 9 with the default gamma is tanh(2x).
SCALES: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda x: x, "sqrt": torch.sqrt, "tan": torch.tan}


def normalise(maps: Tensor, name: str = "max") -> Tensor:
    """Each map ``(...,h,w)`` into [0, 1]: ``max`` divides by its maximum, ``minmax`` stretches it."""
    if name not in NORMALISATIONS:
        raise ValueError(f"unknown normalisation {name!r}; known: {', '.join(NORMALISATIONS)}")
    return NORMALISATIONS[name](maps)


def scaling(variant: str) -> Callable[[Tensor], Tensor]:
    """What a variant does to a max-normalised map: ``gamma=G`` is eq. 9, ``tanh(G x)``; ``scale=NAME`` of `SCALES`."""
    key, _, value = variant.partition("=")
    if key == "scale" and value in SCALES:
        return SCALES[value]
    try:
        gamma = float(value) if key == "gamma" else 0.0
    except ValueError:
        gamma = 0.0
    if not 0 < gamma < float("inf"):
        raise ValueError(f"unknown variant {variant!r}; known: gamma=NUMBER above 0, scale={', scale='.join(SCALES)}")
    return lambda x: torch.tanh(gamma * x)


def canonical(layer: str, variant: str) -> str:
    """The variant as records name it: empty where `layer` has no scaled stage, `DEFAULT` where none was given.

    A single layer is never scaled unless a variant says so.
    """
    if variant:
        scaling(variant)
        key, _, value = variant.partition("=")
        variant = f"gamma={float(value):g}" if key == "gamma" else variant
    parts = layer.split("+")
    if len(parts) > 1:
        return (variant or DEFAULT) if set(parts) & set(SCALED) else ""
    return variant


def fuse(maps: Mapping[str, Tensor], variant: str = DEFAULT, scaled: Sequence[str] = SCALED) -> Tensor:
    """The maximum of max-normalised ``(N,h,w)`` maps, those of the layers `scaled` scaled first, renormalised."""
    if not maps:
        raise ValueError("nothing to fuse")
    apply = scaling(variant) if variant else SCALES["none"]
    return normalise(reduce(torch.maximum, [apply(m) if layer in scaled else m for layer, m in maps.items()]))


def to_bytes(maps: Tensor) -> Tensor:
    """[0, 1] to ``uint8`` by truncating ``255 x``; a value that is not finite becomes 0."""
    return (maps.nan_to_num(0, 0, 0).clamp(0, 1) * 255).to(torch.uint8)
