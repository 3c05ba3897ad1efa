"""A survey of a network: what each of its modules gives in one pass, found without arithmetic.

The pass runs on the device ``meta``, with two pictures that are not square, so that an output's
sides tell its layout; only a network that cannot run there runs on the CPU.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call

from camx.camcore import graphs
from camx.camcore.layers import CHANNELS_FIRST, PREFIX, Layer, Layout, sole
from camx.camcore.passes import frozen

PICTURES = 2  # more than one, so that the axis of the pictures can be told
PATCH = 8  # a convolution whose kernel is its stride cuts patches from this size on
LOST = 1.5  # columns that unpadded convolutions may lose more than rows
STRIDES = (4, 8, 16, 32, 64)  # of tokens that no such convolution made
_SURVEYS: "WeakKeyDictionary[nn.Module, dict[tuple[int, int], Survey]]" = WeakKeyDictionary()


@dataclass(frozen=True)
class Place:
    """A module's output, if it holds the picture's places: where a map can be made.

    grid       rows and columns
    reduction  pixels of the picture a place stands for, along a side
    order      when the module was done, counted over the pass
    begun      when it began
    leaf       whether it has parameters and no modules in it
    bound      what no value is below, whatever the weights; minus infinity if nothing is known
    cut        whether all that the network says of the picture passes through it
    tensor     which tensor of the pass it is: modules that hand one on have the same
    runs       how often the module ran; one that ran more than once cannot be tapped
    follower   the path of the max-pool that takes this tensor next, if one does
    """

    path: str
    kind: type[nn.Module]
    layout: Layout
    grid: tuple[int, int]
    reduction: float
    order: int
    begun: int
    leaf: bool
    bound: float
    cut: bool
    tensor: tuple[int, int]
    runs: int
    follower: str | None = None

    @property
    def depth(self) -> int:
        return self.path.count(".")

    @property
    def sign(self) -> str:
        """What is known of the values' sign, for people."""
        if self.bound == -math.inf:
            return "signed"
        return f">= {self.bound:.2g}" if self.bound else ">= 0"

    def layer(self, name: str = "") -> Layer:
        """The layer of that name here; its path is the default."""
        return Layer(name or self.path, self.path, self.follower, self.layout)


@dataclass(frozen=True)
class Survey:
    """A pass: the places before the classifier, in the order in which modules were done.

    `spans` are when each module began and was done, whatever it gives; `size` is the picture's.
    """

    places: tuple[Place, ...]
    spans: Mapping[str, tuple[int, int]]
    size: tuple[int, int]

    def place(self, path: str) -> Place | None:
        """The place at a module's path; None if there is none."""
        return next((p for p in self.places if p.path == path), None)


@dataclass
class Output:
    """What a module gave when it ran last."""

    tensor: Any
    node: graphs.Node | None
    source: graphs.Node | None
    begun: int
    order: int
    runs: int


def of(module: nn.Module, input_size: int | tuple[int, int] = 224) -> Survey:
    """The survey of a network, kept for the next call.

    `input_size` are the pixels a side of its input, or rows and columns. Raises `ValueError` if the
    network does not run on such a picture.
    """
    size = (input_size, input_size) if isinstance(input_size, int) else input_size
    held = _SURVEYS.setdefault(module, {})
    if size not in held:
        held[size] = _survey(module, size)
    return held[size]


def shapes(module: nn.Module, input_size: int) -> dict[str, tuple[int, ...]]:
    """What each module gives of `PICTURES` of the network's input size, by path."""
    for device in ("meta", "cpu"):
        with suppress(Exception):  # `of` says what is wrong with a network that does not run
            _, _, outputs = _pass(module, (input_size, input_size), device)
            tensors = {path: output.tensor for path, output in outputs.items()}
            return {p: tuple(t.shape) for p, t in tensors.items() if isinstance(t, Tensor)}
    return {}


def _survey(module: nn.Module, size: tuple[int, int]) -> Survey:
    errors = []
    for device in ("meta", "cpu"):
        for shown in dict.fromkeys([_narrower(size), size]):
            try:
                logits, images, outputs = _pass(module, shown, device)
            except Exception as error:  # whatever a network does with a picture it was not made for
                errors.append(f"{type(error).__name__}: {error}")
                continue
            last = _classifier(module, outputs)
            places = [p for p in _places(module, logits, images, outputs) if p.order < last]
            spans = {path: (output.begun, output.order) for path, output in outputs.items()}
            return Survey(tuple(places), spans, shown)
    what = f"the network does not run on a picture of {size[0]} x {size[1]} pixels"
    raise ValueError(f"{what}: {errors[-1]}")


def _narrower(size: tuple[int, int]) -> tuple[int, int]:
    """Of a square, about five sevenths as wide, whole in every usual stride."""
    if size[0] != size[1]:
        return size
    step = 32 if size[0] >= 96 else 16 if size[0] >= 48 else 1
    return size[0], round(5 * size[0] / 7 / step) * step


