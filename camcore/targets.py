"""Targets: what of the logits a map explains, the scalar whose gradient the methods see."""

from collections.abc import Callable

from torch import Tensor

Target = Callable[[Tensor, Tensor], Tensor]


def logit(logits: Tensor, classes: Tensor) -> Tensor:
    """The class's logit y_c: the papers' own. ``(N,K), (N,) -> (N,)``."""
    return logits.gather(1, classes[:, None])[:, 0]


def softmax(logits: Tensor, classes: Tensor) -> Tensor:
    """The class's probability, softmax(y)_c, as CLIP-ES explains it."""
    return logit(logits.softmax(1), classes)


TARGETS: dict[str, Target] = {"logit": logit, "softmax": softmax}


def scores(logits: Tensor, classes: Tensor, target: str) -> Tensor:
    """Each row's target ``(N,)`` of logits ``(N,K)``. `ValueError` for an unknown target."""
    if target not in TARGETS:
        raise ValueError(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
    return TARGETS[target](logits, classes)
