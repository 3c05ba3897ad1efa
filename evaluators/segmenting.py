"""The loops of segmentation: which labels train, predicted masks on disk, and masks against the truth."""

import hashlib
import json
import tarfile
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from camcore import views
from camcore.networks import Network
from camcore.segment import predict
from evaluators import indices, segment
from evaluators.records import Writer
from evaluators.types import Cell, Dataset, Scene

TRUTHS = ("SegmentationClass", "SegmentationClassAug")  # the devkit's and SBD's, whichever a split reads
TEST_FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"  # where the test server looks


def pairs(labels: Path, dataset: Dataset[Scene]) -> list[tuple[Path, Path]]:
    """``(image, pseudo label)`` of every scene that `labels` has ``<image_id>.png`` for.

    Raises `ValueError` when there is none, and when a label is, copies or lies beside a true mask: real masks must not
    reach training by accident.
    """
    if not labels.is_dir():
        raise FileNotFoundError(f"{labels}: no such folder of pseudo labels; `camx pseudo` makes one")
    truths = {scene.mask.parent.resolve() for scene in dataset.samples if scene.mask}
    if labels.resolve() in truths or labels.resolve().name in TRUTHS:
        raise ValueError(f"{labels}: these are the data set's true masks, not pseudo labels; `camx pseudo` makes some")
    found = []
    for scene in dataset.samples:
        path = labels / f"{scene.image_id}.png"
        if path.is_file():
            if scene.mask and (path.samefile(scene.mask) or path.read_bytes() == scene.mask.read_bytes()):
                raise ValueError(f"{path}: this is the true mask of {scene.image_id}, not a pseudo label")
            found.append((scene.path, path))
    if not found:
        raise ValueError(f"{labels}: no label <image>.png of the {len(dataset.samples)} images of {dataset.name}")
    return found


def fingerprint(chosen: Iterable[tuple[Path, Path]]) -> str:
    """SHA-256 over the labels' names and contents, in order."""
    digest = hashlib.sha256()
    for _, label in chosen:
        digest.update(label.name.encode() + label.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Shown:
    """How an image is shown to be segmented: scales and mirror averaged; the long side, and what it is padded to."""

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    long_side: int = 0
    pad_to: int = 0


def probabilities(network: Network, shown: Shown, scene: Scene) -> tuple[np.ndarray, torch.Tensor]:
    """``(image (H,W,3) uint8, probabilities (K,H,W))``."""
    image = np.asarray(views.read_image(scene.path))
    device = next(network.module.parameters()).device
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy()).to(device)
    return image, predict(network.module, pixels, network.prepare, shown.scales, shown.long_side, shown.pad_to, shown.flip)


def write_masks(
    network: Network, shown: Shown, scenes: Sequence[Scene], folders: Sequence[Path], refine: Callable | None, tick: Callable[[], Any]
) -> int:
    """Write each scene's mask as palette PNG, and a refined one into the second folder; those there already are kept.

    `refine` is ``(image, probabilities (K,H,W)) -> probabilities``. Returns how many images were segmented.
    """
    done = 0
    for scene in scenes:
        paths = [folder / f"{scene.image_id}.png" for folder in folders]
        if not all(path.is_file() for path in paths):
            image, scores = probabilities(network, shown, scene)
            indices.write_mask(paths[0], scores.argmax(0).to(torch.uint8).cpu().numpy())
            if refine:
                indices.write_mask(paths[1], refine(image, scores.cpu().numpy()).argmax(0).astype(np.uint8))
            done += 1
        tick()
    return done


def archive(masks: Path, path: Path) -> int:
    """Pack a folder's masks as the test server wants them (``results/VOC2012/Segmentation/comp6_test_cls/*.png``); returns how many."""
    found = sorted(masks.glob("*.png"))
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}.tmp")
    with tarfile.open(temporary, "w:gz") as file:
        for mask in found:
            file.add(mask, f"{TEST_FOLDER}/{mask.name}")
    temporary.rename(path)
    return len(found)


def describe(folder: Path, about: dict[str, Any]) -> None:
    """Say beside masks what made them."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{segment.ABOUT}.tmp"
    temporary.write_text(json.dumps(about, indent=2) + "\n")
    temporary.rename(folder / segment.ABOUT)


def measure(masks: Path, cell: Cell, classes: int, scenes: Sequence[Scene], missing: Any, writer: Writer, tick: Callable[[], Any]) -> None:
    """Compare each scene's mask in a folder with the true one. Raises `FileNotFoundError` or `ValueError` naming the image."""
    for scene in scenes:
        path = masks / f"{scene.image_id}.png"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: missing; every image needs a mask")
        if scene.mask is None:
            raise ValueError(f"{scene.path}: no true mask to compare with; choose another --split")
        truth, predicted = (partial(indices.read_mask, classes=classes)(p) for p in (scene.mask, path))
        writer.add([segment.score(scene, cell, predicted, truth, classes)])
        tick()
