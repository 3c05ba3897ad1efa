"""Doubts: what a layer shows that a method does not expect, said once for each network."""

import warnings
from collections.abc import Iterable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from camx.camcore.layers import Layer
from camx.camcore.taps import Tap

# The share of negative activations in the first batch, and what was said, by network.
_NEGATIVE: WeakKeyDictionary[nn.Module, dict[Layer, float]] = WeakKeyDictionary()
_SAID: WeakKeyDictionary[nn.Module, set[tuple[Layer, str]]] = WeakKeyDictionary()


class NegativeActivations(UserWarning):
    """methods that assume activations which are not negative, at layers where some are"""


class NoGradient(UserWarning):
    """layers whose gradient is zero everywhere"""


class Degenerate(UserWarning):
    """Grad-CAM++ where activations are so negative that its weights change sign"""


def examine(tap: Tap, assuming: Iterable[str]) -> None:
    """Warn of what the first batch shows at a layer.

    That it has no gradient, and that some of its activations are negative, for each of the methods
    `assuming` that none is. Later batches are not looked at.
    """
    if not len(tap.acts):
        return
    shares = _NEGATIVE.setdefault(tap.network, {})
    if tap.layer not in shares:
        shares[tap.layer] = float((tap.acts < 0).float().mean())
        if not tap.grads.any():
            what = f"layer {tap.layer.name}: the gradient is zero everywhere, so maps by it are"
            warnings.warn(NoGradient(f"{what} empty; {_reason(tap)}"), stacklevel=3)
    if shares[tap.layer]:
        share = f"{100 * shares[tap.layer]:.2g} % of the activations are negative"
        for method in assuming:
            if _first(tap, method):
                what = f"{method} at layer {tap.layer.name}: {share}"
                warnings.warn(NegativeActivations(what), stacklevel=3)


def without_zeros(denominators: Tensor, tap: Tap, method: str) -> Tensor:
    """Denominators whose zeros are infinite, so that their weights are 0.

    Those that are not positive are degenerate: what they divide counts against its channel. Their
    share is said once for a network, layer and method, where there are any.
    """
    degenerate = denominators <= 0
    if degenerate.any() and _first(tap, f"{method}, denominators"):
        share = f"{100 * float(degenerate.float().mean()):.2g} % of the denominators"
        what = f"{method} at layer {tap.layer.name}: {share} 2 + g sum A are not positive"
        warnings.warn(Degenerate(what), stacklevel=3)
    return denominators.where(denominators != 0, torch.inf)


def _first(tap: Tap, what: str) -> bool:
    """Whether this is said of the network's layer for the first time."""
    said = _SAID.setdefault(tap.network, set())
    new = (tap.layer, what) not in said
    said.add((tap.layer, what))
    return new


def _reason(tap: Tap) -> str:
    if tap.target == "softmax":
        return "a class that is certain has none, and target logit has"
    if tap.layer.layout.tokens:
        what = "where the class token alone is classified, the others have none after the last"
        return f"{what} block, so tap what is before it"
    return "the logits do not depend on it, or what follows it is dead"
