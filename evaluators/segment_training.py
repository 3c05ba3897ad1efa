"""Training of a segmentation network on pseudo labels (LayerCAM paper, section III-D; protocol.md section 4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate, pad

from camcore import views
from camcore.networks import Start
from evaluators import training

IGNORE = 255
Pair = tuple[Path, Path]
Read = Callable[[Path], np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """The paper's by default, as PengtaoJiang/OAA writes it down in examples/seg.

    lr        of weights; biases and new layers have more (the network's `groups`), and it falls as (1 - step/iterations)**power
    crop      side in pixels of the square shown, cut at random from an image resized by one of `scales`
    mirror    left-right at random
    log_every steps to a line of the log and to a saving of the weights
    """

    iterations: int = 16000
    batch: int = 10
    lr: float = 0.001
    power: float = 0.9
    momentum: float = 0.9
    weight_decay: float = 0.0005
    crop: int = 321
    scales: tuple[float, ...] = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
    mirror: bool = True
    log_every: int = 1000
    precision: str = "float32"


def read_pair(pair: Pair, read: Read, classes: int) -> tuple[Image.Image, Image.Image]:
    """An image and its labels. `ValueError` if they differ in size, or for a label that is neither a class nor 255."""
    image, labels = views.read_image(pair[0]), read(pair[1])
    if labels.shape != image.size[::-1]:
        found = " x ".join(map(str, labels.shape[::-1]))
        raise ValueError(f"{pair[1]}: {found} pixels, but its image {pair[0]} has {image.width} x {image.height}")
    wrong = labels[(labels >= classes) & (labels != IGNORE)]
    if wrong.size:
        raise ValueError(f"{pair[1]}: a pixel is {wrong[0]}; accepted: 0..{classes - 1}, and {IGNORE} to ignore it")
    return image, Image.fromarray(labels)


def cut(image: Image.Image, labels: Image.Image, recipe: Recipe, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, bool]:
    """``(h,w,3)`` and ``(h,w) uint8``, at most a crop a side, of the pair at a random scale and place; and whether to mirror it."""
    scale = float(rng.choice(recipe.scales))
    size = max(1, int(image.width * scale)), max(1, int(image.height * scale))
    x, y = (int(rng.integers(max(0, side - recipe.crop) + 1)) for side in size)
    box = (x, y, min(size[0], x + recipe.crop), min(size[1], y + recipe.crop))
    image = image.resize(size, Image.Resampling.BILINEAR).crop(box)
    labels = labels.resize(size, Image.Resampling.NEAREST).crop(box)
    return np.asarray(image), np.asarray(labels), recipe.mirror and bool(rng.random() < 0.5)


def example(pair: Pair, read: Read, start: Start, classes: int, recipe: Recipe, rng: np.random.Generator) -> training.Batch:
    """One crop as the network takes it ``(3,crop,crop)`` and its labels ``(crop,crop) uint8``.

    What an image is too small for is filled at its right and bottom with the mean (zero once it is subtracted) and 255.
    """
    image, labels, mirror = cut(*read_pair(pair, read, classes), recipe, rng)
    inputs = start.preprocessing(torch.tensor(image).permute(2, 0, 1)[None])[0]
    room = (0, recipe.crop - labels.shape[1], 0, recipe.crop - labels.shape[0])
    inputs, targets = pad(inputs, room), pad(torch.tensor(labels), room, value=IGNORE)
    return (inputs.flip(-1), targets.flip(-1)) if mirror else (inputs, targets)


def pixel_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of ``(N,K,H,W)`` and ``(N,H,W)``: over each image's pixels that are not 255, then over the images.

    Caffe's, which averages an image at a time; an image with no such pixel counts zero.
    """
    each = cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none").sum((1, 2))
    return (each / (labels != IGNORE).sum((1, 2)).clamp(min=1)).mean()


def _loss(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    logits = interpolate(module(images).float(), labels.shape[-2:], mode="bilinear", align_corners=True)
    return pixel_loss(logits, labels.long())


def job(start: Start, pairs: Sequence[Pair], read: Read, recipe: Recipe, seed: int, device: str, workers: int) -> training.Job:
    """The training of `start` on pairs of an image and its pseudo labels, which ``read(path)`` gives as ``(H,W) uint8``.

    Every draw of an image, its scale, place and mirroring follow from the seed and the draw's number. Raises `ValueError`
    when there is nothing to learn from.
    """
    if not pairs:
        raise ValueError("training needs images with pseudo labels; there are none")
    module = start.module.to(device)
    classes = len(list(module.parameters())[-1])

    def batch(step: int) -> training.Batch:
        draws = range(step * recipe.batch, (step + 1) * recipe.batch)
        examples = [
            example(pairs[at], read, start, classes, recipe, np.random.default_rng([seed, 2, draw]))
            for draw, at in zip(draws, training.shuffled(len(pairs), seed, draws))
        ]
        inputs, targets = zip(*examples)
        return torch.stack(inputs), torch.stack(targets)

    return training.Job(
        module,
        start.groups(recipe.lr),
        recipe.iterations,
        recipe.log_every,
        batch,
        partial(_loss, module),
        training.poly(recipe.iterations, recipe.power),
        lambda _network, loss: ({}, -loss),
        recipe.momentum,
        recipe.weight_decay,
        precision=recipe.precision,
        device=device,
        seed=seed,
        workers=workers,
        preprocessing=start.preprocessing.name,
    )
