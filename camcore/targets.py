"""Targets: what of the logits a map explains, the scalar whose gradient the methods see."""

from collections.abc import Callable

import torch
from torch import Tensor

Target = Callable[[Tensor, Tensor], Tensor]
NEAREST = 3  # classes that Finer-CAM compares with
GAMMA = 0.6  # how much their mean weighs in `finer`


def logit(logits: Tensor, classes: Tensor) -> Tensor:
    """The class's logit y_c: the papers' own. ``(N,K), (N,) -> (N,)``."""
    return logits.gather(1, classes[:, None])[:, 0]


def softmax(logits: Tensor, classes: Tensor) -> Tensor:
    """The class's probability, softmax(y)_c, as CLIP-ES explains it."""
    return logit(logits.softmax(1), classes)


def finer(logits: Tensor, classes: Tensor) -> Tensor:
    """y_c - 0.6 mean_d y_d over the three classes d of the nearest logits: Finer-CAM, as torch-cam.

    Fewer where the network tells fewer classes apart. `ValueError` if it tells none from another.
    """
    return logit(logits, classes) - GAMMA * _nearest(logits, classes, "finer").mean(1)


def finer_softmax(logits: Tensor, classes: Tensor) -> Tensor:
    """sum_d p_d (y_c - y_d) / sum_d p_d over the same classes: Finer-CAM as its authors have it.

    p is the softmax of the logits, and the gradient is of it too. Of the three alone it is the same
    without numbers too small to divide by.
    """
    nearest = _nearest(logits, classes, "finer-softmax")
    return logit(logits, classes) - (nearest.softmax(1) * nearest).sum(1)


def _nearest(logits: Tensor, classes: Tensor, target: str) -> Tensor:
    """The logits nearest to the class's, its own left out: ``(N,3)``, or as many as there are."""
    if logits.shape[1] < 2:
        what = "compares a class with others, but the network has one; use logit"
        raise ValueError(f"target {target!r} {what}")
    distances = (logits - logit(logits, classes)[:, None]).detach().abs()
    distances = distances.scatter(1, classes[:, None], torch.inf)
    nearest = distances.topk(min(NEAREST, logits.shape[1] - 1), largest=False).indices
    return logits.gather(1, nearest)


TARGETS: dict[str, Target] = {
    "logit": logit,
    "softmax": softmax,
    "finer": finer,
    "finer-softmax": finer_softmax,
}


def scores(logits: Tensor, classes: Tensor, target: str) -> Tensor:
    """Each row's target ``(N,)`` of logits ``(N,K)``. `ValueError` for an unknown target."""
    if target not in TARGETS:
        raise ValueError(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
    return TARGETS[target](logits, classes)
