"""What tells one data set from another."""

from collections.abc import Iterable
from pathlib import Path

from camx.evaluators.files import digest
from camx.evaluators.types import Sample, Scene


def fingerprint(samples: Iterable[Sample | Scene]) -> str:
    """SHA-256 over every sample's name, size in bytes, label, boxes, mask and split, in order."""
    return digest(_line(sample).encode() for sample in samples)


def _line(sample: Sample | Scene) -> str:
    mask = sample.mask.stat().st_size if isinstance(sample.mask, Path) else sample.mask
    if isinstance(sample, Scene):
        marks = f"{sample.labels} {mask}"
    else:
        further = f" {mask} {sample.split}" if sample.split or sample.mask else ""
        marks = f"{sample.label} {sample.boxes}{further}"
    return f"{sample.image_id} {sample.path.stat().st_size} {marks}\n"
