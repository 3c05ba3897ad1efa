"""What training begins with: which of a file's weights, and what stays as the network was built."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from camx.camcore import adoption
from camx.camcore.adoption import State
from camx.camcore.spec import modules_of


def count(axes: Mapping[str, int], state: State) -> int:
    """The number of classes of weights by their head's tensors; 0 if they hold none of them."""
    held = (state[k].shape[a] for k, a in axes.items() if k in state and state[k].ndim > a)
    return next(held, 0)


def of(
    expected: State, state: State, axes: Mapping[str, int], classes: int, backbone: tuple[str, ...]
) -> dict[str, Tensor]:
    """The weights that training begins with, of a network built with `expected` ones.

    A head of another number of classes stays as built; with a backbone, so does all that the
    weights lack outside of it, and what else they hold is left out. `ValueError` for tensors
    outside of it that have a name of the network's and another shape.
    """
    if count(axes, state) != classes:
        head = modules_of(axes)
        state = {**state, **{k: v for k, v in expected.items() if k.startswith(head)}}
    if not backbone:
        return dict(state)
    rest = {k: v for k, v in expected.items() if not k.startswith(backbone)}
    fits = {k: v for k, v in state.items() if k in rest}
    if wrong := [what for k, v in fits.items() if (what := adoption.misfit(k, v, rest[k]))]:
        raise ValueError("; ".join(wrong[:2]))
    return {**{k: v for k, v in state.items() if k.startswith(backbone)}, **rest, **fits}


def lacking(names: Iterable[str], state: State, begun: State) -> tuple[str, ...]:
    """Those of the names whose tensors are not from `state` where the training begins."""
    wanted = (name for name in names if not name.endswith("num_batches_tracked"))
    return tuple(name for name in wanted if begun.get(name) is not state.get(name))
