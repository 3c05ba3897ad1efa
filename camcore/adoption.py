"""Weights under a network's own names: what of a file they are, and what of the network they fill.

People's files nest the weights (``state_dict``, ``model``, ``ema``) and prefix their names
(``module.``, ``_orig_mod.``, ``backbone.``). What fits the network most is taken.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from camx.camcore.spec import modules_of

State = Mapping[str, Tensor]
Rename = Callable[[State], State]
DEPTH = 3  # mappings inside of one another
LISTED = 6  # modules that a line names
AVERAGED = re.compile(r"(^|[._ ])ema|averaged|(^|[._ ])swa")  # running means of the weights


@dataclass(frozen=True)
class Adopted:
    """The weights that a file holds of a network, under its names, as float32.

    `original` has the file's names, without the prefix. `choice` says what of the file was taken,
    for people; it is empty where the file holds nothing else.
    """

    state: State
    original: State
    choice: str


def adopt(content: Any, expected: State, rename: Rename | None) -> Adopted:
    """Of all that a file holds, the weights that most of the network's `expected` tensors fit.

    Where running means fit as well as the weights themselves, these are taken. `rename` gives
    another network's weights this one's names. Raises `ValueError` for what holds no tensors with
    names.
    """
    nested = dict(_nested(content))
    if not nested:
        raise ValueError("expected a state dict, names to tensors")
    candidates = [(keys, prefix) for keys in nested for prefix in _prefixes(nested[keys], expected)]
    originals = {at: _without(nested[at[0]], at[1]) for at in candidates}
    fits = {at: _fit(original, expected, rename) for at, original in originals.items()}
    order = sorted(candidates, key=lambda at: (*(-n for n in fits[at]), _averaged(at)))
    best = order[0]
    others = [at for at in order[1:] if fits[at][0] == fits[best][0] > 0 and at[0] != best[0]]
    original = {k: v.float() if v.is_floating_point() else v for k, v in originals[best].items()}
    outside = [k for k in nested[best[0]] if not k.startswith(best[1])]
    choice = _choice(best, [at for at in others if not _same(originals[at], originals[best])])
    if outside:
        choice += f"; not used: {listed(outside)}"
    return Adopted(_renamed(original, expected, rename), original, choice)


def _nested(content: Any, keys: str = "", depth: int = DEPTH) -> Iterator[tuple[str, State]]:
    """Every mapping of names to tensors inside of `content`, by the keys that lead to it."""
    if isinstance(content, list | tuple):
        content = {str(at): value for at, value in enumerate(content)}
    if not isinstance(content, Mapping):
        return
    items = [(key, value) for key, value in content.items() if isinstance(key, str)]
    if tensors := {key: value for key, value in items if isinstance(value, Tensor)}:
        yield keys, tensors
    for key, value in items if depth else ():
        yield from _nested(value, f"{keys}.{key}" if keys else key, depth - 1)


def _prefixes(state: State, expected: State) -> list[str]:
    """Prefixes without which names may be the network's: of most names, or of its names."""
    ends: Counter[str] = Counter()
    for name in state:
        parts = name.split(".")
        for at in range(1, len(parts)):
            if ".".join(parts[at:]) in expected:
                ends[".".join(parts[:at]) + "."] += 1
    most = max(ends.values(), default=0)
    common, names = [""], list(state)  # the longest first: renaming by order needs no prefix gone
    while names:
        first, count = Counter(name.partition(".")[0] for name in names).most_common(1)[0]
        names = [n.partition(".")[2] for n in names if n.startswith(f"{first}.")]
        if 2 * count < len(state):
            break
        common.append(f"{common[-1]}{first}.")
    frequent = [prefix for prefix, count in ends.items() if 2 * count >= most]
    return list(dict.fromkeys([*common[::-1], *frequent]))


def _without(state: State, prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}


def _fit(state: State, expected: State, rename: Rename | None) -> tuple[int, int, int, int]:
    """How many of the network's tensors there are of their shape, at all, before renaming; others.

    Names tell more than the order that they may be renamed by. The others count against it.
    """
    before = sum(name in state for name in expected)
    with suppress(ValueError):  # it is raised once this is what is taken
        state = _renamed(state, expected, rename)
    names = [name for name in expected if name in state]
    same = sum(state[name].shape == expected[name].shape for name in names)
    return same, len(names), before, len(names) - len(state) if names else 0


def _renamed(state: State, expected: State, rename: Rename | None) -> State:
    """The weights under the network's names, which they may have already."""
    return rename(state) if rename and not expected.keys() <= state.keys() else state


def _averaged(at: tuple[str, str]) -> bool:
    return bool(AVERAGED.search(" ".join(at)))


def _same(one: State, other: State) -> bool:
    """Whether two of a file's states are the same tensors."""
    return one.keys() == other.keys() and all(one[k].equal(other[k]) for k in one)


def _choice(best: tuple[str, str], others: list[tuple[str, str]]) -> str:
    keys, prefix = best
    words = [f"its {keys}"] if keys else []
    words += [f"names without {prefix}"] if prefix else []
    if others:
        words.append(f"{', '.join(dict.fromkeys(at[0] for at in others))} would fit as well")
    return ", ".join(words)


def listed(names: Iterable[str]) -> str:
    """The modules of tensors, for people: ``features.0.*, fc.* and 3 more``."""
    modules = [f"{m}*" if m.endswith(".") else m for m in modules_of(dict.fromkeys(names, 0))]
    if len(modules) > LISTED:  # by their uppermost modules
        modules = list(dict.fromkeys(f"{m.partition('.')[0]}.*" for m in modules))
    more = f" and {len(modules) - LISTED} more" if len(modules) > LISTED else ""
    return ", ".join(modules[:LISTED]) + more


def filled(module: nn.Module, state: State, path: Path, name: str) -> nn.Module:
    """The module with these weights in place of its own. `ValueError` if they do not fit."""
    expected = module.state_dict()
    counters = [k for k in expected if k.endswith("num_batches_tracked")]
    # Files of old torch have none. Each needs one of its own, for it counts in place.
    state = {**{k: torch.zeros((), dtype=torch.long) for k in counters}, **state}
    wrong = [f"{k} is missing" for k in expected if k not in state]
    wrong += [f"{k} is not part of {name}" for k in state if k not in expected]
    wrong += [misfit(k, state[k], v) for k, v in expected.items() if k in state]
    wrong = [what for what in wrong if what]
    if not wrong:
        infinite = [k for k, v in state.items() if not v.isfinite().all()]
        wrong = [f"{k} holds values that are not finite" for k in infinite]
    if wrong:
        others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise ValueError(f"{path}: weights do not fit {name}: {wrong[0]}{others}")
    module.load_state_dict(state, assign=True)
    return module


def misfit(name: str, tensor: Tensor, expected: Tensor) -> str:
    """What is wrong with a tensor's shape or kind; empty if nothing is."""
    if tensor.shape != expected.shape:
        return f"{name} is {tuple(tensor.shape)}, expected {tuple(expected.shape)}"
    real = tensor.is_floating_point() or not expected.is_floating_point()
    if real and tensor.layout == torch.strided and tensor.device.type == "cpu":
        return ""
    kind = f"{str(tensor.dtype).removeprefix('torch.')} ({tensor.layout} on {tensor.device})"
    return f"{name} holds {kind}, expected plain numbers such as float32"
