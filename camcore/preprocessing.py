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

    def undone(self, inputs: Tensor) -> Tensor:
        """Pixels ``(N,3,H,W) uint8`` RGB of a network's float input."""
        mean, std = (
            torch.tensor(v, device=inputs.device).view(3, 1, 1) for v in (self.mean, self.std)
        )
        pixels = ((inputs * std + mean) / self.scale).nan_to_num(0).round().clamp(0, 255).byte()
        return pixels.flip(1) if self.bgr else pixels


IMAGENET = Preprocessing("torchvision", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
