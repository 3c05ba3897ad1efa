"""The multi-label classifier's training, on the classes that an image holds (protocol.md section 4, "Classifier")."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import multilabel_soft_margin_loss

from camcore import views
from camcore.networks import Start
from evaluators import training


class Labelled(Protocol):
    """An image with the classes it holds, indices from 0."""

    @property
    def image_id(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def labels(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class Recipe:
    """By default that of the authors' OAA, of the same time: 30,000 steps of 5 images there are 15 epochs here.

    lr        of weights; biases learn at twice it, new layers at ten times those
    decay_at  share of the training after which the rate is multiplied by `decay`
    side      pixels of the image's short side, and of the square cut from it at random; 0: the network's own input
    flip      mirrored left-right at random
    """

    epochs: int = 15
    batch: int = 5
    lr: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 0.0005
    decay_at: float = 2 / 3
    decay: float = 0.1
    side: int = 0
    flip: bool = True
    precision: str = "float32"


def targets(scenes: Sequence[Labelled], classes: int) -> np.ndarray:
    """``(N,classes) bool``: which classes each image holds. `ValueError` for a label that is no class."""
    found = np.zeros((len(scenes), classes), dtype=bool)
    for row, scene in zip(found, scenes):
        wrong = [label for label in scene.labels if not 0 <= label < classes]
        if wrong:
            raise ValueError(f"{scene.path}: label {wrong[0]} is not one of the {classes} classes, 0..{classes - 1}")
        row[list(scene.labels)] = True
    return found


def crop(path: Path, side: int, flip: bool, rng: np.random.Generator) -> np.ndarray:
    """``(3,side,side) uint8``: a square at a random place of the image resized to that short side, mirrored at random if asked."""
    image = views.read_image(path)
    scale = side / min(image.size)
    width, height = (max(side, round(length * scale)) for length in image.size)
    x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    found = np.asarray(image.resize((width, height)).crop((x, y, x + side, y + side))).transpose(2, 0, 1)
    return np.ascontiguousarray(found[..., ::-1] if flip and rng.random() < 0.5 else found)


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """The mean of the precisions at which a ranking by ``scores (N,)`` finds each of the ``truth (N,) bool``, ties at once.

    Not a number when nothing is true.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # the last of each group of ties
    hits = np.cumsum(truth[order])[ends]
    return float((np.diff(hits, prepend=0) * hits / (ends + 1)).sum() / hits[-1]) if hits[-1] else float("nan")


def mean_average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Over the classes that occur of ``scores (N,K)`` and ``truth (N,K) bool``; not a number if none does."""
    found = [average_precision(s, t) for s, t in zip(scores.T, truth.T) if t.any()]
    return float(np.mean(found)) if found else float("nan")


def measure(
    module: nn.Module, start: Start, scenes: Sequence[Labelled], truth: np.ndarray, batch: int, device: str, workers: int
) -> dict[str, float]:
    """Loss and multi-label mAP (a share of 1) of the network on whole images, squashed to its input's square."""
    places = [range(at, min(at + batch, len(scenes))) for at in range(0, len(scenes), batch)]

    def show(part: range) -> Tensor:
        images = np.stack([views.squash(views.read_image(scenes[at].path), start.input_size) for at in part])
        return start.preprocessing(torch.from_numpy(images))

    with ThreadPoolExecutor(workers) as pool, torch.no_grad():
        logits = torch.cat([module(x.to(device)).float().cpu() for x in training.ahead(pool, show, places, 2 * workers)])
    loss = multilabel_soft_margin_loss(logits, torch.from_numpy(truth).float())
    return {"loss": float(loss), "map": mean_average_precision(logits.numpy(), truth)}


def job(
    start: Start, learn: Sequence[Labelled], val: Sequence[Labelled], recipe: Recipe, seed: int, device: str, workers: int
) -> training.Job:
    """The training of `start` on the classes of the images `learn`; those of `val` are only reported.

    Raises `ValueError` when there is nothing to learn from, or a label is no class of the network.
    """
    if not any(scene.labels for scene in learn):
        raise ValueError(f"training needs images with labels; of {len(learn)} none has one")
    module = start.module.to(device)
    classes = len(list(module.parameters())[-1])
    truth, judged = targets(learn, classes), targets(val, classes)
    side, epoch = recipe.side or start.input_size, -(-len(learn) // recipe.batch)
    steps = recipe.epochs * epoch

    def batch(step: int) -> training.Batch:
        draws = range(step * recipe.batch, (step + 1) * recipe.batch)
        places = training.shuffled(len(learn), seed, draws)
        images = [crop(learn[at].path, side, recipe.flip, np.random.default_rng([seed, 2, draw])) for draw, at in zip(draws, places)]
        return start.preprocessing(torch.from_numpy(np.stack(images))), torch.from_numpy(truth[places]).float()

    def judge(network: nn.Module, loss: float) -> tuple[training.Row, float]:
        found = measure(network, start, val, judged, recipe.batch, device, workers) if val else {}
        return {f"val_{key}": value for key, value in found.items()}, -loss

    return training.Job(
        module,
        start.groups(recipe.lr),
        steps,
        epoch,
        batch,
        partial(_loss, module),
        training.multistep(steps, (recipe.decay_at,), recipe.decay),
        judge,
        recipe.momentum,
        recipe.weight_decay,
        precision=recipe.precision,
        device=device,
        seed=seed,
        workers=workers,
        preprocessing=start.preprocessing.name,
    )


def _loss(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return multilabel_soft_margin_loss(module(images).float(), labels)
