"""What maps cost beside a bare pass: five methods at all layers, of one batch."""

from functools import partial

import torch
from torch import Tensor, nn

from camx.camcore import maps, passes
from camx.camcore.layers import Gradient, Layer, sole
from camx.camcore.networks import Network
from camx.evaluators import plan
from camx.evaluators.bench import subjects, turns
from camx.evaluators.bench.turns import Run, Timing

BARE = "bare"
LAST = ", channels last"


def bare(module: nn.Module, images: Tensor, targets: Tensor, layer: Layer) -> Tensor:
    """The gradient of the targets' logits at a layer: one pass forward, and one back to it.

    Without anything of camx's. No parameter gets a gradient.
    """
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: object) -> None:
        seen.append(sole(output))

    with module.get_submodule(layer.activation).register_forward_hook(keep):
        logits = passes.answer(module, images.clone().requires_grad_())
    scores = logits.gather(1, targets[:, None]).sum()
    return torch.autograd.grad(scores, seen[0])[0]


def runs(
    module: nn.Module, images: Tensor, targets: Tensor, layers: list[Layer], suffix: str = ""
) -> dict[str, Run]:
    """The bare pass to the shallowest layer, and five methods' maps at all of them, by name.

    With the layers' own gradients; and with those of the pools after them, where there are any.
    """
    cams = maps.methods(plan.METHODS)
    gradients: list[Gradient] = ["own", "next"] if any(y.follower for y in layers) else ["own"]
    named: dict[str, Run] = {f"{BARE}{suffix}": partial(bare, module, images, targets, layers[-1])}
    for gradient in gradients:
        every = partial(maps.compute, module, images, targets, layers, cams, gradient)
        named[f"camx, {gradient} gradient{suffix}"] = every
    return named


def measured(
    network: Network, batch: int, rounds: int, seed: int, device: str, last: bool = False
) -> Timing:
    """Seconds of the bare pass and of camx's maps; `last` adds both with channels last."""
    pictures = subjects.images(batch, network.input_size, seed)
    inputs = network.prepare(pictures)
    targets = subjects.targets(batch, network.classes).to(device)
    layers = list(network.layers.values())
    first = runs(network.module, inputs, targets, layers)
    against = dict.fromkeys(first, BARE)
    second: dict[str, Run] = {}
    if last:
        module = subjects.channels_last(network.module)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        second = runs(module, inputs, targets, layers, LAST)
        against |= dict.fromkeys(second, f"{BARE}{LAST}")
    every = first | second
    seconds = turns.taken(every, rounds, subjects.settling(device))
    return Timing(seconds, dict.fromkeys(every, batch), against)
