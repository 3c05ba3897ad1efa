"""Curvature: how a score's gradient at a layer changes along the layer's activations."""

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from camx.camcore.layers import spatial
from camx.camcore.passes import forward, frozen
from camx.camcore.taps import Tap
from camx.camcore.targets import scores


def products(tap: Tap) -> Tensor:
    """``H A``, H the matrix of second derivatives of a row's score by its activations. (N,C,h,w).

    It is the gradient of ``<g(A), a>`` at ``a = A``, g the score's gradient: in a network of ReLUs,
    whose g is constant around A, it is zero. A pass of its own, an image at a time.
    """
    made = torch.zeros_like(tap.acts)
    for at in tap.origin.unique():
        rows = torch.nonzero(tap.origin == at)[:, 0]
        made[rows] = _product(tap, tap.images[at].expand(len(rows), -1, -1, -1), tap.targets[rows])
    return made


def _product(tap: Tap, images: Tensor, classes: Tensor) -> Tensor:
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        frozen(tap.network),
        sdpa_kernel(SDPBackend.MATH),  # the fused kernels of attention have no second derivative
    ):
        logits, outputs = forward(tap.network, images, [tap.layer])
        output = outputs[tap.layer.activation]
        score = scores(logits, classes, tap.target).sum()
        (grad,) = torch.autograd.grad(score, output, create_graph=True, allow_unused=True)
        if grad is None or not grad.requires_grad:
            return torch.zeros_like(spatial(output, tap.layer, images))
        (product,) = torch.autograd.grad(grad, output, output.detach(), allow_unused=True)
    return spatial(torch.zeros_like(output) if product is None else product, tap.layer, images)
