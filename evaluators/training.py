"""Training by SGD that a kill cannot harm: a step follows from its number and the seed alone.

A run's folder holds ``checkpoint.pt`` (everything the next step needs), ``log.csv`` (a line an
epoch), ``best.safetensors`` and ``last.safetensors``.
"""

import csv
import io
import math
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from camx.camcore import faults
from camx.camcore.networks import Start
from camx.evaluators.files import write_text, write_whole
from camx.evaluators.loop import ahead

CHECKPOINT_SECONDS = 30
DAMAGE = (OSError, RuntimeError, EOFError, pickle.UnpicklingError, LookupError, TypeError)
AGAIN = "delete it, and the same command trains from the start"
SEED_STRIDE = 1_000_003  # torch's seeds between the first step of one seed and of the next
Batch = tuple[Tensor, Tensor]
Row = dict[str, Any]
Show = Callable[[range], Tensor]
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]  # network, inputs, targets -> a step's loss


class Stream(IntEnum):
    """What is drawn at random of the data; the network's own draws are torch's, see `_step`."""

    SHUFFLE = 1  # of an epoch
    AUGMENT = 2  # of a step, or of an image by its number in the endless row of epochs


def generator(seed: int, stream: Stream, at: int) -> np.random.Generator:
    """The random numbers of a stream at one place, the same whenever they are asked for."""
    return np.random.default_rng([seed, stream, at])


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Each of `count` things once, in the order of an epoch."""
    return generator(seed, Stream.SHUFFLE, epoch).permutation(count)


def shuffled(count: int, seed: int, draws: range) -> list[int]:
    """What the `draws` of an endless row of epochs take of `count` things."""
    orders = {epoch: order(count, seed, epoch) for epoch in {draw // count for draw in draws}}
    return [int(orders[draw // count][draw % count]) for draw in draws]


def draw(count: int, size: int, seed: int, step: int) -> list[tuple[int, np.random.Generator]]:
    """The `size` of `count` things that a step takes, each with the random numbers that alter it.

    Batches are of one size: one may end an epoch and begin the next.
    """
    draws = range(step * size, (step + 1) * size)
    generators = (generator(seed, Stream.AUGMENT, at) for at in draws)
    return list(zip(shuffled(count, seed, draws), generators))


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is trained, on what, how long.

    groups     the optimiser's parameter groups, each with its own ``lr``
    steps      in all; an epoch is `epoch` steps
    batch      step -> inputs and targets, the same whenever it is asked
    loss       network, inputs, targets -> the step's loss
    rate       step -> what every group's learning rate is multiplied by
    judge      network, mean loss -> an epoch's further columns of the log, and its score

    `preprocessing` is written into the weights' files, for `camcore.networks.load` to find.
    """

    module: nn.Module
    groups: Sequence[Mapping[str, Any]]
    steps: int
    epoch: int
    batch: Callable[[int], Batch]
    loss: Loss
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


