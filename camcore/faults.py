"""Numbers that are none: which image's logits, or which method's map of it, hold NaN or Inf."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LOGITS = ("", "")  # in place of a method and a layer


@dataclass(frozen=True)
class Fault:
    """What holds a `value` that is no number: of row `row`, a map of `method` at `layer`.

    Without a method, or with what they are `of`, it is the logits of `network`.
    """

    row: int
    value: str
    method: str = ""
    layer: str = ""
    of: str = ""
    network: str = "the network"

    def __str__(self) -> str:
        where = f"method {self.method} at layer {self.layer}: " if self.method else ""
        if self.method and not self.of:
            return f"{where}the map holds {self.value}"
        of = f" for {self.of}" if self.of else ""
        return f"{where}the logits of {self.network}{of} hold {self.value}"


class NotFinite(ValueError):
    """Logits or maps hold NaN or Inf: `faults`, one for each row concerned, in order."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{faults[0]} (row {faults[0].row} of the batch)")
        self.faults = tuple(faults)

    @property
    def rows(self) -> set[int]:
        return {fault.row for fault in self.faults}

    def mapped(self, change: Callable[[Fault], Fault]) -> "NotFinite":
        """The same of other rows: one fault each, the first that `change` gives."""
        changed: dict[int, Fault] = {}
        for fault in map(change, self.faults):
            changed.setdefault(fault.row, fault)
        return NotFinite(list(changed.values()))


def check(parts: Mapping[tuple[str, str], Tensor]) -> None:
    """Raise `NotFinite` if any of `parts` does, by method and layer; rows are the first axis.

    A sum is finite only if all it adds is, and one transfer brings those of all parts: the details
    are looked at only where one is not.
    """
    wide = [
        part.sum(dtype=torch.promote_types(part.dtype, torch.float32)) for part in parts.values()
    ]
    if not wide or bool(torch.stack([total.double() for total in wide]).isfinite().all()):
        return
    faults: dict[int, Fault] = {}
    for key, part in parts.items():
        rows = part.flatten(1)
        for row in torch.nonzero(~rows.isfinite().all(1))[:, 0].tolist():
            value = next(v for v in rows[row].tolist() if not math.isfinite(v))
            faults.setdefault(row, Fault(row, _word(value), *key))
    if faults:
        raise NotFinite([faults[row] for row in sorted(faults)])


def infinite(tensors: Mapping[str, Tensor]) -> str:
    """The name of the first tensor that holds NaN or Inf; empty if none does."""
    if not tensors:
        return ""
    finite = torch.stack([tensor.isfinite().all() for tensor in tensors.values()]).tolist()
    return next((name for name, sound in zip(tensors, finite) if not sound), "")


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Inf"
