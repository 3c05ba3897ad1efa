"""The training of Table V's networks on the one class of each image (LayerCAM paper, III-A)."""

import dataclasses
import inspect
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from camx.camcore import views
from camx.camcore.image_files import read_image
from camx.camcore.networks import Start
from camx.evaluators import draws, splits, training
from camx.evaluators.ranks import ALONE, Ranks
from camx.evaluators.tasks.localize.recipe import Recipe
from camx.evaluators.types import Sample


def hold_out(
    samples: Sequence[Sample], share: float, seed: int
) -> tuple[list[Sample], list[Sample]]:
    """Images to learn from, and to judge by: those of split ``val``, or a stratified `share`."""
    train = [sample for sample in samples if sample.split == "train"]
    val = [sample for sample in samples if sample.split == "val"]
    count = round(share * len(train))
    if val or not count:
        return train, val
    draw = splits.stratified(train, len(train) - count, count, seed)
    parts = {"train": train, "test": val}
    for split in parts:
        parts[split] = [dataclasses.replace(s, split="train") for s in draw if s.split == split]
    return parts["train"], parts["test"]


def cut(path: Path, side: int, size: int, flip: bool, rng: np.random.Generator) -> np.ndarray:
    """``(3,size,size) uint8``: a random square of the image squashed to `side`, maybe mirrored."""
    pixels = views.squash(read_image(path), side)
    y, x = (int(v) for v in rng.integers(side - size + 1, size=2))
    pixels = pixels[:, y : y + size, x : x + size]
    return np.ascontiguousarray(pixels[..., ::-1] if flip and rng.random() < 0.5 else pixels)


def summed(told: bool, module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The cross entropy, averaged over images; the sum of those of several logits.

    A network that is `told` the labels may give such: ACoL's two branches.
    """
    if not told:
        return cross_entropy(module(images).float(), labels)
    logits = module(images, labels)
    several = logits if isinstance(logits, tuple) else (logits,)
    return torch.stack([cross_entropy(each.float(), labels) for each in several]).sum()


def measure(
    module: nn.Module,
    start: Start,
    samples: Sequence[Sample],
    batch: int,
    device: str,
    workers: int,
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """Loss and top-1 accuracy (a share of 1) on whole images squashed to the input's square.

    Of several ranks each looks at every so many-th image.
    """
    samples, count = samples[ranks.rank :: ranks.count], len(samples)

    def show(places: range) -> Tensor:
        images = (read_image(samples[place].path) for place in places)
        pixels = np.stack([views.squash(image, start.input_size) for image in images])
        return start.preprocessing(torch.from_numpy(pixels))

    sums = torch.zeros(2, dtype=torch.double)
    if samples:
        paths = [sample.path for sample in samples]
        labels = torch.tensor([sample.label for sample in samples])
        logits = training.answers(module, show, paths, batch, device, workers).double()
        sums[0] = cross_entropy(logits, labels, reduction="sum")
        sums[1] = (logits.argmax(1) == labels).sum()
    loss, hits = (ranks.total(sums) / count).tolist()
    return {"loss": loss, "top1": hits}


def _sides(start: Start, recipe: Recipe, train: Sequence[Sample]) -> tuple[int, int]:
    """Of the network's input, and of what it is cut from. `ValueError` for nothing to learn."""
    if (classes := len({sample.label for sample in train})) < 2:
        what = f"of {len(train)} to learn from all are of {classes}"
        raise ValueError(f"training needs images of two classes; {what}")
    side = recipe.resize or round(start.input_size * 8 / 7)
    if side < start.input_size:
        what = f"the network's input is {start.input_size} pixels"
        raise ValueError(f"resize is {side}, but {what}; expected as many, or 0")
    return start.input_size, side


def job(
    start: Start,
    samples: Sequence[Sample],
    recipe: Recipe,
    *,
    seed: int,
    device: str,
    workers: int,
    accumulate: int = 1,
    ranks: Ranks = ALONE,
) -> training.Job:
    """The training of `start` on samples of split ``train``, judged by those of ``val``.

    Without any, by a share of the others (`hold_out`). A step's images are `accumulate`
    micro-batches of each rank. Raises `ValueError` when there is nothing to learn from, when images
    are squashed to less than the network's input, and when a step's do not divide.
    """
    train, val = hold_out(samples, recipe.validation, seed)
    size, side = _sides(start, recipe, train)
    parts = training.micro_batches(recipe.batch, accumulate, ranks)
    epoch = recipe.epoch_steps or -(-len(train) // recipe.batch)
    labels = torch.tensor([sample.label for sample in train])

    def batch(number: int) -> training.Batch:
        taken = draws.draw(len(train), recipe.batch // parts, seed, number)
        images = [cut(train[place].path, side, size, recipe.flip, rng) for place, rng in taken]
        inputs = start.preprocessing(torch.from_numpy(np.stack(images)))
        return inputs, labels[[place for place, _ in taken]]

    def judge(network: nn.Module, loss: float) -> tuple[training.Row, float]:
        if not val:
            return {}, -loss
        values = measure(network, start, val, recipe.batch // parts, device, workers, ranks)
        return {f"val_{key}": value for key, value in values.items()}, values["top1"]

    told = "labels" in inspect.signature(start.module.forward).parameters
    rates = {"new_rate": recipe.new_rate, "bias_rate": recipe.bias_rate}
    return training.prepare(
        start, recipe, seed=seed, device=device, workers=workers, nesterov=recipe.nesterov,
        groups=start.groups(recipe.lr, bias_decay=recipe.bias_decay, **rates),
        rate=training.multistep(epoch, recipe.decay_at, recipe.decay),
        steps=recipe.epochs * epoch, epoch=epoch, parts=parts,
        batch=batch, loss=partial(summed, told), judge=judge,
    )  # fmt: skip
