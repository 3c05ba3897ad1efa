"""Identities: which methods draw the same map on a network, whatever their formulas say.

They are measured, not derived. What is the same on one network and layer, such as HiResCAM and CAM
before a global average, need not be on another; but a table of both there tells one thing twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from camx.camcore import faults, maps
from camx.camcore.maps import Method
from camx.camcore.networks import Network
from camx.camcore.passes import answer, frozen
from camx.camcore.taps import Tap

SAME = 1e-4  # of a map's maximum
Maps = dict[str, Tensor]  # a method's, (N,h,w)


@dataclass
class Drawn:
    """What methods draw on a network: their maps by layer, of all images so far.

    `readings` are the layers that each method is drawn at, `refused` those where it cannot be, and
    why.
    """

    readings: Mapping[str, Sequence[str]]
    maps: dict[str, Maps] = field(default_factory=dict)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, taps: Mapping[str, Tap], cams: Mapping[str, Method]) -> None:
        """A batch's maps, on their layers' grids. What raises `ValueError` of any is `refused`."""
        asked = [(name, layer) for name, layers in self.readings.items() for layer in layers]
        for name, layer in asked:
            if (name, layer) in self.refused:
                continue
            before = self.maps.setdefault(layer, {})
            try:
                with torch.no_grad():
                    made = cams[name](taps[layer])
                faults.check({(name, layer): made})
            except ValueError as error:
                self.refused[name, layer] = str(error)
                before.pop(name, None)
                continue
            made = on_grid(made, taps[layer].acts.shape[2:])
            before[name] = torch.cat([before[name], made]) if name in before else made

    @property
    def idle(self) -> list[str]:
        """The methods without a map."""
        return [m for m in self.readings if not any(m in drawn for drawn in self.maps.values())]


def readings(
    network: Network, methods: Sequence[str], layers: Sequence[str], named: bool
) -> dict[str, list[str]]:
    """The layers, of `layers`, that each method is drawn at: all, or those that it is read at.

    Unless `named`, a costly method is drawn at the first of them alone.
    """
    at: dict[str, list[str]] = {}
    for reference in methods:
        ((name, method),) = maps.methods([reference]).items()
        usual = maps.method_layers(reference, network) or layers
        both = [layer for layer in layers if layer in usual]
        at[name] = both if named or not method.costly else both[:1]
    return at


def on_grid(drawn: Tensor, sides: Sequence[int]) -> Tensor:
    """Maps ``(N,h,w)`` of another size as means over a grid's places."""
    height, width = sides
    same = drawn.shape[1:] == (height, width)
    return drawn if same else adaptive_avg_pool2d(drawn, (height, width))


def difference(one: Tensor, other: Tensor) -> float:
    """The largest ``|M / max M - M' / max M'|`` of maps ``(N,h,w)``, what is negative being zero.

    A map that is zero everywhere differs by 1 from any other; two such say nothing, and where all
    do the difference is NaN.
    """
    scaled = []
    for drawn in (one, other):
        drawn = drawn.double().clamp(min=0)
        highest = drawn.flatten(1).amax(1)[:, None, None]
        scaled.append(torch.where(highest > 0, drawn / highest, 0))
    telling = scaled[0].flatten(1).any(1) | scaled[1].flatten(1).any(1)
    apart = (scaled[0] - scaled[1])[telling].abs()
    return float(apart.max()) if apart.numel() else float("nan")


def matrix(drawn: Maps) -> dict[tuple[str, str], float]:
    """`difference` of each two methods, both ways round, and of each from itself."""
    pairs: dict[tuple[str, str], float] = {}
    for at, one in enumerate(drawn):
        pairs[one, one] = 0.0
        for other in list(drawn)[:at]:
            pairs[one, other] = pairs[other, one] = difference(drawn[one], drawn[other])
    return pairs


def groups(names: Sequence[str], pairs: Mapping[tuple[str, str], float]) -> list[tuple[str, ...]]:
    """Methods that draw the same: in a group of two or more, each two differ by `SAME` at most."""
    made: list[list[str]] = []
    for name in names:
        fitting = (g for g in made if all(pairs[name, other] <= SAME for other in g))
        group = next(fitting, None)
        if group is None:
            made.append([name])
        else:
            group.append(name)
    return [tuple(group) for group in made if len(group) > 1]


def first_choice(network: Network, images: Tensor) -> Tensor:
    """The class ``(N,)`` of the highest logit of prepared ``images (N,3,H,W)``."""
    with torch.no_grad(), frozen(network.module):
        return answer(network.module, images).argmax(1)


def sentences(by_layer: Mapping[str, Sequence[tuple[str, ...]]]) -> list[str]:
    """``cam and hirescam are the same at S5, S4`` of each group, the layers in order."""
    layers: dict[tuple[str, ...], list[str]] = {}
    for layer, same in by_layer.items():
        for group in same:
            layers.setdefault(group, []).append(layer)
    return [
        f"{', '.join(group[:-1])} and {group[-1]} are the same at {', '.join(at)}"
        for group, at in layers.items()
    ]