class Recipe(Protocol):
    """What the recipes of all trainers say."""

    @property
    def momentum(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def precision(self) -> str: ...


def prepare(start: Start, recipe: Recipe, *, device: str, **others: Any) -> Job:
    """A network's training by a recipe; `others` are the fields that trainers differ in."""
    return Job(
        module=start.module.to(device),
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        precision=precision(recipe.precision, device),
        device=device,
        preprocessing=start.preprocessing.name,
        **others,
    )


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


def answers(
    module: nn.Module, show: Show, paths: Sequence[Path], size: int, device: str, workers: int
) -> Tensor:
    """CPU logits of the images `paths`, `size` at a time; ``show(places)`` makes them in threads.

    Raises `ValueError` naming an image whose logits hold NaN or Inf.
    """
    places = [range(at, min(at + size, len(paths))) for at in range(0, len(paths), size)]
    with ThreadPoolExecutor(workers) as pool, torch.no_grad():
        batches = ahead(pool, show, places, 2 * workers)
        logits = torch.cat([module(inputs.to(device)).float().cpu() for inputs in batches])
    try:
        faults.check({faults.LOGITS: logits})
    except faults.NotFinite as error:
        raise ValueError(f"{paths[error.faults[0].row]}: {error.faults[0]}") from None
    return logits


def save_weights(path: Path, module: nn.Module, preprocessing: str = "") -> None:
    """The network's weights as safetensors, which ``--weights`` reads, and their preprocessing."""
    state = {k: v.detach().cpu().contiguous().clone() for k, v in module.state_dict().items()}
    metadata = {"preprocessing": preprocessing} if preprocessing else None
    write_whole(path, lambda temporary: save_file(state, temporary, metadata))


def _save_log(path: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


@dataclass
class State:
    """Where a run stands; `total` is the sum of losses since the epoch began."""

    step: int = 0
    rows: list[Row] = field(default_factory=list)
    best: float = -math.inf
    total: float = 0.0


def resume(out: Path, job: Job, optimizer: Optimizer) -> State:
    """Put back what ``checkpoint.pt`` holds; a new state without one, `ValueError` for damage."""
    if not (path := out / "checkpoint.pt").is_file():
        return State()
    with path.open("rb") as file:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
            state = State(**content["state"])
        except DAMAGE as error:
            raise ValueError(f"{path}: a damaged checkpoint; {AGAIN}") from error
    job.module.load_state_dict(content["module"])
    optimizer.load_state_dict(content["optimizer"])
    if name := _infinite(job, optimizer):
        raise ValueError(f"{path}: {name} holds NaN or Inf; {AGAIN}")
    return state


def _infinite(job: Job, optimizer: Optimizer) -> str:
    """What of the network, or of its optimiser, holds NaN or Inf; empty if nothing does."""
    momenta = [of["momentum_buffer"] for of in optimizer.state.values() if "momentum_buffer" in of]
    named = {f"momentum {n}": m for n, m in enumerate(momenta) if m is not None}
    return faults.infinite({**job.module.state_dict(), **named})


def _diverged(job: Job, what: str) -> ValueError:
    return ValueError(f"{what}; lower --lr ({job.groups[0]['lr']:g})")


def _checkpoint(out: Path, job: Job, optimizer: Optimizer, state: State) -> None:
    content = {"module": job.module.state_dict(), "optimizer": optimizer.state_dict()}
    content["state"] = dict(vars(state))
    write_whole(out / "checkpoint.pt", lambda temporary: torch.save(content, temporary))


def sgd(job: Job) -> SGD:
    """The optimiser; `fit` gives its groups their rates."""
    groups, decay = [dict(group) for group in job.groups], job.weight_decay
    return SGD(groups, lr=0.0, momentum=job.momentum, weight_decay=decay, nesterov=job.nesterov)


def fit(job: Job, out: Path, tick: Callable[[int, str], Any]) -> list[Row]:
    """Train to the end, from where `out` stands; returns the log. `tick` gets steps and a line.

    The result is that of an undisturbed run: data, dropout and schedule depend on the step alone.
    Raises `ValueError` when the loss, or a weight, is no longer a number, and saves none of it.
    """
    optimizer = sgd(job)
    rates = [group["lr"] for group in job.groups]
    state = resume(out, job, optimizer)
    tick(state.step, "")
    saved = time.monotonic()
    with ThreadPoolExecutor(job.workers) as pool:
        steps = range(state.step, job.steps)
        for inputs, targets in ahead(pool, job.batch, steps, 2 * job.workers):
            for group, lr in zip(optimizer.param_groups, rates):
                group["lr"] = lr * job.rate(state.step)
            loss = _step(job, optimizer, state.step, inputs, targets)
            if not math.isfinite(loss):
                raise _diverged(job, f"the loss is {loss} at step {state.step + 1}")
            state.step, state.total = state.step + 1, state.total + loss
            ended = state.step % job.epoch == 0 or state.step == job.steps
            if ended or time.monotonic() - saved >= CHECKPOINT_SECONDS:
                if name := _infinite(job, optimizer):  # a step's loss is of the weights before it
                    raise _diverged(job, f"{name} holds NaN or Inf after step {state.step}")
                if ended:
                    _end_epoch(job, out, state, optimizer.param_groups[0]["lr"])
                _checkpoint(out, job, optimizer, state)
                saved = time.monotonic()
            tick(1, _line(state))
    return state.rows


def _step(job: Job, optimizer: Optimizer, step: int, inputs: Tensor, targets: Tensor) -> float:
    torch.manual_seed(job.seed * SEED_STRIDE + step)
    job.module.train()
    with torch.autocast(job.device.split(":")[0], torch.bfloat16, enabled=job.precision == "bf16"):
        loss = job.loss(job.module, inputs.to(job.device), targets.to(job.device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _end_epoch(job: Job, out: Path, state: State, lr: float) -> None:
    """A line for the log, and the weights: the last, and the best if they are."""
    number = len(state.rows) + 1
    loss = state.total / (state.step - (number - 1) * job.epoch)
    job.module.eval()
    columns, score = job.judge(job.module, loss)
    infinite = [k for k, v in columns.items() if isinstance(v, float) and math.isinf(v)]
    if infinite or not math.isfinite(score):  # NaN is a column's that has nothing to judge by
        what = f"{infinite[0]} is infinite" if infinite else f"the score is {score}"
        raise _diverged(job, f"{what} after epoch {number}")
    row = {"epoch": number, "step": state.step, "lr": lr, "train_loss": loss, **columns}
    state.rows.append(row)
    state.total = 0.0
    if score > state.best:
        state.best = score
        save_weights(out / "best.safetensors", job.module, job.preprocessing)
    save_weights(out / "last.safetensors", job.module, job.preprocessing)
    _save_log(out / "log.csv", state.rows)


def _line(state: State) -> str:
    """The last line of the log, for people."""
    row = state.rows[-1] if state.rows else {}
    numbers = {name: v for name, v in row.items() if isinstance(v, float) and name != "lr"}
    return ", ".join(f"{name} {value:.3f}" for name, value in numbers.items())
