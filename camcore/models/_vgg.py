"""What the VGGs share: stages of 3x3 convolutions, each ended by a max-pool.

Here and not in torchvision's zoo, which takes seconds to import.
"""

from collections.abc import Sequence
from itertools import chain, pairwise

from torch import nn

POOL = "M"
# Configuration D of Simonyan and Zisserman 2015: the widths of its convolutions.
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
# A layer is a pair: the stage's last ReLU, and the max-pool after it (the paper's gradient source).
LAYERS: dict[str, tuple[str, str | None]] = {
    f"S{s}": (f"features.{relu}", f"features.{relu + 1}")
    for s, relu in zip(range(5, 0, -1), (29, 22, 15, 8, 3))
}


def widths(share: int = 1) -> list[int | str]:
    """Configuration D's widths, divided by `share`, with a pool's mark after each stage."""
    row: list[int | str] = []
    for width, count in STAGES:
        row += [*[width // share] * count, POOL]
    return row


def features(row: Sequence[int | str], batch_norm: bool = False) -> nn.Sequential:
    """Convolutions of the widths of a row, and its pools, in the order that torchvision counts."""
    held = [3, *(int(part) for part in row if part != POOL)]
    channels = pairwise(held)
    return nn.Sequential(
        *chain.from_iterable(
            [nn.MaxPool2d(2, 2)] if part == POOL else _step(*next(channels), batch_norm)
            for part in row
        )
    )


def _step(before: int, after: int, batch_norm: bool) -> list[nn.Module]:
    """A convolution that keeps the size, its batch norm where asked for, and its ReLU."""
    norm = [nn.BatchNorm2d(after)] if batch_norm else []
    return [nn.Conv2d(before, after, 3, padding=1), *norm, nn.ReLU(inplace=True)]
