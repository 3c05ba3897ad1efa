"""Normalisation, scaling, and fusion: several layers' maps into one.

By maximum (LayerCAM paper, eq. 9), product (RefineCAM) or weighted sum (Winsor-CAM).
"""

from collections.abc import Callable, Mapping
from functools import partial, reduce

import torch
from torch import Tensor

from camx.camcore import winsor
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


def fuse(
    maps: Mapping[str, Tensor],
    variant: str = DEFAULT,
    importances: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Normalised ``(N,h,w)`` maps of layers as one, in [0, 1].

    The maximum, `scalable` layers' maps scaled first; or, if the variant says so, the product,
    stretched (RefineCAM, arXiv 2605.14641), or the sum of maps that weigh by their layers'
    `importances`, each ``(N,)`` (`winsor`), divided by its maximum.
    """
    if not maps:
        raise ValueError("nothing to fuse")
    name = parse(variant)[0] if variant else ""
    if name == "product":
        return stretch(reduce(torch.mul, maps.values()), EPSILON)
    if name == "winsor":
        weights = winsor.weights(torch.stack([(importances or {})[layer] for layer in maps]))
        parts = [w[:, None, None] * m for w, m in zip(weights, maps.values())]
        return normalise(reduce(torch.add, parts))
    apply = scaling(variant) if variant else SCALES["none"]
    parts = [apply(m) if scalable(layer) else m for layer, m in maps.items()]
    return normalise(reduce(torch.maximum, parts))


def to_bytes(maps: Tensor) -> Tensor:
    """[0, 1] to ``uint8`` by truncating ``255 x``; a value that is not finite becomes 0."""
    return (maps.nan_to_num(0, 0, 0).clamp(0, 1) * 255).to(torch.uint8)
