"""The same bits again: what torch may not choose by itself, and what a run says about it."""

import os
from typing import Any


def enforce() -> None:
    """Let torch use only algorithms that repeat their bits; it warns of any that has none.

    On a CPU they all do, at an equal number of threads.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA is first used
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def state(device: str) -> dict[str, Any]:
    """What ``run.json`` says: whether a rerun gives the same bits, at how many threads."""
    import torch

    repeats = device == "cpu" or torch.are_deterministic_algorithms_enabled()
    return {"deterministic": repeats, "threads": torch.get_num_threads()}


def notice(device: str) -> str:
    """A line for people where bits may differ from one run to the next; else nothing."""
    if state(device)["deterministic"]:
        return ""
    return f"on {device} a rerun may differ in the last bits; --deterministic repeats them"
