"""Resumption: what the network says when it runs on from a layer whose activations are others.

Nothing before the layer is computed again. In one recorded pass of a picture every call of a module
that ends before the layer begins is kept, if it is not part of a larger such call; on resuming,
these calls give what they gave, and the layer gives the activations. All else runs as it is, so
residual sums, concatenations and functional code need no rule. What the recorded pass answered must
come out again; a network where it does not is run whole, the layer's output being replaced.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from camx.camcore.layers import Layer, sole
from camx.camcore.passes import answer, frozen, replaced, submodule

if TYPE_CHECKING:
    from camx.camcore.taps import Tap

CHUNK = 32  # variants a forward pass
Run = Callable[[Tensor], Tensor]  # activations (m,C,h,w) of one picture to logits (m,K)
Calls = dict[nn.Module, list[Any]]  # the outputs of a module's first calls, in order


@dataclass
class Recording:
    """A pass of one picture: its `logits`, the layer's `output`, the calls `before` the layer."""

    logits: Tensor = field(init=False)
    output: Any = None
    before: Calls | None = None


def resume(network: nn.Module, layer: Layer, images: Tensor, acts: Tensor) -> Tensor:
    """Logits ``(M,K)`` of ``acts (M,C,h,w)``: M/N variants of each of ``images (N,3,H,W)``.

    The variants of an image stand together. `ValueError` if M is no multiple of N.
    """
    if not len(images) or len(acts) % len(images):
        needed = f"as many variants of each of the tap's {len(images)} rows"
        raise ValueError(f"resume takes {needed}, one row's after another's; not {len(acts)}")
    parts = []
    for image, variants in zip(images.split(1), acts.chunk(len(images)) if len(acts) else ()):
        run = resumed(network, layer, image)
        parts += [run(chunk) for chunk in variants.split(CHUNK)]
    return torch.cat(parts) if parts else acts.new_zeros(0, 0)


def by_image(tap: "Tap") -> Iterator[tuple[Tensor, Tensor, Run]]:
    """For each of a tap's images: its rows, ``(C,h,w)`` activations, and what runs on from them.

    An image's classes share its passes, and its batches are of no other image, so that their shape,
    which rounding depends on, is its own matter.
    """
    for at in tap.origin.unique():
        rows = torch.nonzero(tap.origin == at)[:, 0]
        yield rows, tap.acts[rows[0]], resumed(tap.network, tap.layer, tap.images[at][None])


@torch.no_grad()
def resumed(network: nn.Module, layer: Layer, image: Tensor) -> Run:
    """What gives the logits ``(m,K)`` of activations ``(m,C,h,w)`` of an ``image (1,3,H,W)``.

    Recorded outputs are first tried as they are, then, for networks that write into them, copied.
    """
    for copied in (False, True):
        with frozen(network):
            recording = _record(network, layer, image, copied)
        run = partial(_from_layer, network, layer, image, recording, copied)
        if _reproduces(run, layer, image, recording):
            return run
    return partial(_whole, network, layer, image)


def _record(network: nn.Module, layer: Layer, image: Tensor, copied: bool) -> Recording:
    """One pass with every call of a module watched. `ValueError` if the layer's does not run once.

    A call that ends drops those within it, so what the open ones hold when the layer begins are the
    largest that have ended.
    """
    recording, target = Recording(), submodule(network, layer.activation)
    opened: list[list[tuple[nn.Module, Any]]] = [[]]  # of each call that runs: those ended in it

    def begin(module: nn.Module, _inputs: Any) -> None:
        if module is target:
            if recording.before is not None:
                raise ValueError(f"module {layer.activation!r} runs more than once in a pass")
            recording.before = defaultdict(list)
            for called, output in (call for calls in opened for call in calls):
                recording.before[called].append(output)
        opened.append([])

    def end(module: nn.Module, _inputs: Any, output: Any) -> None:
        opened.pop()
        if module is target:
            recording.output = tree_map(_copy, output)
        if recording.before is None:
            opened[-1].append((module, tree_map(_copy, output) if copied else output))

    with ExitStack() as hooks:
        for module in network.modules():
            hooks.enter_context(module.register_forward_pre_hook(begin))
            hooks.enter_context(module.register_forward_hook(end))
        recording.logits = answer(network, image.clone())
    if recording.before is None:
        raise ValueError(f"module {layer.activation!r} did not run in the forward pass")
    return recording


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _repeated(value: Any, count: int, copied: bool = False) -> Any:
    """An output of one picture as of `count` the same; batches are first, or second."""
    if not isinstance(value, Tensor) or not value.ndim:
        return value
    if len(value) == 1:
        many = value.expand(count, *value.shape[1:])
    elif value.ndim > 1 and value.shape[1] == 1:
        many = value.expand(-1, count, *value.shape[2:])
    else:  # several parts a picture, such as windows
        many = value.repeat(count, *[1] * (value.ndim - 1))
    return many.clone() if copied else many


def _placed(layer: Layer, acts: Tensor, output: Any) -> Any:
    """A module's output with the activations in it: a copy, which may be written into."""
    tensor = layer.layout.placed(acts, sole(output))
    tensor = tensor.clone(memory_format=torch.contiguous_format)
    return tensor if isinstance(output, Tensor) else (tensor, *output[1:])


def _played(module: nn.Module, outputs: list[Any], repeat: Run) -> Callable[..., Any]:
    """A module's forward whose first calls give recorded outputs; the further ones are its own."""
    forward, left = module.forward, iter(outputs)

    def play(*inputs: Any, **named: Any) -> Any:
        for output in left:
            return tree_map(repeat, output)
        return forward(*inputs, **named)

    return play


@torch.no_grad()
def _from_layer(
    network: nn.Module,
    layer: Layer,
    image: Tensor,
    recording: Recording,
    copied: bool,
    acts: Tensor,
) -> Tensor:
    """The logits of activations, from a recording. `ValueError` if the layer is passed over."""
    repeat = partial(_repeated, count=len(acts), copied=copied)
    calls, target = [], submodule(network, layer.activation)

    def give(*_inputs: Any, **_named: Any) -> Any:
        calls.append(layer)
        return _placed(layer, acts, tree_map(repeat, recording.output))

    played = {m: _played(m, outputs, repeat) for m, outputs in (recording.before or {}).items()}
    with frozen(network), replaced({**played, target: give}):
        logits = answer(network, repeat(image))
    if len(calls) != 1:
        raise ValueError(f"module {layer.activation!r} is not called")
    return logits


def _reproduces(run: Run, layer: Layer, image: Tensor, recording: Recording) -> bool:
    """Whether the layer's recorded activations, twice, give the recorded logits, twice.

    Twice, for what is repeated cannot be written into: a network that does so fails here.
    """
    acts = layer.layout.spatial(sole(recording.output), image.shape[-2:])
    with suppress(Exception):  # of any network's code, on inputs that it may not be made for
        logits, expected = run(_repeated(acts, 2)), _repeated(recording.logits, 2)
        scale = 1e-4 * float(expected.nan_to_num(0, 0, 0).abs().max())
        return torch.allclose(logits, expected, rtol=1e-4, atol=scale, equal_nan=True)
    return False


@torch.no_grad()
def _whole(network: nn.Module, layer: Layer, image: Tensor, acts: Tensor) -> Tensor:
    """The logits of activations that replace the layer's in a whole pass: any network's."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        return _placed(layer, acts, output)

    with frozen(network), submodule(network, layer.activation).register_forward_hook(hook):
        return answer(network, _repeated(image, len(acts), copied=True))
