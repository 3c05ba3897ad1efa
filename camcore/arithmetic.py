"""Arithmetic: the number format and the memory layout that a network computes in.

Nothing here is on by default: every choice moves numbers. Weights stay float32, and so are maps and
all that methods see; the network's own operations may be asked to be less exact.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}  # what autocast computes in
AMPERE = (8, 0)  # the capability from which on CUDA has TF32 and bf16
SCALE = 2.0**10  # of scores in fp16, whose numbers end at 6e-8 and 65504; as training scales losses


@dataclass(frozen=True)
class Arithmetic:
    """How a network computes.

    precision      ``float32``; ``tf32`` on CUDA: 10 bits of mantissa in products; ``bf16`` and
                   ``fp16``: what torch's autocast computes in these, the rest in float32
    channels_last  whether weights and images lie so in memory
    """

    precision: str = "float32"
    channels_last: bool = False

    def __str__(self) -> str:
        layout = "channels last" if self.channels_last else ""
        precision = "" if self.precision == "float32" else self.precision
        return ", ".join(filter(None, (precision, layout)))

    @property
    def half(self) -> bool:
        """Whether activations and gradients have 16 bits."""
        return self.precision in HALVES

    @property
    def scale(self) -> float:
        """What a score is multiplied by before it goes backward, and its gradients divided by."""
        return SCALE if self.precision == "fp16" else 1.0

    @property
    def tolerance(self) -> float:
        """How far, of the largest, two ways to the same logits may lie apart."""
        return 2e-2 if self.half else 1e-3

    @contextmanager
    def products(self) -> Iterator[None]:
        """Products on CUDA in TF32 where it is asked for; what was set is set again after."""
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        before = matmul.allow_tf32, cudnn.allow_tf32
        try:
            if self.precision == "tf32":
                matmul.allow_tf32 = cudnn.allow_tf32 = True
            yield
        finally:
            if self.precision == "tf32":
                matmul.allow_tf32, cudnn.allow_tf32 = before

    @contextmanager
    def asked(self, device: torch.device) -> Iterator[None]:
        """The network is being asked: its operations are in this precision."""
        with (
            self.products(),
            torch.autocast(device.type, HALVES.get(self.precision), enabled=self.half),
        ):
            yield

    def placed(self, images: Tensor) -> Tensor:
        """Images ``(N,3,H,W)`` as they lie in memory."""
        return (
            images.contiguous(memory_format=torch.channels_last) if self.channels_last else images
        )

    def full(self, tensor: Tensor) -> Tensor:
        """What of the network's is given on, in float32 where it has 16 bits."""
        return tensor.float() if self.half else tensor

    def unscaled(self, grad: Tensor) -> Tensor:
        """A gradient of a scaled score as that of the score, in float32."""
        grad = self.full(grad)
        return grad if self.scale == 1 else grad / self.scale


DEFAULT = Arithmetic()
_OF: "WeakKeyDictionary[nn.Module, Arithmetic]" = WeakKeyDictionary()


def of(network: nn.Module) -> Arithmetic:
    """How a network computes; as it was made, unless it comes from `computing`."""
    return _OF.get(network, DEFAULT)


def computing(network: nn.Module, how: Arithmetic, device: str) -> nn.Module:
    """The network computing so: a copy, with its weights where they lie best; or itself.

    Raises `ValueError` for a precision that the device does not have.
    """
    if how == of(network):
        return network
    kind = torch.device(device).type
    lacks = how.precision == "tf32" and kind != "cuda"
    if kind == "cuda" and how.precision in ("tf32", "bf16"):
        lacks = torch.cuda.get_device_capability(device) < AMPERE
    if lacks:
        accepted = "float32, fp16" if kind == "cuda" else "float32, bf16, fp16"
        what = f"{device} does not have; accepted there: {accepted}"
        raise ValueError(f"precision is {how.precision!r}, which {what}")
    layout = torch.channels_last if how.channels_last else torch.contiguous_format
    copied = copy.deepcopy(network).to(memory_format=layout)
    _OF[copied] = how
    return copied


def alike(network: nn.Module, other: nn.Module) -> None:
    """Let a copy compute as the network it is of."""
    _OF[network] = of(other)
