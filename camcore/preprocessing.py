"""What a network's input is of an image's pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Preprocessing:
    """``x -> (x * scale - mean) / std`` on RGB bytes 0-255, channels reversed first if `bgr`."""

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1 / 255
    bgr: bool = False

    def __call__(self, images: Tensor) -> Tensor:
        """``(N,3,H,W) uint8`` RGB to the network's float input of the same shape."""
        device = images.device
        mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (self.mean, self.std))
        images = images.flip(1) if self.bgr else images
        return (images.float() * self.scale - mean) / std
