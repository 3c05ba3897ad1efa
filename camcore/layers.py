"""Layers: where in a network a map is made, and how an output there holds the picture's places."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Gradient = Literal["own", "next"]
Order = Literal["nchw", "nhwc", "nlc", "lnc"]
ORDERS = {
    "nchw": "channels first",
    "nhwc": "channels last",
    "nlc": "tokens",
    "lnc": "tokens, images second",
}


@dataclass(frozen=True)
class Layout:
    """How a module's output holds the picture's places.

    order   ``nchw`` channels first, ``nhwc`` channels last, ``nlc`` tokens row by row, ``lnc`` the
            same with the images second
    prefix  of tokens: how many stand before them that are of no place, such as the class token
    stride  of tokens: the pixels ``(down, across)`` of one; their number alone tells no rows
    """

    order: Order = "nchw"
    prefix: int = 0
    stride: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        words = ORDERS[self.order]
        return f"{words}, {self.prefix} before" if self.prefix else words

    @property
    def tokens(self) -> bool:
        return self.order in ("nlc", "lnc")

    def grid(self, size: Sequence[int], count: int | None = None) -> tuple[int, int]:
        """Rows and columns of the tokens of a picture ``(H,W)``.

        What does not fill a token is left over, unless there are so many as if it did: a padded
        convolution gives one for it.
        """
        down, across = self.stride
        whole = max(1, size[0] // down), max(1, size[1] // across)
        padded = -(-size[0] // down), -(-size[1] // across)
        return padded if count == padded[0] * padded[1] else whole

    def spatial(self, output: Tensor, size: Sequence[int]) -> Tensor:
        """An output of a picture ``(H,W)`` as ``(N,C,h,w)``. `ValueError` if it does not fit."""
        if self.order == "nchw":
            return output
        if self.order == "nhwc":
            return output.permute(0, 3, 1, 2)
        tokens = output.transpose(0, 1) if self.order == "lnc" else output
        grid = self.grid(size, tokens.shape[1] - self.prefix)
        if tokens.shape[1] != self.prefix + grid[0] * grid[1]:
            before = f"{self.prefix} and " if self.prefix else ""
            expected = f"expected {before}{grid[0]} x {grid[1]} tokens of {size[0]} x {size[1]}"
            raise ValueError(f"gives {tuple(output.shape)}; {expected} pixels")
        return tokens[:, self.prefix :].transpose(1, 2).unflatten(2, grid)

    def placed(self, acts: Tensor, output: Tensor) -> Tensor:
        """The output with ``acts (N,C,h,w)`` in its places; what is of no place stays."""
        if self.order == "nchw":
            return acts
        if self.order == "nhwc":
            return acts.permute(0, 2, 3, 1)
        whole = output.transpose(0, 1) if self.order == "lnc" else output
        whole = torch.cat([whole[:, : self.prefix], acts.flatten(2).transpose(1, 2)], 1)
        return whole.transpose(0, 1) if self.order == "lnc" else whole


CHANNELS_FIRST = Layout()
PREFIX = 16  # more tokens than these before the picture's are none


@dataclass(frozen=True)
class Layer:
    """A named pair of module paths: whose output is the activation, and whose gradient weights it.

    `follower` is the pooling module after the activation, the gradient source ``next`` of the
    LayerCAM authors' protocol; a layer without one always uses its own gradient. `layout` is that
    of the activation.
    """

    name: str
    activation: str
    follower: str | None = None
    layout: Layout = CHANNELS_FIRST


def belongs(sides: Sequence[int], of: Sequence[int]) -> bool:
    """Whether an activation's sides ``(h,w)`` can be those of an input's ``(H,W)``.

    They can if one stride makes them of both sides, whatever unpadded convolutions lose at the
    borders, each rounded: ``w - h`` is then ``(W - H) / stride``, and no side times the stride
    exceeds the input's. So they are equal for a square, and may be for any (a pool to a square);
    within one, for kernels need not be square.
    """
    (low, w), (short, long) = (sides, of) if of[0] <= of[1] else (sides[::-1], of[::-1])
    if low > short + 1 or w > long + 1:
        return False
    if abs(w - low) <= 1:
        return True
    widest = min(short / max(1, low - 1), long / max(1, w - 1))  # stride
    return (long - short) / widest - 1 <= w - low <= long - short + 1


def sole(output: Any) -> Any:
    """A module's output, or its first tensor where it is several (tokens, and what goes along)."""
    if isinstance(output, tuple | list) and output and isinstance(output[0], Tensor):
        return output[0]
    return output


def spatial(output: object, layer: Layer, images: Tensor) -> Tensor:
    """A module's output as ``(N,C,h,w)`` of the images. `ValueError` saying what it is instead."""
    count, (height, width) = len(images), images.shape[-2:]
    sides = f"h and w in proportion to {height} x {width}"
    needed = f"expected one tensor (N,C,h,w), N={count}, {sides}"
    path, layout = layer.activation, layer.layout
    tensor = sole(output) if layout.tokens else output
    if not isinstance(tensor, Tensor):
        raise ValueError(f"module {path!r} gives a {type(tensor).__name__}; {needed}")
    shape = tuple(tensor.shape)
    batch = shape[1] if layout.order == "lnc" and len(shape) > 1 else shape[:1] and shape[0]
    if tensor.ndim != (3 if layout.tokens else 4) or batch != count:
        raise ValueError(f"module {path!r} gives {shape}; {needed}")
    try:
        acts = layout.spatial(tensor, (height, width))
    except ValueError as error:
        raise ValueError(f"module {path!r} {error}") from None
    if not belongs(acts.shape[2:], (height, width)):
        what = f"whose sides, {acts.shape[2]} x {acts.shape[3]}, cannot be the image's"
        raise ValueError(f"module {path!r} gives {shape}, {what}; {needed}")
    return acts