def _pass(
    module: nn.Module, size: tuple[int, int], device: str
) -> tuple[Tensor, Tensor, dict[str, Output]]:
    """The logits, the pictures and each module's output of one pass, in its graph."""
    everything = [*module.named_parameters(), *module.named_buffers()]
    if device == "cpu" and any(tensor.is_meta for _, tensor in everything):
        raise ValueError("it has no weights")
    tensors = {name: tensor.detach().to(device) for name, tensor in everything}
    images = torch.zeros(PICTURES, 3, *size, device=device).requires_grad_()
    with (
        torch.inference_mode(False), torch.enable_grad(), frozen(module), _watched(module) as seen,
        torch.random.fork_rng(devices=[]),
    ):  # fmt: skip
        # A copy, for a network may begin in place.
        output = functional_call(module, tensors, (images.clone(),), tie_weights=False)
    logits = sole(getattr(output, "logits", output))
    if not isinstance(logits, Tensor) or logits.grad_fn is None or logits.ndim != 2:
        raise ValueError("it gives no logits (N,K) that depend on the picture")
    return logits, images, seen


@contextmanager
def _watched(module: nn.Module) -> Iterator[dict[str, Output]]:
    """The outputs of the modules that run inside of the context, by path."""
    seen: dict[str, Output] = {}
    begun: dict[str, int] = {}
    clock = iter(range(1_000_000_000))
    handles = []

    def before(path: str) -> Callable[..., None]:
        return lambda *_: begun.update({path: next(clock)})

    def after(path: str) -> Callable[..., None]:
        def hook(_module: nn.Module, inputs: Any, output: Any) -> None:
            tensor = sole(output)
            nodes = graphs.node(tensor), graphs.node(sole(inputs))
            runs = seen[path].runs + 1 if path in seen else 1
            seen[path] = Output(tensor, *nodes, begun[path], next(clock), runs)

        return hook

    for path, part in module.named_modules():
        if path:
            handles.append(part.register_forward_pre_hook(before(path)))
            handles.append(part.register_forward_hook(after(path)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _classifier(module: nn.Module, outputs: dict[str, Output]) -> int:
    """When the last module with parameters of its own began: what it gives are classes."""
    weighted = [path for path, part in module.named_modules() if _leaf(part) and path in outputs]
    after = 1 + max((output.order for output in outputs.values()), default=0)
    return max((outputs[path].begun for path in weighted), default=after)


def _leaf(part: nn.Module) -> bool:
    """Whether a module has parameters and no modules in it."""
    return not list(part.children()) and bool(list(part.parameters(recurse=False)))


def _places(
    module: nn.Module, logits: Tensor, images: Tensor, outputs: dict[str, Output]
) -> list[Place]:
    modules, size = dict(module.named_modules()), tuple(images.shape[-2:])
    graph = graphs.Graph(logits, images)
    pools = {
        output.source: path for path, output in outputs.items()
        if isinstance(modules[path], nn.MaxPool2d) and output.runs == 1
    }  # fmt: skip
    patches = patch_strides(module)
    places = []
    for path, output in sorted(outputs.items(), key=lambda item: item[1].order):
        if output.node is None or not graph.reaches(output.node):
            continue
        layout = layout_of(tuple(output.tensor.shape), size, patches)
        if layout is None:
            continue
        part = modules[path]
        acts = layout.spatial(output.tensor, size)
        grid = acts.shape[2], acts.shape[3]
        places.append(Place(
            path, type(part), layout, grid, size[0] / grid[0], output.order,
            output.begun, _leaf(part), graph.bound(output.node), graph.cuts(output.node),
            graph.number(output.node), output.runs, pools.get(output.node),
        ))  # fmt: skip
    return places


def patch_strides(module: nn.Module) -> list[tuple[int, int]]:
    """The strides of convolutions that cut a picture into patches: their kernels are as large."""
    return list(dict.fromkeys(
        (part.stride[0], part.stride[1]) for part in module.modules()
        if isinstance(part, nn.Conv2d) and part.in_channels == 3
        and tuple(part.stride) == tuple(part.kernel_size) and min(part.stride) >= PATCH
    ))  # fmt: skip


def layout_of(
    shape: tuple[int, ...], size: Sequence[int], patches: Sequence[tuple[int, int]]
) -> Layout | None:
    """The layout of an output of so many pictures of ``size (H,W)``; None if it is none.

    What has one place only is none: its places are gone.
    """
    if len(shape) == 4 and shape[0] == PICTURES:
        sides = {CHANNELS_FIRST: shape[2:], Layout("nhwc"): shape[1:3]}
        return min(
            (layout for layout, (h, w) in sides.items() if h * w > 1 and _alike(h, w, size)),
            key=lambda layout: abs(sides[layout][1] - size[1] * sides[layout][0] / size[0]),
            default=None,
        )
    if len(shape) != 3 or PICTURES not in shape[:2]:
        return None
    second = shape[0] != PICTURES
    length = shape[0] if second else shape[1]
    further = [(d * k, a * k) for k in (2, 4, 8) for d, a in patches]
    for stride in (*patches, *further, *((s, s) for s in STRIDES)):
        layout = Layout("nlc", 0, stride)
        for rows, columns in (layout.grid(size, length), layout.grid(size)):
            if rows * columns > 1 and 0 <= length - rows * columns < PREFIX:
                return Layout("lnc" if second else "nlc", length - rows * columns, stride)
    return None


def _alike(h: int, w: int, size: Sequence[int]) -> bool:
    """Whether both sides can be the picture's, reduced alike, but for what borders lose."""
    if h > size[0] or w > size[1] or (h == w) != (size[0] == size[1]):
        return False
    return abs(w - size[1] * h / size[0]) <= LOST
