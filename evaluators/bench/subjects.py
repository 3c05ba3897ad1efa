"""What is timed: a network with drawn weights, drawn pictures, and the device they are on."""

import copy
import platform
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from camx.camcore import networks
from camx.camcore.imagenet import CLASSES
from camx.camcore.networks import Network
from camx.evaluators import environment
from camx.evaluators.bench.turns import Run, nothing


def network(name: str, device: str, seed: int, classes: int = CLASSES) -> Network:
    """Network `name` with weights drawn by `seed`; nothing is read or fetched.

    They are He's, under which the values of deep layers stay in the range of the first ones: a CPU
    takes longer for denormal numbers, which no trained network's gradients are full of.
    """
    plugin, spec = networks.declared(name, networks.MODELS)
    start = networks.start(name, "none", classes, seed, preprocessing="model")
    module = start.module.eval().requires_grad_(False)
    layers = networks.layers_of(plugin, spec, module)
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight)
    if torch.device(device).type == "cuda":
        networks.exact()
    return Network(
        plugin.name, module.to(device), layers, spec.input_size, start.preprocessing, classes,
        "drawn weights", "",
    )  # fmt: skip


def channels_last(module: nn.Module) -> nn.Module:
    """A copy of a network whose weights lie channels last."""
    return copy.deepcopy(module).to(memory_format=torch.channels_last)


def images(count: int, side: int, seed: int) -> Tensor:
    """Drawn pictures ``(B,3,side,side) uint8``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, 3, side, side), generator=generator).byte()


def targets(count: int, classes: int) -> Tensor:
    """A class of each picture ``(B,)``."""
    return torch.arange(count) % classes


def settling(device: str) -> Run:
    """What waits for a device: on CUDA a call returns before its kernels have run."""
    if torch.device(device).type != "cuda":
        return nothing
    return lambda: torch.cuda.synchronize(device)


def machine(device: str) -> Mapping[str, Any]:
    """What seconds depend on besides what is asked for: the device, threads, versions."""
    cuda = torch.device(device).type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else platform.processor()
    return {
        "device": device, "device_name": name or platform.machine(),
        "threads": torch.get_num_threads(), "versions": environment.versions(),
        "commit": environment.commit(), "start": environment.now(),
    }  # fmt: skip
