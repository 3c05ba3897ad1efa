"""Ablation: how much of a class's score goes when a channel of a layer does (Ablation-CAM)."""

from collections.abc import Callable

import torch
from torch import Tensor

from camx.camcore.resumption import CHUNK, by_image
from camx.camcore.taps import Tap
from camx.camcore.targets import scores

Values = Callable[[Tensor], Tensor]  # of a picture's activations (C,h,w), one a channel (C,)


def zero(acts: Tensor) -> Tensor:
    """The paper's: a channel that is ablated is zero."""
    return acts.new_zeros(len(acts))


def weights(tap: Tap, values: Values = zero) -> Tensor:
    """``w_k = (y_c - y_c of a channel set to its value) / y_c`` of each row, ``(N,C)``.

    A channel that has its value already is skipped, exactly: its weight is 0.
    """
    weights = torch.zeros_like(tap.acts[:, :, 0, 0])
    for rows, acts, run in by_image(tap):
        value = values(acts)[:, None, None]
        changed = torch.nonzero((acts != value).flatten(1).any(1))[:, 0]
        for channels in changed.split(CHUNK):
            variants = acts.repeat(len(channels), 1, 1, 1)
            variants[torch.arange(len(channels)), channels] = value[channels].expand_as(
                acts[channels]
            )
            logits = run(variants)
            for row in rows.tolist():
                (score,) = scores(tap.logits[[row]], tap.targets[[row]], tap.target)
                drops = score - scores(logits, tap.targets[row].expand(len(logits)), tap.target)
                weights[row, channels] = torch.where(drops == 0, 0, drops / score)
    return weights
