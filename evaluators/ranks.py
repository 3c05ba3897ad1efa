"""Ranks: the processes that ``torchrun`` starts, of which each computes its share of a step."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Ranks:
    """One process of `count`, number `rank` of them and `local` of its machine's."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether it is the one that writes and prints."""
        return self.rank == 0

    def share(self, parts: int) -> range:
        """Which of a step's micro-batches are its own. `ValueError` if they do not divide."""
        if parts % self.count:
            what = f"a step's {parts} micro-batches do not divide among {self.count} processes"
            raise ValueError(f"{what}; expected a multiple of {self.count}")
        each = parts // self.count
        return range(self.rank * each, (self.rank + 1) * each)

    def device(self, name: str) -> str:
        """The device that ``cuda`` means for this process: one of its own."""
        return f"cuda:{self.local}" if name == "cuda" and self.count > 1 else name

    def total(self, values: "Tensor") -> "Tensor":
        """The sum over all processes of a tensor on the CPU."""
        if self.count > 1:
            import torch.distributed as dist

            values = values.clone()
            dist.all_reduce(values)
        return values

    def any(self, here: bool) -> bool:
        """Whether it is so at any of the processes; it waits for all."""
        if self.count == 1:
            return here
        import torch

        return bool(self.total(torch.tensor(float(here))))

    def told(self, value: Any) -> Any:
        """What the first process says of a value; it waits for all."""
        values = [value]
        if self.count > 1:
            import torch.distributed as dist

            dist.broadcast_object_list(values)
        return values[0]

    def wrapped(self, module: "nn.Module") -> "nn.Module":
        """The module whose gradients are the mean of all processes'."""
        if self.count == 1:
            return module
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(module)

    def apart(self, network: "nn.Module", last: bool) -> AbstractContextManager[Any]:
        """Where gradients stay this process's own, but of the `last` micro-batch of a step."""
        return nullcontext() if last or self.count == 1 else network.no_sync()  # type: ignore[operator]


ALONE = Ranks()


def world() -> Ranks:
    """What ``torchrun`` says in the environment; one process without it.

    Raises `ValueError` naming a variable that holds no rank.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    if not all(name in os.environ for name in names):
        return ALONE
    texts = [os.environ[name] for name in names]
    rank, count, local = (int(text) if text.isdecimal() else -1 for text in texts)
    limits = (range(max(count, 1)), range(1, sys.maxsize), range(max(count, 1)))
    for name, text, number, limit in zip(names, texts, (rank, count, local), limits):
        if number not in limit:
            what = f"the environment's {name} is {text!r}; torchrun sets a whole number from"
            raise ValueError(f"{what} {limit.start} to {limit.stop - 1}; or unset it")
    return Ranks(rank, count, local)


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """The processes connected, by gloo on CPUs and NCCL between GPUs, for as long as it is open."""
    ranks = world()
    if ranks.count == 1:
        yield ranks
        return
    import torch
    import torch.distributed as dist

    if device.startswith("cuda"):
        torch.cuda.set_device(ranks.device(device))
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo")
    try:
        yield ranks
    finally:
        dist.destroy_process_group()
