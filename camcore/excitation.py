"""Contrastive excitation backpropagation, for chains of conv, ReLU, pool and linear layers.

Zhang et al. 2016, "Top-down Neural Attention by Excitation Backprop". Nothing of torch is patched:
the chain is recorded in one forward pass and walked backward layer by layer.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-20  # TorchRay's, in the division by the excitatory response
WEIGHTED = (nn.Conv2d, nn.Linear)
AVERAGES = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)
PASSES = (nn.ReLU, nn.Dropout, nn.Flatten, nn.Identity)
LAYERS = (*WEIGHTED, *AVERAGES, *PASSES, nn.MaxPool2d)


class Link(NamedTuple):
    """One layer of the chain: its path and module, and its input as the forward pass saw it."""

    path: str
    module: nn.Module
    input: Tensor


def record(network: nn.Module, images: Tensor) -> list[Link]:
    """The chain of leaf modules that turns `images` into logits; `ValueError` if there is none."""
    links: list[Link] = []

    def hook(path: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda module, inputs: links.append(Link(path, module, inputs[0].clone()))

    leaves = [(path, m) for path, m in network.named_modules() if not list(m.children())]
    handles = [module.register_forward_pre_hook(hook(path)) for path, module in leaves]
    try:
        logits = network(images)
    finally:
        for handle in handles:
            handle.remove()
    x = images.clone()  # the replay, which must give the same logits
    for path, module, seen in links:
        padded = getattr(module, "padding_mode", "zeros") != "zeros"
        if not isinstance(module, LAYERS) or x.numel() != seen.numel() or padded:
            raise ValueError(_refusal(path, module))
        x = module(x.reshape(seen.shape))
    if x.shape != logits.shape:
        raise ValueError(_refusal("its forward pass", network))
    finite = logits.isfinite().all(1)  # what is not, of one image, is no matter of the chain
    if not torch.allclose(x[finite], logits[finite], rtol=1e-4, atol=1e-5):
        raise ValueError(_refusal("its forward pass", network))
    return links


def _refusal(path: str, module: nn.Module) -> str:
    return (
        "excitation backpropagation needs a network that is a chain of Conv2d, ReLU, pool and "
        f"Linear modules; {path} ({type(module).__name__}) breaks the chain"
    )


def step(link: Link, p: Tensor, sign: int = 1) -> Tensor:
    """``p' = x * f*(W+, p / (f(x, W+) + 1e-20))``, W of one sign, no bias; max-pools as are."""
    m, x = link.module, link.input
    if isinstance(m, PASSES):
        return p.reshape(x.shape)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        if isinstance(m, nn.Linear):
            y = functional.linear(x, (sign * m.weight).clamp(min=0))
        elif isinstance(m, nn.Conv2d):
            weight = (sign * m.weight).clamp(min=0)
            y = functional.conv2d(x, weight, None, m.stride, m.padding, m.dilation, m.groups)
        else:
            y = m(x)
    p = p.reshape(y.shape)
    if isinstance(m, nn.MaxPool2d):
        return torch.autograd.grad(y, x, p)[0]
    return (x * torch.autograd.grad(y, x, p / (y + EPSILON))[0]).detach()


def contrastive(network: nn.Module, images: Tensor, targets: Tensor, path: str) -> Tensor:
    """Each image's target's contrastive excitation at module `path`'s output, ``(N,C,h,w)``.

    The classifier's excitation and that of its negated weights are subtracted at its input (relu7
    of VGG16), and the difference goes on down. Raises `ValueError` for a `path` off the chain.
    """
    links = record(network, images)
    at = [link.path for link in links]
    if path not in at or at.index(path) == len(at) - 1:
        raise ValueError(
            f"module {path!r} is not within the chain that excitation backpropagation follows"
        )
    classifier = links[-1]
    if not isinstance(classifier.module, nn.Linear):
        raise ValueError(_refusal(classifier.path, classifier.module))
    top = functional.one_hot(targets, classifier.module.out_features).to(images)
    p = step(classifier, top) - step(classifier, top, sign=-1)
    for link in reversed(links[at.index(path) + 1 : -1]):
        p = step(link, p)
    source = links[at.index(path)]
    return p.reshape(source.module(source.input).shape)
