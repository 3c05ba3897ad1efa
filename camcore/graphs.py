"""The graph of a pass: through which tensors all passes, and what no value of one is below.

Both are read from autograd's graph, and so hold whatever the weights are.
"""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

Node = tuple[Any, int]  # the function that made a tensor, and which of its outputs it is
# Functions by name (``ReluBackward0``), and what no output of theirs is below.
BOUNDS = {
    "Relu": 0.0, "Sigmoid": 0.0, "Hardsigmoid": 0.0, "Softmax": 0.0, "Softplus": 0.0, "Abs": 0.0,
    "Exp": 0.0, "Gelu": -0.17, "Silu": -0.2785, "Hardswish": -0.375, "Mish": -0.3088,
}  # fmt: skip
SHARES = ("Sigmoid", "Hardsigmoid", "Softmax")  # whose outputs are at most 1
# Functions whose outputs are values of their inputs, or means of them.
PASSING = (
    "MaxPool2DWithIndices", "AvgPool2D", "AdaptiveAvgPool2D", "AdaptiveMaxPool2D", "Mean", "Cat",
    "Stack", "View", "UnsafeView", "ReshapeAlias", "Permute", "Transpose", "T", "Slice", "Split",
    "SplitWithSizes", "Unbind", "Clone", "ToCopy", "Expand", "Squeeze", "Unsqueeze", "Select",
    "Index", "Roll", "Alias", "AsStrided", "NativeDropout", "PixelShuffle", "PixelUnshuffle",
    "UpsampleBilinear2D", "UpsampleNearest2D", "Flip", "Chunk", "Narrow",
)  # fmt: skip


def node(tensor: object) -> Node | None:
    """Where in its graph a tensor is; None if it is in none, or is no tensor."""
    if not isinstance(tensor, Tensor) or tensor.grad_fn is None:
        return None
    return tensor.grad_fn, tensor.output_nr


def _name(function: Any) -> str:
    return type(function).__name__.partition("Backward")[0]


class Graph:
    """The graph that made `logits` of `images`, whose leaf is the end of every path.

    Paths are counted: a tensor through which as many lead as there are is a cut.
    """

    def __init__(self, logits: Tensor, images: Tensor) -> None:
        self.order = _sorted(logits.grad_fn)
        self.numbers = {function: at for at, function in enumerate(self.order)}
        self.leaf = images
        self.above: dict[Any, int] = {logits.grad_fn: 1}  # paths from the logits, by function
        self.through: dict[Node, int] = {(logits.grad_fn, logits.output_nr): 1}  # and by output
        for function in reversed(self.order):
            for below, output in function.next_functions:
                if below is not None:
                    count = self.above.get(function, 0)
                    self.above[below] = self.above.get(below, 0) + count
                    self.through[below, output] = self.through.get((below, output), 0) + count
        self.below: dict[Any, int] = {}  # paths to the images
        self.bounds: dict[Any, float] = {}
        for function in self.order:
            self.below[function] = self._paths(function)
            self.bounds[function] = self._bound(function)

    def _paths(self, function: Any) -> int:
        if getattr(function, "variable", None) is self.leaf:
            return 1
        return sum(self.below.get(below, 0) for below, _ in function.next_functions)

    def _bound(self, function: Any) -> float:
        name = _name(function)
        if name in BOUNDS:
            return BOUNDS[name]
        if name in BY_NAME:
            return BY_NAME[name](function)
        inputs = [-math.inf if f is None else self.bounds[f] for f, _ in function.next_functions]
        if not inputs:
            return -math.inf
        if name in PASSING:
            return min(inputs)
        if name in ("ConstantPadNd", "MaxUnpool2D"):
            return min(0.0, *inputs)
        if name == "Add":
            return sum(inputs)
        if name == "Mul":
            return self._product(function, inputs)
        return -math.inf

    def _product(self, function: Any, bounds: list[float]) -> float:
        if min(bounds) >= 0:
            return 0.0
        factors = [f for f, _ in function.next_functions]
        shares = [f is not None and self._share(f) for f in factors]
        return max((b for b, other in zip(bounds, reversed(shares)) if other), default=-math.inf)

    def _share(self, function: Any) -> bool:
        """Whether values lie between 0 and 1."""
        while _name(function) in PASSING and len(function.next_functions) == 1:
            function = function.next_functions[0][0]
            if function is None:
                return False
        return _name(function) in SHARES

    def reaches(self, at: Node) -> bool:
        """Whether the tensor is made of the images, and the logits of it."""
        return bool(self.through.get(at) and self.below.get(at[0]))

    def cuts(self, at: Node) -> bool:
        """Whether every path from the logits to the images leads through the tensor."""
        total = self.below[self.order[-1]]
        return self.through.get(at, 0) * self.below.get(at[0], 0) == total

    def bound(self, at: Node) -> float:
        """What no value of the tensor is below."""
        return self.bounds.get(at[0], -math.inf)

    def number(self, at: Node) -> tuple[int, int]:
        """The tensor's own: modules that hand one on have the same."""
        return self.numbers[at[0]], at[1]


def _sorted(root: Any) -> list[Any]:
    """The functions that lead to `root`, each after those that it takes its inputs from."""
    order: list[Any] = []
    state: dict[Any, bool] = {}
    stack = [root]
    while stack:
        function = stack[-1]
        if function not in state:
            state[function] = False
            stack += [f for f, _ in function.next_functions if f is not None and f not in state]
        else:
            stack.pop()
            if not state[function]:
                state[function] = True
                order.append(function)
    return order


def _least(function: Any, attribute: str) -> float:
    """A bound that a function has saved; what is clamped by a tensor says none."""
    least = getattr(function, attribute, None)
    return float(least) if isinstance(least, int | float) else -math.inf


BY_NAME: dict[str, Callable[[Any], float]] = {
    "Hardtanh": lambda f: _least(f, "_saved_min_val"),
    "Clamp": lambda f: _least(f, "_saved_min"),
    "ClampMin": lambda f: _least(f, "_saved_min"),
    "Elu": lambda f: -_least(f, "_saved_alpha"),
}
