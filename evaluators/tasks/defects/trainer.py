"""The defect classifier's training on image labels alone (LayerCAM paper, section III-C)."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from camx.camcore import views
from camx.camcore.image_files import read_image
from camx.camcore.networks import Start
from camx.evaluators import draws, splits, training
from camx.evaluators.tasks.defects.recipe import Recipe
from camx.evaluators.types import Sample

CACHE_BYTES = 1 << 30  # decoded images are kept up to this many


class Pictures:
    """Images squashed to the network's input, kept once decoded while they fit into a gigabyte."""

    def __init__(self, samples: Sequence[Sample], start: Start) -> None:
        self.samples, self.start = samples, start
        self.cache: dict[int, np.ndarray] = {}
        self.room = CACHE_BYTES // (3 * start.input_size**2)
        self.labels = np.array([sample.label for sample in samples])

    def one(self, place: int) -> np.ndarray:
        """Picture number `place` as bytes ``(3,s,s)``."""
        if place in self.cache:
            return self.cache[place]
        pixels = views.squash(read_image(self.samples[place].path), self.start.input_size)
        if len(self.cache) < self.room:
            self.cache[place] = pixels
        return pixels

    def batch(self, places: Iterable[int]) -> Tensor:
        """Preprocessed images ``(N,3,s,s)``."""
        pixels = np.stack([self.one(int(place)) for place in places])
        return self.start.preprocessing(torch.from_numpy(pixels))


def order(labels: np.ndarray, balance: str, seed: int, epoch: int) -> np.ndarray:
    """An epoch's images in order: each once, or, balanced, draws of both classes alike."""
    if balance != "sample":
        return draws.order(len(labels), seed, epoch)
    chance = 1 / np.bincount(labels, minlength=2)[labels]
    rng = draws.generator(seed, draws.Stream.SHUFFLE, epoch)
    return rng.choice(len(labels), len(labels), p=chance / chance.sum())


def flipped(images: Tensor, seed: int, step: int) -> Tensor:
    """Each image mirrored left-right and up-down, each with probability one half."""
    rng = draws.generator(seed, draws.Stream.AUGMENT, step)
    sideways, upright = torch.from_numpy(rng.random((2, len(images), 1, 1, 1)) < 0.5)
    images = torch.where(sideways, images.flip(3), images)
    return torch.where(upright, images.flip(2), images)


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """The area under the ROC curve: how often a defective image scores higher, ties half."""
    positive = labels == 1
    if positive.all() or not positive.any():
        return float("nan")
    ranks, count = rankdata(scores)[positive], positive.sum()
    return float((ranks.sum() - count * (count + 1) / 2) / (count * (len(labels) - count)))


def measure(
    module: nn.Module, pictures: Pictures, batch: int, device: str, workers: int = 1
) -> dict[str, float]:
    """Loss, accuracy and ROC-AUC (shares of 1) of the network on every picture."""
    paths, labels = [s.path for s in pictures.samples], torch.from_numpy(pictures.labels)
    logits = training.answers(module, pictures.batch, paths, batch, device, workers)
    return {
        "loss": float(cross_entropy(logits, labels)),
        "accuracy": float((logits.argmax(1) == labels).float().mean()),
        "auc": auc((logits[:, 1] - logits[:, 0]).numpy(), pictures.labels),
    }


def hold_out(
    samples: Sequence[Sample], share: float, seed: int
) -> tuple[list[Sample], list[Sample]]:
    """Training images and, stratified, the `share` of them kept for validation.

    Raises `ValueError` when either are all good or all defective.
    """
    count = round(share * len(samples))
    parts = {"train": list(samples), "test": []}
    if count:
        draw = splits.stratified(samples, len(samples) - count, count, seed)
        for split in parts:
            of_split = [sample for sample in draw if sample.split == split]
            parts[split] = [dataclasses.replace(sample, split="train") for sample in of_split]
    train, validation = parts.values()
    if validation and len({sample.label for sample in validation}) < 2:
        what = f"validation {share:g} holds out {len(validation)} images, of one kind"
        raise ValueError(f"{what}; expected good and defective ones")
    if len({sample.label for sample in train}) < 2:
        what = f"the train split has {len(train)}, of one kind"
        raise ValueError(f"training needs good and defective images; {what}")
    return train, validation


def _class_weights(labels: np.ndarray, device: str) -> Tensor:
    """The inverse of each class's share, one if both are equal."""
    weights = len(labels) / (2 * np.bincount(labels))
    return torch.tensor(weights, dtype=torch.float32, device=device)


def job(
    start: Start, samples: Sequence[Sample], recipe: Recipe, *, seed: int, device: str, workers: int
) -> training.Job:
    """The training of `start` on samples of split ``train``; those of ``test`` are reported.

    Raises `ValueError` when there is nothing to learn from.
    """
    by_split = {split: [s for s in samples if s.split == split] for split in ("train", "test")}
    train, validation = hold_out(by_split["train"], recipe.validation, seed)
    pictures = Pictures(train, start)
    parts = {"val": validation, "test": by_split["test"]}
    albums = {name: Pictures(part, start) for name, part in parts.items() if part}
    epoch = -(-len(train) // recipe.batch)
    weight = _class_weights(pictures.labels, device) if recipe.balance == "loss" else None

    def batch(step: int) -> training.Batch:
        number, at = divmod(step, epoch)
        begin = at * recipe.batch
        places = order(pictures.labels, recipe.balance, seed, number)[begin : begin + recipe.batch]
        images = pictures.batch(places)
        labels = torch.from_numpy(pictures.labels[places])
        return flipped(images, seed, step) if recipe.flip else images, labels

    def loss(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(module(images).float(), labels, weight)

    def judge(network: nn.Module, loss: float) -> tuple[training.Row, float]:
        row = {}
        for name, album in albums.items():
            values = measure(network, album, recipe.batch, device, workers)
            row.update({f"{name}_{key}": value for key, value in values.items()})
        return row, row.get("val_auc", -loss)

    return training.prepare(
        start, recipe, seed=seed, device=device, workers=workers,
        groups=[{"params": list(start.module.parameters()), "lr": recipe.lr}],
        rate=training.multistep(epoch, recipe.decay_at, recipe.decay),
        steps=recipe.epochs * epoch, epoch=epoch,
        batch=batch, loss=loss, judge=judge,
    )  # fmt: skip
