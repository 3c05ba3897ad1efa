"""Taps: one forward and one backward pass show all layers' activations and gradients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from camx.camcore import arithmetic, passes, resumption
from camx.camcore.attention import Attention, attention
from camx.camcore.excitation import contrastive
from camx.camcore.heads import head
from camx.camcore.layers import Gradient, spatial
from camx.camcore.layers import Layer as Layer
from camx.camcore.passes import frozen

ROWS = 20  # that a network which is asked again gets at once, whatever the batch


def by_rows(ask: Callable[[Tensor], Tensor], count: int, device: torch.device) -> Tensor:
    """``ask(rows)`` of rows 0 to `count`, so many at a time that its shape never changes.

    Rounding depends on the shape of a batch. The last rows are filled up with the last of them.
    """
    at = torch.arange(-(-count // ROWS) * ROWS, device=device).clamp(max=count - 1)
    return torch.cat([ask(rows) for rows in at.split(ROWS)])[:count]


@dataclass(frozen=True)
class Tap:
    """What a pass shows at one layer, a row for each (image, class) pair asked about.

    acts and grads: ``(N,C,h,w)``, whatever the layer's layout; the gradient of the row's own
    target, of the activations' size. logits: ``(N,K)``. targets: ``(N,)``, the row's class. origin:
    ``(N,)``, the row's place in `images`. images: ``(B,3,H,W)``, the network's input, and `network`
    itself, for methods that ask it again. `target` names what of the logits is explained; `shared`
    is what the taps of one pass have in common, for what is computed once for all of them.
    """

    acts: Tensor
    grads: Tensor
    logits: Tensor
    targets: Tensor
    origin: Tensor
    images: Tensor
    layer: Layer
    network: nn.Module
    target: str = "logit"
    shared: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __getitem__(self, rows: slice) -> "Tap":
        cut = ("acts", "grads", "logits", "targets", "origin")
        return replace(self, **{name: getattr(self, name)[rows] for name in cut})

    def score(self, images: Tensor) -> Tensor:
        """Logits ``(M,K)`` of other ``images (M,3,H,W)``: no gradients, no hooks, nothing kept."""
        with torch.no_grad(), frozen(self.network):
            return passes.answer(self.network, images)

    def resume(self, acts: Tensor) -> Tensor:
        """Logits ``(M,K)`` of the network run on from this layer with other ``acts (M,C,h,w)``.

        M is m N: m variants of each of the tap's N rows, those of the first row first. No gradients
        are kept. See `resumption`.
        """
        if acts.shape[1:] != self.acts.shape[1:]:
            given, shape = tuple(acts.shape), ",".join(map(str, self.acts.shape[1:]))
            raise ValueError(f"layer {self.layer.name} is resumed from (M,{shape}), not {given}")
        return resumption.resume(self.network, self.layer, self.images[self.origin], acts)

    @property
    def head(self) -> Tensor | None:
        """The ``(K,C)`` weights of this layer's global average, if there are any; see `head`."""
        return head(self.network, self.acts, self.logits)

    @property
    def attention(self) -> Attention:
        """What the blocks attend to, of one pass for all layers and methods; see `attention`."""
        rows = "attention", *self.origin.tolist(), *self.targets.tolist()
        if rows not in self.shared:
            rest = self.origin, self.targets, self.target, self.logits
            self.shared[rows] = attention(self.network, self.images, *rest)
        return self.shared[rows]

    def excite(self, layer: Layer | None = None) -> Tensor:
        """Contrastive excitation ``(N,C,h,w)`` at a layer's follower, or at it without one."""
        layer = layer or self.layer
        path = layer.follower or layer.activation
        with torch.no_grad(), frozen(self.network):
            return by_rows(
                lambda rows: contrastive(
                    self.network, self.images[self.origin[rows]], self.targets[rows], path
                ),
                len(self.targets),
                self.targets.device,
            )


def tap(
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    layers: Sequence[Layer],
    gradient: Gradient = "own",
    target: str = "logit",
) -> dict[str, Tap]:
    """Run ``images (B,3,H,W)`` forward once, the targets backward once, for all `layers`.

    `targets` is one class an image ``(B,)``, or ``(N,2)`` pairs (image, class) when images are
    asked about several classes or none. `gradient` ``next`` takes the gradient at the layer's
    follower (the next max-pool's output) and upsamples it bilinearly, corners aligned, onto the
    activation: docs/protocol.md, section 1, "Map". `target` is what of a class is explained
    (`targets`). Gradients are asked for at the taps only; no parameter gets one. Raises
    `ValueError` for unknown modules, for targets that are not strict (image, class) pairs, for
    layers that do not reach the logits, and for those whose output does not have the layer's layout
    (`layers.spatial`).
    """
    if not layers:
        raise ValueError("no layer to tap")
    origin, classes = passes.pairs(targets, len(images))
    whole = targets.ndim == 1
    sources = {y.name: _source(y, gradient) for y in layers}
    with torch.inference_mode(False), torch.enable_grad(), frozen(network):
        logits, seen = passes.forward(network, images, [*layers, *sources.values()])
        passes.check_classes(logits, classes)
        of_path = {source.activation: source for source in sources.values()}
        outputs = [seen[path] for path in of_path]
        views = [partial(spatial, layer=source, images=images) for source in of_path.values()]
        how = arithmetic.of(network)
        grads = passes.gradients(logits, outputs, views, origin, classes, whole, target, how=how)
        grad_at = dict(zip(of_path, grads))
    logits = logits.detach() if whole else logits.detach()[origin]
    taps: dict[str, Tap] = {}
    shared: dict[Any, Any] = {}
    for layer in layers:
        grad, acts = grad_at[sources[layer.name].activation], seen[layer.activation].detach()
        if grad is None:
            raise ValueError(f"layer {layer.name!r} does not reach the logits")
        acts = how.full(spatial(acts, layer, images))
        if grad.shape[-2:] != acts.shape[-2:]:
            grad = interpolate(grad, acts.shape[-2:], mode="bilinear", align_corners=True)
        acts = acts if whole else acts[origin]
        taps[layer.name] = Tap(
            acts, grad, logits, classes, origin, images, layer, network, target, shared
        )
    return taps


def _source(layer: Layer, gradient: Gradient) -> Layer:
    """The layer whose gradient weights this one's activation."""
    if gradient == "own" or layer.follower is None:
        return layer
    return replace(layer, activation=layer.follower, follower=None)
