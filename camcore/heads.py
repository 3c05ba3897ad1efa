"""Heads: the weights by which CAM is defined, and the layer that they are of."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from camx.camcore import arithmetic


def head(network: nn.Module, acts: Tensor, logits: Tensor) -> Tensor | None:
    """The weights ``(K,C)`` that make logits ``(N,K)`` of activations ``(N,C,h,w)``; or none.

    Those of a linear layer of their global average, or of a 1x1 convolution before it, a ReLU in
    between or not (SqueezeNet's).
    """
    off = arithmetic.of(network).tolerance
    finite = logits.isfinite().all(1)  # one image's NaN says nothing of a network
    acts, logits = acts[finite], logits[finite]
    for module in network.modules():
        weight = getattr(module, "weight", None)
        if not isinstance(module, nn.Linear | nn.Conv2d) or weight is None:
            continue
        if weight.shape[:2] == (logits.shape[1], acts.shape[1]) and weight[0, 0].numel() == 1:
            rows = weight.flatten(1)
            answers = [linear(acts.mean((2, 3)), rows, module.bias)]
            if isinstance(module, nn.Conv2d):
                answers.append(conv2d(acts, weight, module.bias).relu().mean((2, 3)))
            if any(torch.allclose(a, logits, rtol=off, atol=off) for a in answers):
                return rows.detach()
    return None
