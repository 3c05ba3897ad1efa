"""Views: what the network sees of an image, and how maps come back onto the image's grid.

An image is squashed to a square *grid* without keeping its aspect. View ``resize`` shows that
square; ``ten-crop`` shows its corners, its centre and the same five of its mirror image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from camx.camcore.image_files import squash as squash

VIEWS = {"resize": 1, "ten-crop": 10}  # crops an image
GRIDS = {"resize": 1, "ten-crop": 256 / 224}  # the grid's side in inputs'


@dataclass(frozen=True)
class View:
    """`crops` inputs of ``size`` pixels a side, cut from a grid of ``grid`` pixels a side."""

    name: str
    size: int
    grid: int

    @property
    def crops(self) -> int:
        return VIEWS[self.name]

    def corners(self) -> list[tuple[int, int]]:
        """Top-left corners ``(y, x)`` on the grid, in the order of torchvision's TenCrop."""
        end, middle = self.grid - self.size, round((self.grid - self.size) / 2)
        corners = [(0, 0), (0, end), (end, 0), (end, end), (middle, middle)]
        return corners[:1] if self.crops == 1 else corners


def view(name: str, input_size: int) -> View:
    """The view of that name for a network's input; the ten-crop grid is 8/7 of it (256 for 224)."""
    if name not in VIEWS:
        raise ValueError(f"unknown view {name!r}; known: {', '.join(VIEWS)}")
    return View(name, input_size, round(input_size * GRIDS[name]))


def cut(images: Tensor, view: View) -> Tensor:
    """``(B,3,grid,grid)`` images to ``(B*crops,3,size,size)`` network inputs, image by image."""
    crops = []
    for source in (images,) if view.crops == 1 else (images, images.flip(3)):
        crops += [source[..., y : y + view.size, x : x + view.size] for y, x in view.corners()]
    return torch.stack(crops, 1).flatten(0, 1)


def enlarged(maps: Tensor, sides: Sequence[int]) -> Tensor:
    """``(N,h,w)`` maps to ``(N,H,W)``, `sides` ``(H,W)``: bilinear, corners aligned."""
    size = (sides[0], sides[1])
    return interpolate(maps[:, None], size, mode="bilinear", align_corners=True)[:, 0]


def merge(maps: Tensor, view: View) -> Tensor:
    """``(B*crops,h,w)`` maps to ``(B,grid,grid)``: each upsampled onto its crop, and summed.

    Bilinear, corners aligned. The sum is not divided by how often a pixel was seen, so the centre
    of a ten-crop view weighs more: docs/protocol.md, section 1, "Merging ten crops".
    """
    size, grid, corners = view.size, view.grid, view.corners()
    maps = enlarged(maps, (size, size))
    maps = maps.unflatten(0, (-1, view.crops))
    if view.crops == 1:
        return maps[:, 0]
    straight, mirrored = (maps.new_zeros(len(maps), grid, grid) for _ in range(2))
    for index, (y, x) in enumerate(corners):
        straight[:, y : y + size, x : x + size] += maps[:, index]
        mirrored[:, y : y + size, x : x + size] += maps[:, index + len(corners)]
    return straight + mirrored.flip(2)
