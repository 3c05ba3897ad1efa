"""Ranks: the processes that ``torchrun`` starts, of which each computes its share.

Of a training's steps, or of the images that a run measures.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor, nn

T = TypeVar("T")
PATIENCE = timedelta(days=7)  # for the slowest of those that measure; a dead one shows at once


class Elsewhere(Exception):
    """What went wrong went wrong at another process, which says what."""


@dataclass(frozen=True)
class Ranks:
    """One process of `count`, number `rank` of them and `local` of the `beside` on its machine."""

    rank: int = 0
    count: int = 1
    local: int = 0
    beside: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that prints, and writes what is written once."""
        return self.rank == 0

    @property
    def cores(self) -> int:
        """The cores that are its own: those it is bound to, or its share of the machine's.

        A scheduler may show a process its own cores alone, or all processes the same ones.
        """
        every = os.cpu_count() or 1
        seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every
        return max(1, seen if seen * self.beside <= every else seen // self.beside)

    def share(self, parts: int) -> range:
        """Which of a step's micro-batches are its own. `ValueError` if they do not divide."""
        if parts % self.count:
            what = f"a step's {parts} micro-batches do not divide among {self.count} processes"
            raise ValueError(f"{what}; expected a multiple of {self.count}")
        each = parts // self.count
        return range(self.rank * each, (self.rank + 1) * each)

    def part(self, items: Sequence[T]) -> list[T]:
        """Which of the items are its own: every `count`-th."""
        return list(items[self.rank :: self.count])

    def device(self, name: str) -> str:
        """The device that ``cuda`` means for this process: one of its own, if there are as many.

        A scheduler that shows each process only its own device leaves one, which is number 0.
        """
        if name != "cuda" or self.count == 1:
            return name
        import torch

        return f"cuda:{self.local % (torch.cuda.device_count() or self.count)}"

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

    def gathered(self, value: Any) -> list[Any]:
        """What each of the processes says of a value, in their order; it waits for all.

        Raises `ValueError` where another ended meanwhile.
        """
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        values = [None] * self.count
        try:
            dist.all_gather_object(values, value)
        except RuntimeError as error:
            what = f"another of {self.count} processes ended before this one"
            raise ValueError(f"{what}; the same command goes on from what is recorded") from error
        return values

    def each(self, work: Callable[[], T]) -> T:
        """What the work gives here, once it is done at all the processes.

        Where it fails at some, the first of these raises its error, the others `Elsewhere`.
        """
        error: Exception | None = None
        try:
            result = work()
        except Exception as failed:
            error = failed
        at = [rank for rank, failed in enumerate(self.gathered(error is not None)) if failed]
        if error and at[0] == self.rank:
            if self.first:
                raise error
            raise ValueError(f"process {self.rank} of {self.count}: {error}") from error
        if at:
            raise Elsewhere(f"process {at[0]} of {self.count} failed") from error
        return result

    def agreed(self, what: str, value: Any) -> None:
        """Raise `ValueError` where a process says something else of a value than the first one.

        The others raise `Elsewhere`. `what` is that it does so, for people.
        """
        values = self.gathered(value)
        if apart := [rank for rank, said in enumerate(values) if said != values[0]]:
            error = f"process {apart[0]} of {self.count} {what}"
            raise ValueError(error) if self.first else Elsewhere(error)

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
    beside = os.environ.get("LOCAL_WORLD_SIZE", "")
    return Ranks(rank, count, local, int(beside) if beside.isdecimal() and int(beside) else count)


@contextmanager
def joined(device: str, patience: timedelta | None = None) -> Iterator[Ranks]:
    """The processes connected, by gloo on CPUs and NCCL between GPUs, for as long as it is open.

    They wait for each other for `patience`, by default as long as torch does.
    """
    ranks = world()
    if ranks.count == 1:
        yield ranks
        return
    import torch
    import torch.distributed as dist

    if device.startswith("cuda"):
        torch.cuda.set_device(ranks.device(device))
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    dist.init_process_group(backend, timeout=patience)
    try:
        yield ranks
    finally:
        dist.destroy_process_group()
