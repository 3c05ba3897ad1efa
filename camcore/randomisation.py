"""Networks whose weights are drawn anew from the output on: what a map should react to.

Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3.1: the cascade. The network asked
about is never changed: copies share the tensors that are still its own.
"""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from camx.camcore import arithmetic, survey
from camx.camcore.layers import Layer
from camx.camcore.passes import frozen

HEAD = "head"  # the step of what comes after the last layer
PICTURES = 8  # drawn, that normalisations measure new statistics of


def parametric(module: nn.Module) -> list[str]:
    """The paths of modules that hold parameters themselves, in the network's order."""
    return [path for path, m in module.named_modules() if any(True for _ in m.parameters(False))]


def steps(
    module: nn.Module, layers: Mapping[str, Layer], input_size: int, each: bool = False
) -> dict[str, list[str]]:
    """What is drawn anew at each step, by name: modules' paths, from the output to the input.

    A step is a stage: what runs after the last layer, then what runs up to each layer and after the
    one before. With `each` every module is a step, in the order in which they are done.
    """
    spans = survey.of(module, input_size).spans
    paths = parametric(module)
    done = {path: spans[path][1] for path in paths if path in spans}
    last = max(done.values(), default=0) + 1
    order = sorted(paths, key=lambda path: -done.get(path, last))
    if each:
        return {path: [path] for path in order}
    ends = sorted((spans[layer.activation][1], name) for name, layer in layers.items())
    made: dict[str, list[str]] = {name: [] for name in (HEAD, *(n for _, n in reversed(ends)))}
    for path in order:
        of = next((name for end, name in ends if done.get(path, last) <= end), HEAD)
        made[of].append(path)
    return {name: members for name, members in made.items() if members}


def drawn(module: nn.Module, seed: int) -> nn.Module:
    """A copy of the network, on the same device, all of whose parameters are drawn anew.

    By each module's own ``reset_parameters``, on the CPU, whatever the device. Where there is none,
    values are dealt anew: their places are drawn.
    """
    device = next(module.parameters()).device
    fresh = copy.deepcopy(module).cpu()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for path in reversed(parametric(fresh)):
            part = fresh.get_submodule(path)
            reset = getattr(part, "reset_parameters", getattr(part, "_reset_parameters", None))
            if callable(reset):
                reset()
                continue
            for parameter in part.parameters(False):
                places = torch.randperm(parameter.numel())
                parameter.copy_(parameter.flatten()[places].view_as(parameter))
    return fresh.to(device)


def cascade(
    module: nn.Module, groups: Sequence[Sequence[str]], pictures: Tensor, seed: int
) -> list[nn.Module]:
    """The network with the first group's modules drawn anew, with the first two's, and so on.

    `pictures (N,3,H,W)`, prepared, tell normalisations with running statistics that are drawn anew
    what their input now is: with those of a new module, 0 and 1, values would shrink with each
    convolution until nothing is left of deep networks' maps.
    """
    fresh, made = drawn(module, seed), []
    changed: list[str] = []
    for group in groups:
        changed += group
        made.append(_mixed(module, fresh, changed))
        _measured(made[-1], changed, pictures)
    return made


def _mixed(module: nn.Module, fresh: nn.Module, paths: Sequence[str]) -> nn.Module:
    """The network with the modules at `paths` as in `fresh`; all other tensors are its own."""
    tensors = [*module.parameters(), *module.buffers()]
    mixed = copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})
    for path in paths:
        part, other = mixed.get_submodule(path), fresh.get_submodule(path)
        for name in part._parameters:
            part._parameters[name] = other._parameters[name]
        for name, buffer in other._buffers.items():
            part._buffers[name] = None if buffer is None else buffer.clone()
    arithmetic.alike(mixed, module)
    return mixed


def _measured(module: nn.Module, paths: Sequence[str], pictures: Tensor) -> None:
    """Running statistics of the normalisations at `paths`, of one pass."""
    norms = [part for part in map(module.get_submodule, paths) if isinstance(part, _NormBase)]
    norms = [norm for norm in norms if norm.track_running_stats]
    if not norms:
        return
    before = [norm.momentum for norm in norms]
    with frozen(module), torch.no_grad():
        for norm in norms:
            norm.train()
            norm.momentum = 1.0
        module(pictures)
    for norm, momentum in zip(norms, before):
        norm.momentum = momentum


def pictures(side: int, seed: int) -> Tensor:
    """Drawn pictures ``(PICTURES,3,side,side) uint8`` of coarse and fine structure."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(PICTURES, 3, side, side)
    for cells in (4, 16, 64):
        noise = torch.randn(PICTURES, 3, cells, cells, generator=generator)
        total += nn.functional.interpolate(noise, (side, side), mode="bilinear")
    return (128 + 40 * total).clamp(0, 255).byte()
