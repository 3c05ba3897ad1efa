"""Training by SGD that a kill cannot harm: a step follows from its number and the seed alone.

A run's folder holds ``checkpoint.pt`` (everything the next step needs), ``log.csv`` (a line an
epoch), ``curve.png``, ``best.safetensors`` and ``last.safetensors``.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from camx.camcore import faults
from camx.camcore.networks import Start
from camx.evaluators import checkpoint, curves, stopping
from camx.evaluators.checkpoint import Row, State
from camx.evaluators.loop import ahead
from camx.evaluators.ranks import ALONE, Ranks

CHECKPOINT_SECONDS = 30
SEED_STRIDE = 1_000_003  # torch's seeds between the first batch of one seed and of the next
Batch = tuple[Tensor, Tensor]
Show = Callable[[range], Tensor]
Judge = Callable[[nn.Module, float], tuple[Row, float]]
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]  # network, inputs, targets -> a step's loss


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is trained, on what, how long.

    groups     the optimiser's parameter groups, each with its own ``lr``
    steps      in all; an epoch is `epoch` steps
    parts      micro-batches a step is made of, over all ranks; their gradients are averaged
    batch      number of a micro-batch -> inputs and targets, the same whenever it is asked
    loss       network, inputs, targets -> the micro-batch's loss
    rate       step -> what every group's learning rate is multiplied by
    judge      network, mean loss -> an epoch's further columns of the log, and its score

    `preprocessing` is written into the weights' files, for `camcore.networks.load` to find; `title`
    stands above the learning curve.
    """

    module: nn.Module
    groups: Sequence[Mapping[str, Any]]
    steps: int
    epoch: int
    batch: Callable[[int], Batch]
    loss: Loss
    rate: Callable[[int], float]
    judge: Judge
    momentum: float = 0.9
    weight_decay: float = 0.0
    nesterov: bool = False
    precision: str = "float32"
    device: str = "cpu"
    seed: int = 0
    workers: int = 1
    parts: int = 1
    preprocessing: str = ""
    title: str = ""


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
        title=start.name,
        **others,
    )


def micro_batches(batch: int, accumulate: int, ranks: Ranks) -> int:
    """The parts of a step's images: `accumulate` of each rank. `ValueError` if these are no parts.

    A mean over equal parts is the mean over all, but for what a network learns of its batch.
    """
    parts = accumulate * ranks.count
    if batch % parts:
        what = f"{accumulate} micro-batches of each of {ranks.count} processes"
        raise ValueError(f"batch is {batch}, which does not divide into {what}")
    return parts


def judged_by_first(judge: Judge, ranks: Ranks) -> Judge:
    """The first rank's judgement, for which the others wait: their networks are the same."""
    return lambda network, loss: ranks.told(judge(network, loss) if ranks.first else None)


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


def sgd(job: Job) -> SGD:
    """The optimiser; `fit` gives its groups their rates."""
    groups, decay = [dict(group) for group in job.groups], job.weight_decay
    return SGD(groups, lr=0.0, momentum=job.momentum, weight_decay=decay, nesterov=job.nesterov)


def fit(job: Job, out: Path, tick: Callable[[int, str], Any], ranks: Ranks = ALONE) -> list[Row]:
    """Train to the end, from where `out` stands; returns the log. `tick` gets steps and a line.

    The result is that of an undisturbed run: data, dropout and schedule depend on the micro-batch's
    number alone. Of several `ranks` each takes its share of every step's micro-batches, and the
    first writes. A signal that asks to end (`stopping`) is heeded after a step, which is saved.
    Raises `ValueError` when the loss, or a weight, is no longer a number, and saves none of it; and
    when the ranks do not begin at one step.
    """
    share = ranks.share(job.parts)
    optimizer = sgd(job)
    rates = [group["lr"] for group in job.groups]
    state = checkpoint.resume(out, job.module, optimizer)
    _agree(out, state, ranks)
    network = ranks.wrapped(job.module)
    tick(state.step, "")
    saved = time.monotonic()
    steps = range(state.step, job.steps)
    numbers = (step * job.parts + part for step in steps for part in share)
    with ThreadPoolExecutor(job.workers) as pool:
        batches = ahead(pool, job.batch, numbers, 2 * job.workers)
        for step in steps:
            if ranks.any(stopping.asked()):
                if ranks.first:
                    checkpoint.save(out, job.module, optimizer, state)
                stopping.end()
            for group, lr in zip(optimizer.param_groups, rates):
                group["lr"] = lr * job.rate(step)
            loss = _step(job, network, optimizer, step, batches, ranks)
            if not math.isfinite(loss):
                raise _diverged(job, f"the loss is {loss} at step {step + 1}")
            state.step, state.total = step + 1, state.total + loss
            ended = state.step % job.epoch == 0 or state.step == job.steps
            late = ranks.first and time.monotonic() - saved >= CHECKPOINT_SECONDS
            if ended or late:
                if name := checkpoint.infinite(job.module, optimizer):  # a loss is of the weights
                    raise _diverged(job, f"{name} holds NaN or Inf after step {state.step}")
                if ended:
                    _end_epoch(job, out, state, optimizer.param_groups[0]["lr"], ranks)
                if ranks.first:
                    checkpoint.save(out, job.module, optimizer, state)
                saved = time.monotonic()
            tick(1, _line(state))
    return state.rows


def _agree(out: Path, state: State, ranks: Ranks) -> None:
    """Raise `ValueError` where a rank does not stand where the first one does."""
    step = ranks.told(state.step)
    apart = ranks.total(torch.tensor(float(step != state.step)))
    if apart:
        what = f"{int(apart)} of {ranks.count} processes do not see the first one's checkpoint"
        raise ValueError(f"{out}: {what}; --out must be a folder that all of them share")


def _step(
    job: Job,
    network: nn.Module,
    optimizer: Optimizer,
    step: int,
    batches: Iterator[Batch],
    ranks: Ranks,
) -> float:
    """Take a step by this rank's micro-batches; the mean loss over all ranks'."""
    network.train()
    optimizer.zero_grad()
    share, mean = ranks.share(job.parts), 0.0
    for part in share:
        inputs, targets = next(batches)
        torch.manual_seed(job.seed * SEED_STRIDE + step * job.parts + part)
        with ranks.apart(network, part == share[-1]):
            device = job.device.partition(":")[0]
            with torch.autocast(device, torch.bfloat16, enabled=job.precision == "bf16"):
                loss = job.loss(network, inputs.to(job.device), targets.to(job.device))
            loss = loss / len(share)
            loss.backward()
        mean += float(loss.detach())
    optimizer.step()
    return float(ranks.total(torch.tensor(mean, dtype=torch.double))) / ranks.count


def _diverged(job: Job, what: str) -> ValueError:
    return ValueError(f"{what}; lower --lr ({job.groups[0]['lr']:g})")


def _end_epoch(job: Job, out: Path, state: State, lr: float, ranks: Ranks) -> None:
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
    best = score > state.best
    state.best = max(score, state.best)
    if not ranks.first:
        return
    if best:
        checkpoint.save_weights(out / "best.safetensors", job.module, job.preprocessing)
    checkpoint.save_weights(out / "last.safetensors", job.module, job.preprocessing)
    checkpoint.save_log(out / "log.csv", state.rows)
    curves.draw(state.rows, job.title, out / "curve.png")


def _line(state: State) -> str:
    """The last line of the log, for people."""
    row = state.rows[-1] if state.rows else {}
    numbers = {name: v for name, v in row.items() if isinstance(v, float) and name != "lr"}
    return ", ".join(f"{name} {value:.3f}" for name, value in numbers.items())
