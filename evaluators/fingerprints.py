"""What tells one data set from another."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from camx.evaluators.files import digest, regular
from camx.evaluators.object_masks import ObjectMask
from camx.evaluators.types import Sample, Scene

BLOCK = 1 << 16  # bytes of an image's beginning and end that are read
THREADS, CHUNK = 8, 256  # reading waits for the disk more than it computes


def fingerprint(samples: Iterable[Sample | Scene]) -> str:
    """SHA-256 over every sample's name, image, label, boxes, mask and split, in order.

    A mask counts by its whole content. So does an image of up to 128 KiB; a larger one by its size,
    its first and last 64 KiB and when it was last changed, so that many thousands are looked at in
    seconds: copy such a data set with its times (``cp -a``, ``rsync -a``, ``tar``) to go on with
    its runs. Raises `FileNotFoundError` naming an image or mask that is no file.
    """
    everything = list(samples)
    chunks = [everything[at : at + CHUNK] for at in range(0, len(everything), CHUNK)]
    with ThreadPoolExecutor(THREADS) as pool:
        return digest(pool.map(_lines, chunks))


def listed(samples: Iterable[Sample]) -> str:
    """SHA-256 over every image's name, label, split and size in bytes, in order.

    Of what only trains: a million images' contents are not read for it, so that one changed without
    changing its size is not seen.
    """
    everything = list(samples)
    chunks = [everything[at : at + CHUNK] for at in range(0, len(everything), CHUNK)]
    with ThreadPoolExecutor(THREADS) as pool:
        return digest(pool.map(_sizes, chunks))


def _sizes(samples: Sequence[Sample]) -> bytes:
    sized = ((s, s.path.stat().st_size) for s in samples)
    lines = (f"{s.image_id} {s.label} {s.split} {size}\n" for s, size in sized)
    return "".join(lines).encode("utf-8", "surrogateescape")


def contents(paths: Iterable[Path]) -> str:
    """SHA-256 over files' names and whole contents, in order: of masks, labels, superpixels."""
    return digest(path.name.encode() + path.read_bytes() for path in paths)


def _lines(samples: Sequence[Sample | Scene]) -> bytes:
    return "".join(map(_line, samples)).encode("utf-8", "surrogateescape")


def _line(sample: Sample | Scene) -> str:
    picture, mask = _picture(regular(sample.path, "image")), str(sample.mask)
    if isinstance(sample.mask, Path):
        mask = digest([regular(sample.mask, "mask").read_bytes()])
    elif isinstance(sample.mask, ObjectMask):
        contents = (regular(path, "mask").read_bytes() for path in sample.mask.files)
        mask = digest([sample.mask.rule.encode(), *contents])
    if isinstance(sample, Scene):
        marks = f"{sample.labels} {mask}"
    else:
        marks = f"{sample.label} {sample.boxes} {mask} {sample.split}"
        marks += " difficult" * sample.difficult + f" of {sample.present}" * (sample.present > 1)
    return f"{sample.image_id} {picture} {marks}\n"


def _picture(path: Path) -> str:
    """What an image is told by: its content, or of a large one its ends, size and time."""
    with path.open("rb") as file:
        about = os.fstat(file.fileno())
        if about.st_size <= 2 * BLOCK:
            return digest([file.read()])
        first = file.read(BLOCK)
        file.seek(-BLOCK, os.SEEK_END)
        return f"{about.st_size} {about.st_mtime_ns} {digest([first, file.read()])}"
