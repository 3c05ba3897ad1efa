"""The defect classifier's training: a binary network on image labels alone (LayerCAM paper, section III-C)."""

import dataclasses
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from camcore import views
from camcore.networks import Start
from evaluators import splits, training
from evaluators.types import Sample

CACHE_BYTES = 1 << 30  # decoded images are kept up to this many


@dataclass(frozen=True)
class Recipe:
    """The paper's by default (protocol.md section 3): SGD, lr 0.001, a tenth after epochs 5 and 10, 15 epochs, batch 32.

    balance      none; loss (a class weighs the inverse of its share); sample (both classes drawn equally often)
    flip         mirrored at random, left-right and up-down
    validation   share of the training images held out, by which the best epoch is chosen; 0: by the training loss
    """

    epochs: int = 15
    batch: int = 32
    lr: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 0.0
    decay_at: tuple[int, ...] = (5, 10)
    decay: float = 0.1
    balance: str = "none"
    flip: bool = False
    validation: float = 0.0
    precision: str = "float32"


class Pictures:
    """Images squashed to the network's input, kept once decoded while they fit into a gigabyte."""

    def __init__(self, samples: Sequence[Sample], start: Start) -> None:
        self.samples, self.start = samples, start
        self.kept: dict[int, np.ndarray] = {}
        self.room = CACHE_BYTES // (3 * start.input_size**2)
        self.labels = np.array([s.label for s in samples])

    def one(self, at: int) -> np.ndarray:
        if at in self.kept:
            return self.kept[at]
        found = views.squash(views.read_image(self.samples[at].path), self.start.input_size)
        if len(self.kept) < self.room:
            self.kept[at] = found
        return found

    def batch(self, places: Iterable[int]) -> Tensor:
        """Preprocessed images ``(N,3,s,s)``."""
        return self.start.preprocessing(torch.from_numpy(np.stack([self.one(int(at)) for at in places])))


def order(labels: np.ndarray, balance: str, seed: int, epoch: int) -> np.ndarray:
    """The images of an epoch in the order shown: each once, or, balanced, as many draws with both classes equally likely."""
    rng = np.random.default_rng([seed, 1, epoch])
    if balance != "sample":
        return rng.permutation(len(labels))
    shares = np.bincount(labels, minlength=2)
    chance = 1 / shares[labels]
    return rng.choice(len(labels), len(labels), p=chance / chance.sum())


def flipped(images: Tensor, seed: int, step: int) -> Tensor:
    """Each image mirrored left-right and up-down, each with probability one half."""
    turns = torch.from_numpy(np.random.default_rng([seed, 2, step]).random((2, len(images))) < 0.5)[..., None, None, None]
    images = torch.where(turns[0], images.flip(3), images)
    return torch.where(turns[1], images.flip(2), images)


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """The area under the ROC curve: how often a defective image scores above a good one, ties counting half."""
    positive = labels == 1
    if positive.all() or not positive.any():
        return float("nan")
    ranks = rankdata(scores)[positive]
    count = positive.sum()
    return float((ranks.sum() - count * (count + 1) / 2) / (count * (len(labels) - count)))


def measure(module: nn.Module, pictures: Pictures, batch: int, device: str, workers: int = 1) -> dict[str, float]:
    """Loss, accuracy and ROC-AUC (shares of 1) of the network on every picture."""
    places = [range(at, min(at + batch, len(pictures.samples))) for at in range(0, len(pictures.samples), batch)]
    found = []
    with ThreadPoolExecutor(workers) as pool, torch.no_grad():
        for images in training.ahead(pool, pictures.batch, places, 2 * workers):
            found.append(module(images.to(device)).float().cpu())
    logits, labels = torch.cat(found), torch.from_numpy(pictures.labels)
    return {
        "loss": float(cross_entropy(logits, labels)),
        "accuracy": float((logits.argmax(1) == labels).float().mean()),
        "auc": auc((logits[:, 1] - logits[:, 0]).numpy(), pictures.labels),
    }


def hold_out(samples: Sequence[Sample], share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Training images and, stratified, the `share` of them kept for validation."""
    held = round(share * len(samples))
    if not held:
        return list(samples), []
    drawn = splits.stratified(samples, len(samples) - held, held, seed)
    parts = {split: [dataclasses.replace(s, split="train") for s in drawn if s.split == split] for split in ("train", "test")}
    return parts["train"], parts["test"]


def job(start: Start, samples: Sequence[Sample], recipe: Recipe, seed: int, device: str, workers: int) -> training.Job:
    """The training of `start` on the samples of split ``train``; those of ``test`` are only reported.

    Raises `ValueError` when there is nothing to learn from.
    """
    learn, held = hold_out([s for s in samples if s.split == "train"], recipe.validation, seed)
    if held and len({s.label for s in held}) < 2:
        raise ValueError(f"validation {recipe.validation:g} holds out {len(held)} images, of one kind; expected good and defective ones")
    if len({s.label for s in learn}) < 2:
        raise ValueError(f"training needs good and defective images; the train split has {len(learn)}, of one kind")
    shown, judged = Pictures(learn, start), {"val": held, "test": [s for s in samples if s.split == "test"]}
    parts = {name: Pictures(chosen, start) for name, chosen in judged.items() if chosen}
    module = start.module.to(device)
    steps = -(-len(learn) // recipe.batch)
    weight = None
    if recipe.balance == "loss":
        weight = torch.tensor(len(learn) / (2 * np.bincount(shown.labels)), dtype=torch.float32, device=device)

    def batch(step: int) -> training.Batch:
        epoch, at = divmod(step, steps)
        places = order(shown.labels, recipe.balance, seed, epoch)[at * recipe.batch : (at + 1) * recipe.batch]
        images = shown.batch(places)
        return flipped(images, seed, step) if recipe.flip else images, torch.from_numpy(shown.labels[places])

    def judge(network: nn.Module, loss: float) -> tuple[training.Row, float]:
        found = {name: measure(network, pictures, recipe.batch, device, workers) for name, pictures in parts.items()}
        row = {f"{name}_{key}": value for name, values in found.items() for key, value in values.items()}
        return row, row["val_auc"] if "val" in found else -loss

    return training.Job(
        module,
        [{"params": list(module.parameters()), "lr": recipe.lr}],
        recipe.epochs * steps,
        steps,
        batch,
        partial(_loss, module, weight),
        training.multistep(steps, recipe.decay_at, recipe.decay),
        judge,
        recipe.momentum,
        recipe.weight_decay,
        precision=recipe.precision,
        device=device,
        seed=seed,
        workers=workers,
        preprocessing=start.preprocessing.name,
    )


def _loss(module: nn.Module, weight: Tensor | None, images: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(module(images).float(), labels, weight)
