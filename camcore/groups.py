"""Parameter groups: biases and new layers learn faster than the other parameters."""

from collections.abc import Callable
from itertools import product
from typing import Any

from torch import nn

Group = dict[str, Any]
NEW, BIAS = 10, 2  # how many times the rate of the others, as in Caffe's networks


def scaled(
    module: nn.Module,
    lr: float,
    new: Callable[[str], bool],
    bias_decay: bool = True,
    new_rate: float = NEW,
    bias_rate: float = BIAS,
) -> list[Group]:
    """The parameters that ask for gradients, by rate: `new` ones by name, biases, and both.

    The rates are times `lr`. Without `bias_decay` biases have no weight decay. A group that would
    be empty is left out.
    """
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    groups: list[Group] = []
    for is_new, bias in product((False, True), repeat=2):
        kind = is_new, bias
        parameters = [p for name, p in named if (new(name), name.endswith("bias")) == kind]
        rate = lr * (new_rate if is_new else 1) * (bias_rate if bias else 1)
        group = {"params": parameters, "lr": rate}
        if parameters:
            groups.append(group | ({"weight_decay": 0.0} if bias and not bias_decay else {}))
    return groups
