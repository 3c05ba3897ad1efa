"""Attention: a forward and a backward pass that show what a transformer's blocks attend to."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from camx.camcore import passes
from camx.camcore.attention_weights import Weights
from camx.camcore.layers import PREFIX

Grid = tuple[int, int]


@dataclass(frozen=True)
class Block:
    """A block's attention weights ``(N,heads,queries,keys)``, and each row's gradient there."""

    weights: Tensor
    grads: Tensor


@dataclass(frozen=True)
class Attention:
    """What the blocks of a network attend to, a row for each of a tap's.

    blocks: from the first to the last, between all T tokens. pool: of the attention pooling after
    the blocks, one query, if there is one. local: for each block the gradient of the block's *own*
    score (see `attention`) in its weights, in the pool's where there is one. start ``(T,)``: what
    the classifier reads of the tokens, the class token or the mean of the patches. Of the tokens
    the last h w are the patches, row by row, of the `grid`.
    """

    blocks: tuple[Block, ...]
    pool: Block | None
    local: tuple[Tensor, ...]
    start: Tensor
    grid: Grid

    def patches(self, tokens: Tensor) -> Tensor:
        """Tokens' values ``(N,T)`` as a map ``(N,h,w)`` of those that are patches."""
        return tokens[:, -self.grid[0] * self.grid[1] :].unflatten(1, self.grid)

    def flow(self, relevance: Callable[[Block], Tensor], normalised: bool = False) -> Tensor:
        """The row of ``(I + X_L) ... (I + X_1)`` that the classifier reads, as maps ``(N,h,w)``.

        ``X = relevance(block)``, ``(N,T,T)``; `normalised`: rows of ``I + X`` sum to one. A pool's
        is the row; else the class token's, or without one the mean of the patches' rows.
        """
        row = self.start[None, None] if self.pool is None else relevance(self.pool)
        for block in reversed(self.blocks):
            step = relevance(block)
            row = row / (1 + step.sum(-1))[:, None] if normalised else row
            row = row + row @ step
        return self.patches(row[:, 0])


@dataclass(frozen=True)
class _Pass:
    """A forward pass: logits, weights by block, the pool's, and each block with its tokens."""

    logits: Tensor
    weights: list[Tensor]
    pool: Tensor | None
    blocks: list[nn.Module]
    tokens: list[Tensor]
    grid: Grid


def attention(
    network: nn.Module,
    images: Tensor,
    origin: Tensor,
    classes: Tensor,
    target: str,
    expected: Tensor,
) -> Attention:
    """Run ``images (B,3,H,W)`` forward once and the rows' targets backward once, for all blocks.

    Rows are (image, class) pairs ``origin (N,)``, ``classes (N,)``; `expected` are the rows' logits
    of an ordinary pass. A block's own score is that of its mean token, put through what follows the
    last block (norm, classifier); where that is an attention pooling, of all its tokens. Raises
    `ValueError` for a network without global attention over patches, and for one whose logits are
    others when it attends step by step.
    """
    with torch.inference_mode(False), torch.enable_grad(), passes.frozen(network):
        origin = origin.clone()  # it may be of inference mode
        shown = _forward(network, images.detach().clone().requires_grad_())
        _check(network, shown.logits[origin], expected, "attending step by step")
        start = _start(shown)
        local = _local(network, images, shown, origin, classes, target)
        weights = [*shown.weights, *([] if shown.pool is None else [shown.pool])]
        grads = _gradients(shown.logits, weights, origin, classes, target, keep=False)
    attending = tuple(Block(w.detach()[origin], g) for w, g in zip(weights, grads))
    count = len(shown.blocks)
    return Attention(attending[:count], (*attending[count:], None)[0], local, start, shown.grid)


def _forward(network: nn.Module, images: Tensor) -> _Pass:
    """Every module is watched: a block is the outermost around one attention alone."""
    attending, before, grids = Weights(), [], []
    inside: dict[int, tuple[nn.Module, Tensor]] = {}

    def enter(_module: nn.Module, _inputs: tuple) -> None:
        before.append(len(attending.kept))

    def leave(module: nn.Module, _inputs: tuple, output: Any) -> None:
        at = before.pop()
        if isinstance(module, nn.Conv2d) and not attending.kept:
            grids.append((output.shape[2], output.shape[3]))
        if len(attending.kept) == at + 1 and isinstance(output, Tensor) and output.ndim == 3:
            inside[at] = module, output  # the outermost is the last to leave

    with ExitStack() as hooks:
        for module in network.modules():
            hooks.enter_context(module.register_forward_pre_hook(enter))
            hooks.enter_context(module.register_forward_hook(leave))
        with attending:
            logits = passes.answer(network, images)
    weights, pool, grid = _sorted(network, attending.kept, grids, len(images))
    try:
        blocks, tokens = zip(*(inside[at] for at in range(len(weights))))
    except KeyError:
        raise _unfit(network, "its attention stands in no block of its own") from None
    return _Pass(logits, weights, pool, list(blocks), list(tokens), grid)


