"""Training of a segmentation network on pseudo labels (LayerCAM paper, section III-D)."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate, pad

from camx.camcore.image_files import read_image
from camx.camcore.networks import Start
from camx.evaluators import draws, training
from camx.evaluators.ranks import ALONE, Ranks
from camx.evaluators.tasks.segment.recipe import Recipe

IGNORE = 255
Pair = tuple[Path, Path]
Pairs = Sequence[Pair]
Read = Callable[[Path], np.ndarray]


def read_pair(pair: Pair, read: Read, classes: int) -> tuple[Image.Image, Image.Image]:
    """An image and its labels. `ValueError` for other sizes, or a label that is no class or 255."""
    image, labels = read_image(pair[0]), read(pair[1])
    if labels.shape != image.size[::-1]:
        size = " x ".join(map(str, labels.shape[::-1]))
        what = f"its image {pair[0]} has {image.width} x {image.height}"
        raise ValueError(f"{pair[1]}: {size} pixels, but {what}")
    wrong = labels[(labels >= classes) & (labels != IGNORE)]
    if wrong.size:
        accepted = f"0..{classes - 1}, and {IGNORE} to ignore it"
        raise ValueError(f"{pair[1]}: a pixel is {wrong[0]}; accepted: {accepted}")
    return image, Image.fromarray(labels)


def cut(
    image: Image.Image, labels: Image.Image, recipe: Recipe, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, bool]:
    """``(h,w,3)`` and ``(h,w) uint8`` of the pair at a random scale and place; whether mirrored."""
    scale = float(rng.choice(recipe.scales))
    size = max(1, int(image.width * scale)), max(1, int(image.height * scale))
    x, y = (int(rng.integers(max(0, side - recipe.crop) + 1)) for side in size)
    box = (x, y, min(size[0], x + recipe.crop), min(size[1], y + recipe.crop))
    image = image.resize(size, Image.Resampling.BILINEAR).crop(box)
    labels = labels.resize(size, Image.Resampling.NEAREST).crop(box)
    return np.asarray(image), np.asarray(labels), recipe.mirror and bool(rng.random() < 0.5)


def example(
    pair: Pair, read: Read, start: Start, recipe: Recipe, rng: np.random.Generator
) -> training.Batch:
    """One crop as the network takes it ``(3,crop,crop)`` and its labels ``(crop,crop) uint8``.

    A small image is filled at its right and bottom with the mean (zero once subtracted) and 255.
    """
    image, labels, mirror = cut(*read_pair(pair, read, start.classes), recipe, rng)
    inputs = start.preprocessing(torch.tensor(image).permute(2, 0, 1)[None])[0]
    room = (0, recipe.crop - labels.shape[1], 0, recipe.crop - labels.shape[0])
    inputs, targets = pad(inputs, room), pad(torch.tensor(labels), room, value=IGNORE)
    return (inputs.flip(-1), targets.flip(-1)) if mirror else (inputs, targets)


def pixel_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of ``(N,K,H,W)`` and ``(N,H,W)``: over an image's pixels, then over images.

    Caffe's, which averages an image at a time; an image with no such pixel counts zero.
    """
    each = cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none").sum((1, 2))
    return (each / (labels != IGNORE).sum((1, 2)).clamp(min=1)).mean()


def _loss(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    logits, size = module(images).float(), labels.shape[-2:]
    large = interpolate(logits, size, mode="bilinear", align_corners=True)
    return pixel_loss(large, labels.long())


def job(
    start: Start,
    pairs: Pairs,
    read: Read,
    recipe: Recipe,
    *,
    seed: int,
    device: str,
    workers: int,
    accumulate: int = 1,
    ranks: Ranks = ALONE,
) -> training.Job:
    """The training of `start` on pairs of image and label, read by ``read(path)`` ``(H,W) uint8``.

    Every draw of an image, its scale, place and mirroring follow from the seed and the draw's
    number. A step's images are `accumulate` micro-batches of each rank. Raises `ValueError` when
    there is nothing to learn from, or a step's images do not divide.
    """
    parts = training.micro_batches(recipe.batch, accumulate, ranks)
    if not pairs:
        raise ValueError("training needs images with pseudo labels; there are none")

    def batch(number: int) -> training.Batch:
        taken = draws.draw(len(pairs), recipe.batch // parts, seed, number)
        examples = [example(pairs[place], read, start, recipe, rng) for place, rng in taken]
        inputs, targets = zip(*examples)
        return torch.stack(inputs), torch.stack(targets)

    return training.prepare(
        start, recipe, seed=seed, device=device, workers=workers,
        groups=start.groups(recipe.lr),
        rate=training.poly(recipe.iterations, recipe.power),
        steps=recipe.iterations, epoch=recipe.log_every, parts=parts,
        batch=batch, loss=_loss, judge=lambda _network, loss: ({}, -loss),
    )  # fmt: skip
