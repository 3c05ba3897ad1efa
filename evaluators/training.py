"""Training by SGD that a kill cannot harm: whatever a step needs follows from its number and the seed.

A run's folder holds ``checkpoint.pt`` (everything the next step needs), ``log.csv`` (a line an epoch),
``best.safetensors`` and ``last.safetensors``.
"""

import csv
import io
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from evaluators.runs import ahead

CHECKPOINT_SECONDS = 30
Batch = tuple[Tensor, Tensor]
Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What is trained, on what, how long.

    groups     the optimiser's parameter groups, each with its own ``lr``
    steps      in all; an epoch is `epoch` steps
    batch      step -> inputs and targets, the same whenever it is asked
    loss       inputs, targets -> the step's loss
    rate       step -> what every group's learning rate is multiplied by
    judge      after each epoch: the log's further columns, and how good the network is (higher is better)

    `preprocessing` is written into the weights' files, for `camcore.networks.load` to find.
    """

    module: nn.Module
    groups: Sequence[Mapping[str, Any]]
    steps: int
    epoch: int
    batch: Callable[[int], Batch]
    loss: Callable[[Tensor, Tensor], Tensor]
    rate: Callable[[int], float]
    judge: Callable[[nn.Module, float], tuple[Row, float]]
    momentum: float = 0.9
    weight_decay: float = 0.0
    nesterov: bool = False
    precision: str = "float32"
    device: str = "cpu"
    seed: int = 0
    workers: int = 1
    preprocessing: str = ""


def precision(name: str, device: str) -> str:
    """``auto`` is bf16 on a CUDA device that computes in it, float32 elsewhere."""
    if name != "auto":
        return name
    return "bf16" if device.startswith("cuda") and torch.cuda.is_bf16_supported() else "float32"


def multistep(epoch: int, decay_at: Sequence[float], decay: float) -> Callable[[int], float]:
    """Times `decay` from the first step after each of the epochs `decay_at`."""
    return lambda step: decay ** sum(step >= at * epoch for at in decay_at)


def poly(steps: int, power: float) -> Callable[[int], float]:
    """``(1 - step / steps) ** power``."""
    return lambda step: (1 - step / steps) ** power


def shuffled(count: int, seed: int, draws: range) -> list[int]:
    """What the `draws` of an endless row take of `count` things: every `count` draws take each of them once, in a new order."""
    epochs = {draw // count for draw in draws}
    orders = {epoch: np.random.default_rng([seed, 1, epoch]).permutation(count) for epoch in epochs}
    return [int(orders[draw // count][draw % count]) for draw in draws]


def _whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    write(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.rename(path)


def save_weights(path: Path, module: nn.Module, preprocessing: str = "") -> None:
    """The network's weights as safetensors, which ``--weights`` reads, and the name of the preprocessing they want."""
    state = {k: v.detach().cpu().contiguous().clone() for k, v in module.state_dict().items()}
    metadata = {"preprocessing": preprocessing} if preprocessing else None
    _whole(path, lambda temporary: save_file(state, temporary, metadata))


def _save_log(path: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    _whole(path, lambda temporary: temporary.write_text(text.getvalue()))


@dataclass
class State:
    """Where a run stands: the next step, the log so far, the best score, and the sum of losses since the epoch began."""

    step: int = 0
    rows: list[Row] = field(default_factory=list)
    best: float = -math.inf
    total: float = 0.0


def resume(out: Path, job: Job, optimizer: torch.optim.Optimizer) -> State:
    """The state in ``checkpoint.pt``, the network's and the optimiser's put back; a new one if there is none."""
    path = out / "checkpoint.pt"
    if not path.is_file():
        return State()
    found = torch.load(path, map_location=job.device, weights_only=True)
    job.module.load_state_dict(found["module"])
    optimizer.load_state_dict(found["optimizer"])
    return State(**found["state"])


def _checkpoint(out: Path, job: Job, optimizer: torch.optim.Optimizer, state: State) -> None:
    content = {"module": job.module.state_dict(), "optimizer": optimizer.state_dict(), "state": dict(vars(state))}
    _whole(out / "checkpoint.pt", lambda temporary: torch.save(content, temporary))


def sgd(job: Job) -> torch.optim.SGD:
    return torch.optim.SGD(
        [dict(g) for g in job.groups], lr=0.0, momentum=job.momentum, weight_decay=job.weight_decay, nesterov=job.nesterov
    )


def fit(job: Job, out: Path, tick: Callable[[int, str], Any]) -> list[Row]:
    """Train to the end, from where `out` stands; returns the log. `tick` gets the steps done and a line about them.

    The result is that of an undisturbed run: data, dropout and schedule depend on the step alone. Raises `ValueError`
    when the loss is no longer a number.
    """
    optimizer = sgd(job)
    base = [group["lr"] for group in job.groups]
    state = resume(out, job, optimizer)
    tick(state.step, "")
    saved = time.monotonic()
    with ThreadPoolExecutor(job.workers) as pool:
        for inputs, targets in ahead(pool, job.batch, range(state.step, job.steps), 2 * job.workers):
            for group, lr in zip(optimizer.param_groups, base):
                group["lr"] = lr * job.rate(state.step)
            loss = _step(job, optimizer, state.step, inputs, targets)
            if not math.isfinite(loss):
                raise ValueError(f"the loss is {loss} at step {state.step + 1}; lower --lr ({base[0]:g})")
            state.step, state.total = state.step + 1, state.total + loss
            if state.step % job.epoch == 0 or state.step == job.steps:
                _end_epoch(job, out, state, optimizer.param_groups[0]["lr"])
                saved = -math.inf
            if time.monotonic() - saved >= CHECKPOINT_SECONDS:
                _checkpoint(out, job, optimizer, state)
                saved = time.monotonic()
            tick(1, _line(state))
    return state.rows


def _step(job: Job, optimizer: torch.optim.Optimizer, step: int, inputs: Tensor, targets: Tensor) -> float:
    torch.manual_seed(job.seed * 1_000_003 + step)
    job.module.train()
    with torch.autocast(job.device.split(":")[0], torch.bfloat16, enabled=job.precision == "bf16"):
        loss = job.loss(inputs.to(job.device), targets.to(job.device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _end_epoch(job: Job, out: Path, state: State, lr: float) -> None:
    """A line for the log, and the weights: the last, and the best if they are."""
    count = state.step - len(state.rows) * job.epoch
    loss = state.total / count
    job.module.eval()
    judged, score = job.judge(job.module, loss)
    state.rows.append({"epoch": len(state.rows) + 1, "step": state.step, "lr": lr, "train_loss": loss, **judged})
    state.total = 0.0
    if score > state.best:
        state.best = score
        save_weights(out / "best.safetensors", job.module, job.preprocessing)
    save_weights(out / "last.safetensors", job.module, job.preprocessing)
    _save_log(out / "log.csv", state.rows)


def _line(state: State) -> str:
    if not state.rows:
        return ""
    return ", ".join(f"{k} {v:.3f}" for k, v in state.rows[-1].items() if isinstance(v, float) and k != "lr")
