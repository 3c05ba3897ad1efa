"""The multi-label classifier's training, on the classes that an image holds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import multilabel_soft_margin_loss

from camx.camcore import views
from camx.camcore.image_files import read_image
from camx.camcore.networks import Start
from camx.evaluators import draws, training
from camx.evaluators.ranks import ALONE, Ranks
from camx.evaluators.tasks.pseudo.recipe import Recipe
from camx.evaluators.types import Scene


def targets(scenes: Sequence[Scene], classes: int) -> np.ndarray:
    """``(N,classes) bool``: the classes of each image. `ValueError` for what is no class."""
    truth = np.zeros((len(scenes), classes), dtype=bool)
    for row, scene in zip(truth, scenes):
        for label in scene.labels:
            if not 0 <= label < classes:
                what = f"label {label} is not one of the {classes} classes, 0..{classes - 1}"
                raise ValueError(f"{scene.path}: {what}")
            row[label] = True
    return truth


def crop(path: Path, side: int, flip: bool, rng: np.random.Generator) -> np.ndarray:
    """``(3,side,side) uint8``: a random square of the image at that short side, maybe mirrored."""
    image = read_image(path)
    scale = side / min(image.size)
    width, height = (max(side, round(length * scale)) for length in image.size)
    x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    square = image.resize((width, height)).crop((x, y, x + side, y + side))
    pixels = np.asarray(square).transpose(2, 0, 1)
    return np.ascontiguousarray(pixels[..., ::-1] if flip and rng.random() < 0.5 else pixels)


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """The mean precision at which a ranking by ``scores (N,)`` finds each true one, ties at once.

    Not a number when nothing is true.
    """
    if not truth.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(truth[order])[last_of_ties]
    return float((np.diff(hits, prepend=0) * hits / (last_of_ties + 1)).sum() / hits[-1])


def mean_average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Over the classes that occur of ``scores (N,K)`` and ``truth (N,K)``; NaN if none does."""
    precisions = [average_precision(s, t) for s, t in zip(scores.T, truth.T) if t.any()]
    return float(np.mean(precisions)) if precisions else float("nan")


def measure(
    module: nn.Module, start: Start, scenes: Sequence[Scene], batch: int, device: str, workers: int
) -> dict[str, float]:
    """Loss and multi-label mAP (a share of 1) on whole images squashed to the input's square."""

    def show(places: range) -> Tensor:
        images = (read_image(scenes[place].path) for place in places)
        pixels = np.stack([views.squash(image, start.input_size) for image in images])
        return start.preprocessing(torch.from_numpy(pixels))

    truth = targets(scenes, start.classes)
    paths = [scene.path for scene in scenes]
    logits = training.answers(module, show, paths, batch, device, workers)
    loss = multilabel_soft_margin_loss(logits, torch.from_numpy(truth).float())
    return {"loss": float(loss), "map": mean_average_precision(logits.numpy(), truth)}


def _loss(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return multilabel_soft_margin_loss(module(images).float(), labels)


def job(
    start: Start,
    train: Sequence[Scene],
    validation: Sequence[Scene],
    recipe: Recipe,
    *,
    seed: int,
    device: str,
    workers: int,
    accumulate: int = 1,
    ranks: Ranks = ALONE,
) -> training.Job:
    """The training of `start` on the classes of images; those of `validation` are reported.

    A step's images are `accumulate` micro-batches of each rank. Raises `ValueError` when there is
    nothing to learn from, a label is no class of the network, or a step's images do not divide.
    """
    parts = training.micro_batches(recipe.batch, accumulate, ranks)
    if not any(scene.labels for scene in train):
        raise ValueError(f"training needs images with labels; of {len(train)} none has one")
    truth = targets(train, start.classes)
    targets(validation, start.classes)  # a wrong label is refused now, not after an epoch
    side = recipe.side or start.input_size
    epoch = -(-len(train) // recipe.batch)
    steps = recipe.epochs * epoch

    def batch(number: int) -> training.Batch:
        taken = draws.draw(len(train), recipe.batch // parts, seed, number)
        images = [crop(train[place].path, side, recipe.flip, rng) for place, rng in taken]
        labels = torch.from_numpy(truth[[place for place, _ in taken]]).float()
        return start.preprocessing(torch.from_numpy(np.stack(images))), labels

    def judge(network: nn.Module, loss: float) -> tuple[training.Row, float]:
        if not validation:
            return {}, -loss
        values = measure(network, start, validation, recipe.batch, device, workers)
        return {f"val_{key}": value for key, value in values.items()}, -loss

    return training.prepare(
        start, recipe, seed=seed, device=device, workers=workers,
        groups=start.groups(recipe.lr),
        rate=training.multistep(steps, (recipe.decay_at,), recipe.decay),
        steps=steps, epoch=epoch, parts=parts,
        batch=batch, loss=_loss, judge=training.judged_by_first(judge, ranks),
    )  # fmt: skip
