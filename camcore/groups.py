"""Parameter groups: biases learn at twice the rate of weights, new layers at ten times that of the others."""

from collections.abc import Callable
from typing import Any

from torch import nn

Group = dict[str, Any]


def scaled(module: nn.Module, lr: float, new: Callable[[str], bool], bias_decay: bool = True) -> list[Group]:
    """The parameters that ask for gradients, by rate: `lr` times 1, 2 (biases), 10 and 20 (of parameters that are `new` by name).

    Without `bias_decay` biases have no weight decay. A group that would be empty is left out.
    """
    found: dict[tuple[bool, bool], list[nn.Parameter]] = {(n, b): [] for n in (False, True) for b in (False, True)}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            found[new(name), name.endswith("bias")].append(parameter)
    groups = []
    for (is_new, bias), parameters in found.items():
        decay = {} if bias_decay or not bias else {"weight_decay": 0.0}
        if parameters:
            groups.append({"params": parameters, "lr": lr * (10 if is_new else 1) * (2 if bias else 1), **decay})
    return groups
