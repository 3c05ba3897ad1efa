"""What a training leaves on disk: its checkpoint, its weights and its log, each whole or not at
all.
"""

import csv
import io
import math
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors
from torch import nn
from torch.optim import Optimizer

from camx.camcore import faults
from camx.evaluators.files import write_bytes, write_text

CHECKPOINT = "checkpoint.pt"  # everything the next step needs
DAMAGE = (OSError, RuntimeError, EOFError, pickle.UnpicklingError, LookupError, TypeError)
AGAIN = "delete it, and the same command trains from the start"
Row = dict[str, Any]


@dataclass
class State:
    """Where a run stands; `total` is the sum of losses since the epoch began."""

    step: int = 0
    rows: list[Row] = field(default_factory=list)
    best: float = -math.inf
    total: float = 0.0


def save(out: Path, module: nn.Module, optimizer: Optimizer, state: State) -> None:
    """Write ``checkpoint.pt``."""
    content = {"module": module.state_dict(), "optimizer": optimizer.state_dict()}
    content["state"] = dict(vars(state))
    whole = io.BytesIO()  # so that a full disk is an error of the file's, not of torch's writer
    torch.save(content, whole)
    write_bytes(out / CHECKPOINT, whole.getvalue())


def resume(out: Path, module: nn.Module, optimizer: Optimizer) -> State:
    """Put back what ``checkpoint.pt`` holds; a new state without one, `ValueError` for damage."""
    if not (path := out / CHECKPOINT).is_file():
        return State()
    with path.open("rb") as file:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
            state = State(**content["state"])
        except DAMAGE as error:
            raise ValueError(f"{path}: a damaged checkpoint; {AGAIN}") from error
    module.load_state_dict(content["module"])
    optimizer.load_state_dict(content["optimizer"])
    if name := infinite(module, optimizer):
        raise ValueError(f"{path}: {name} holds NaN or Inf; {AGAIN}")
    return state


def infinite(module: nn.Module, optimizer: Optimizer) -> str:
    """What of the network, or of its optimiser, holds NaN or Inf; empty if nothing does."""
    momenta = [of["momentum_buffer"] for of in optimizer.state.values() if "momentum_buffer" in of]
    named = {f"momentum {n}": m for n, m in enumerate(momenta) if m is not None}
    return faults.infinite({**module.state_dict(), **named})


def save_weights(path: Path, module: nn.Module, preprocessing: str = "") -> None:
    """The network's weights as safetensors, which ``--weights`` reads, and their preprocessing."""
    state = {k: v.detach().cpu().contiguous().clone() for k, v in module.state_dict().items()}
    metadata = {"preprocessing": preprocessing} if preprocessing else None
    write_bytes(path, safetensors(state, metadata))


def save_log(path: Path, rows: Sequence[Row]) -> None:
    """Write the log, a line an epoch, as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
