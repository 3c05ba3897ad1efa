"""The defect classifier's training on image labels alone (LayerCAM paper, section III-C)."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from camx.camcore import views
from camx.camcore.image_files import read_image
from camx.camcore.networks import Start
from camx.evaluators import draws, splits, training
from camx.evaluators.ranks import ALONE, Ranks
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


def step_of(places: np.ndarray, at: int, batch: int, parts: int) -> np.ndarray:
    """An epoch's images of its step number `at`; the last one's are filled up to equal parts.

    By the epoch's first ones, as torch's samplers do.
    """
    of_step = places[at * batch : (at + 1) * batch]
    return np.append(of_step, np.resize(places, -len(of_step) % parts))


def mirrorings(seed: int, step: int, count: int) -> np.ndarray:
    """Whether each of a step's images is mirrored left-right, and up-down: ``(2,count) bool``."""
    return draws.generator(seed, draws.Stream.AUGMENT, step).random((2, count)) < 0.5


def flipped(images: Tensor, mirrored: np.ndarray) -> Tensor:
    """Images ``(N,3,s,s)`` mirrored as ``(2,N) bool`` says; see `mirrorings`."""
    sideways, upright = torch.from_numpy(mirrored)[..., None, None, None]
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


def batches(
    pictures: Pictures, recipe: Recipe, seed: int, count: int
) -> Callable[[int], training.Batch]:
    """What gives a micro-batch by its number, of `count` that a step is made of."""
    epoch = -(-len(pictures.samples) // recipe.batch)

    def batch(number: int) -> training.Batch:
        step, part = divmod(number, count)
        turn, at = divmod(step, epoch)
        ordered = order(pictures.labels, recipe.balance, seed, turn)
        of_step = step_of(ordered, at, recipe.batch, count)
        places = np.split(of_step, count)[part]
        images, labels = pictures.batch(places), torch.from_numpy(pictures.labels[places])
        if recipe.flip:
            mirrored = mirrorings(seed, step, len(of_step))
            images = flipped(images, np.split(mirrored, count, axis=1)[part])
        return images, labels

    return batch


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
    """The training of `start` on samples of split ``train``; those of ``test`` are reported.

    A step's images are `accumulate` micro-batches of each rank. Raises `ValueError` when there is
    nothing to learn from, or a step's images do not divide.
    """
    count = training.micro_batches(recipe.batch, accumulate, ranks)
    by_split = {split: [s for s in samples if s.split == split] for split in ("train", "test")}
    train, validation = hold_out(by_split["train"], recipe.validation, seed)
    pictures = Pictures(train, start)
    parts = {"val": validation, "test": by_split["test"]}
    albums = {name: Pictures(part, start) for name, part in parts.items() if part}
    epoch = -(-len(train) // recipe.batch)
    weight = _class_weights(pictures.labels, device) if recipe.balance == "loss" else None

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
        steps=recipe.epochs * epoch, epoch=epoch, parts=count,
        batch=batches(pictures, recipe, seed, count), loss=loss,
        judge=training.judged_by_first(judge, ranks),
    )  # fmt: skip