def _sorted(
    network: nn.Module, kept: Sequence[Tensor], grids: Sequence[Grid], count: int
) -> tuple[list[Tensor], Tensor | None, Grid]:
    """Blocks' weights, the pool's, and the grid: that of the last convolution before that fits."""
    if not kept:
        raise _unfit(network, "it has no attention")
    size = kept[0].shape[-1]
    queries = [w.shape[2] if w.ndim == 4 and len(w) == count else 0 for w in kept]
    pooled = len(kept) > 1 and queries[-1] == 1
    blocks, pool = (kept[:-1], kept[-1]) if pooled else (kept, None)
    square = all(w.shape[2:] == (size, size) for w in blocks) and all(queries)
    fits = [(h, w) for h, w in grids if h * w > 1 and 0 <= size - h * w < PREFIX]
    if not square or not fits:
        shapes = dict.fromkeys(str(tuple(weights.shape)) for weights in kept)
        raise _unfit(network, f"it attends as {' and '.join([*shapes][:2])}")
    return list(blocks), pool, fits[-1]


def _unfit(network: nn.Module, what: str) -> ValueError:
    needed = "blocks with attention (N,heads,T,T) between all patches are needed"
    return ValueError(f"{type(network).__name__} has no global attention: {what}; {needed}")


def _check(network: nn.Module, logits: Tensor, expected: Tensor, how: str) -> None:
    """Raise `ValueError` unless two passes agree. What is not finite is said elsewhere."""
    finite = expected.isfinite().all(1)
    logits, expected = logits.detach()[finite], expected.detach()[finite]
    tolerance = 3 * torch.finfo(logits.dtype).eps ** 0.5 * (1 + expected.abs().amax(1))
    off = (logits - expected).abs().amax(1)
    if (off > tolerance).any() or not off.isfinite().all():
        name = type(network).__name__
        raise ValueError(f"{name}'s logits are others when {how}: by {off.max():.3g} at most")


def _start(shown: _Pass) -> Tensor:
    """Which tokens the classifier reads: ``(T,)``, summing to one.

    The logits do not depend on the patches' last tokens if the class token is read.
    """
    places, size = shown.grid[0] * shown.grid[1], shown.tokens[-1].shape[1]
    score = shown.logits.square().sum()  # a score that no softmax keeps from depending on tokens
    grad = torch.autograd.grad(score, shown.tokens[-1], retain_graph=True)[0]
    grad = grad[shown.logits.isfinite().all(1)]
    start = grad.new_zeros(size)
    if size > places and not grad[:, -places:].any():
        start[0] = 1
    else:
        start[-places:] = 1 / places
    return start


def _local(
    network: nn.Module, images: Tensor, shown: _Pass, origin: Tensor, classes: Tensor, target: str
) -> tuple[Tensor, ...]:
    """For each block the gradient of its own score in its weights, or in the pool's for it."""
    count = len(shown.blocks)

    def after(tokens: Tensor) -> Tensor:
        # Each block hands on what it is given, the last one the tokens.
        by_block: dict[nn.Module, Callable[..., Any]] = {
            block: lambda inputs, *_, **__: inputs for block in shown.blocks
        }
        by_block[shown.blocks[-1]] = lambda *_, **__: tokens
        with passes.replaced(by_block):
            return passes.answer(network, images[:1], len(tokens))

    with torch.no_grad():
        _check(network, after(shown.tokens[-1]), shown.logits, "its blocks are passed by")
    if shown.pool is None:
        prefix = shown.tokens[0].shape[1] - shown.grid[0] * shown.grid[1]
        means = (t.mean(1, keepdim=True).expand(-1, prefix + 1, -1) for t in shown.tokens)
        return tuple(  # a call a block: of one call for all, gradients would pass all blocks
            _gradients(after(mean), [weights], origin, classes, target, keep=True)[0]
            for mean, weights in zip(means, shown.weights)
        )
    with Weights() as attending:
        scores = after(torch.cat(shown.tokens))
    rows = torch.cat([origin + at * len(images) for at in range(count)])
    every = _gradients(scores, attending.kept, rows, classes.repeat(count), target, keep=True)
    return every[0].chunk(count)


def _gradients(
    logits: Tensor,
    weights: Sequence[Tensor],
    origin: Tensor,
    classes: Tensor,
    target: str,
    keep: bool,
) -> list[Tensor]:
    """The gradient of each row's target in the weights, ``(N,heads,queries,keys)``."""
    views = [lambda grad: grad] * len(weights)
    grads = passes.gradients(logits, weights, views, origin, classes, False, target, keep)
    none = [w.new_zeros(len(origin), *w.shape[1:]) for w in weights if not len(origin)]
    return none or [g for g in grads if g is not None]
