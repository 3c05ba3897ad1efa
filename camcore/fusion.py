"""Normalisation, scaling, and fusion: several layers' maps into one (LayerCAM paper, eq. 9)."""

from collections.abc import Callable, Mapping
from functools import partial, reduce

import torch
from torch import Tensor

from camx.camcore.masked_passes import stretch
from camx.camcore.variants import DEFAULT, parse, scalable

OnMaps = Callable[[Tensor], Tensor]
EPSILON = 1e-8  # the authors' own, in the division by the maximum


def _max(maps: Tensor) -> Tensor:
    maps = maps.clamp(min=0)
    return maps / (maps.flatten(-2).amax(-1)[..., None, None] + EPSILON)


NORMALISATIONS: dict[str, OnMaps] = {"max": _max, "minmax": partial(stretch, epsilon=EPSILON)}
SCALES: dict[str, OnMaps] = {"none": lambda x: x, "sqrt": torch.sqrt, "tan": torch.tan}


def normalise(maps: Tensor, name: str = "max") -> Tensor:
    """Each map ``(...,h,w)`` into [0, 1]: ``max`` divides by its maximum, ``minmax`` stretches."""
    if name not in NORMALISATIONS:
        raise ValueError(f"unknown normalisation {name!r}; known: {', '.join(NORMALISATIONS)}")
    return NORMALISATIONS[name](maps)


def scaling(variant: str) -> OnMaps:
    """What a variant does to a map: ``gamma=G`` is eq. 9, ``tanh(G x)``; ``scale=`` a name."""
    name, gamma = parse(variant)
    return SCALES.get(name, lambda x: torch.tanh(gamma * x))


def fuse(maps: Mapping[str, Tensor], variant: str = DEFAULT) -> Tensor:
    """The maximum of normalised ``(N,h,w)`` maps, `scalable` layers' scaled first, renormalised."""
    if not maps:
        raise ValueError("nothing to fuse")
    apply = scaling(variant) if variant else SCALES["none"]
    parts = [apply(m) if scalable(layer) else m for layer, m in maps.items()]
    return normalise(reduce(torch.maximum, parts))


def to_bytes(maps: Tensor) -> Tensor:
    """[0, 1] to ``uint8`` by truncating ``255 x``; a value that is not finite becomes 0."""
    return (maps.nan_to_num(0, 0, 0).clamp(0, 1) * 255).to(torch.uint8)
