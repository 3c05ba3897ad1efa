"""A segmentation network's masks on disk, and the pseudo labels, never true masks, it learns."""

import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from camx.camcore.faults import NotFinite
from camx.camcore.image_files import read_image
from camx.camcore.multiscale import predict
from camx.camcore.networks import Network
from camx.evaluators import fingerprints, stopping, voc_masks
from camx.evaluators.files import listing, write_whole
from camx.evaluators.tasks.segment.recipe import Shown
from camx.evaluators.types import Dataset, Scene

TRUTHS = ("SegmentationClass", "SegmentationClassAug")  # the devkit's and SBD's masks
TEST_FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"  # where the test server looks


def pairs(labels: Path, dataset: Dataset[Scene]) -> list[tuple[Path, Path]]:
    """``(image, pseudo label)`` of every scene that `labels` has ``<image_id>.png`` for.

    Raises `ValueError` when there is none, and when a label is, copies or lies beside a true mask:
    real masks must not reach training by accident.
    """
    if not labels.is_dir():
        what = "no such folder of pseudo labels; `camx pseudo` makes one"
        raise FileNotFoundError(f"{labels}: {what}")
    truths = {scene.mask.parent.resolve() for scene in dataset.samples if scene.mask}
    if labels.resolve() in truths or labels.resolve().name in TRUTHS:
        what = "these are the data set's true masks, not pseudo labels; `camx pseudo` makes some"
        raise ValueError(f"{labels}: {what}")
    labelled = []
    for scene in dataset.samples:
        path, mask = voc_masks.of_image(labels, scene.image_id), scene.mask
        if path:
            if mask and (path.samefile(mask) or path.read_bytes() == mask.read_bytes()):
                what = f"the true mask of {scene.image_id}, not a pseudo label"
                raise ValueError(f"{path}: this is {what}")
            labelled.append((scene.path, path))
    if not labelled:
        count = len(dataset.samples)
        raise ValueError(f"{labels}: no label <image>.png of the {count} images of {dataset.name}")
    return labelled


def fingerprint(labels: Iterable[Path]) -> str:
    """SHA-256 over the labels' names and contents, in order."""
    return fingerprints.contents(labels)


def probabilities(network: Network, shown: Shown, scene: Scene) -> tuple[np.ndarray, torch.Tensor]:
    """``(image (H,W,3) uint8, probabilities (K,H,W))``. `ValueError` naming the image for none."""
    image = np.asarray(read_image(scene.path))
    device = next(network.module.parameters()).device
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy()).to(device)
    how = shown.scales, shown.long_side, shown.pad_to, shown.flip
    try:
        return image, predict(network.module, pixels, network.prepare, *how)
    except NotFinite as error:
        fault = replace(error.faults[0], network=network.name)
        raise ValueError(f"image {scene.image_id} ({scene.path}): {fault}") from None


def write_masks(
    network: Network,
    shown: Shown,
    scenes: Sequence[Scene],
    folders: Sequence[Path],
    refine: Callable[[np.ndarray, np.ndarray], np.ndarray] | None,
    tick: Callable[[], Any],
) -> int:
    """Write each scene's mask as palette PNG, a refined one into the second folder, if not there.

    `refine` is ``(image, probabilities (K,H,W)) -> probabilities``. Returns how many it segmented.
    """
    segmented = 0
    for scene in stopping.until_asked(scenes):
        paths = [folder / f"{scene.image_id}.png" for folder in folders]
        if not all(path.is_file() for path in paths):
            image, scores = probabilities(network, shown, scene)
            voc_masks.write_mask(paths[0], scores.argmax(0).to(torch.uint8).cpu().numpy())
            if refine:
                refined = refine(image, scores.cpu().numpy())
                voc_masks.write_mask(paths[1], refined.argmax(0).astype(np.uint8))
            segmented += 1
        tick()
    return segmented


def archive(masks: Path, path: Path) -> int:
    """Pack a folder's masks as the test server wants them; returns how many there are."""
    pngs = listing(masks, (".png",), "mask")

    def write(temporary: Path) -> None:
        with tarfile.open(temporary, "w:gz") as file:
            for mask in pngs:
                file.add(mask, f"{TEST_FOLDER}/{mask.name}")

    write_whole(path, write)
    return len(pngs)
