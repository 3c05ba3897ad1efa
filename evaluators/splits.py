"""Which images train and which test: as the data set says, drawn at random, or by lists."""

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from camx.evaluators.files import read_lines
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample


def shares(sizes: Sequence[int], total: int) -> list[int]:
    """`total` in proportion to `sizes`: largest remainders rounded up, the first of equals."""
    exact = np.array(sizes) * total / max(1, sum(sizes))
    parts = np.floor(exact).astype(int)
    for place in np.argsort(parts - exact, kind="stable")[: total - parts.sum()]:
        parts[place] += 1
    return parts.tolist()


def stratified(samples: Sequence[Sample], train: int, test: int, seed: int) -> tuple[Sample, ...]:
    """Drawn at random, each group and label in its proportion. `ValueError` for too few images."""
    if train + test > len(samples) or train < 1 or test < 1:
        needs = f"{train + test} images, each part at least one"
        raise ValueError(f"split {train}/{test} needs {needs}; there are {len(samples)}")
    strata: dict[tuple[str, int], list[int]] = {}
    for place, sample in enumerate(samples):
        strata.setdefault((sample.group, sample.label), []).append(place)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(strata[key]).tolist() for key in sorted(strata)]
    tests = shares([len(order) for order in orders], test)
    trains = shares([len(order) - tested for order, tested in zip(orders, tests)], train)
    splits: dict[int, str] = {}
    for order, tested, trained in zip(orders, tests, trains):
        splits |= dict.fromkeys(order[:tested], "test")
        splits |= dict.fromkeys(order[tested : tested + trained], "train")
    return tuple(dataclasses.replace(samples[p], split=splits[p]) for p in sorted(splits))


def halves(samples: Sequence[Sample], root: Path) -> tuple[Sample, ...]:
    """Of a data set without a split: half of each group and label trains, half tests, seed 0.

    Of an odd number one more trains. `ValueError` naming `root` for fewer than two images.
    """
    half = len(samples) // 2
    if not half:
        what = f"{len(samples)} images to be halved, one half to train and one to test"
        raise ValueError(f"{root}: {what}; expected at least two")
    return stratified(samples, len(samples) - half, half, 0)


def by_lists(samples: Sequence[Sample], folder: Path) -> tuple[Sample, ...]:
    """The images that ``train.txt`` and ``test.txt`` list. `ValueError` for a bad line."""
    names, splits = {s.image_id for s in samples}, dict[str, str]()
    for split in ("train", "test"):
        path = folder / f"{split}.txt"
        for _, line in read_lines(path):
            name = line if line in names else os.path.splitext(line)[0]
            if name not in names:
                expected = f"expected a name such as {samples[0].image_id!r}"
                raise ValueError(f"{path}: {line!r} names no image; {expected}")
            if name in splits:
                raise ValueError(f"{path}: {line!r} is listed twice (in {splits[name]}.txt)")
            splits[name] = split
    listed = [s for s in samples if s.image_id in splits]
    return tuple(dataclasses.replace(s, split=splits[s.image_id]) for s in listed)


def apply(dataset: Dataset[Sample], split: str, seed: int) -> Dataset[Sample]:
    """The data set under another split: ``official`` (its own), ``3550/400``, or a folder of lists.

    The fingerprint is that of the result.
    """
    if split == "official":
        return dataset
    if counts := re.fullmatch(r"(\d+)/(\d+)", split):
        samples = stratified(dataset.samples, int(counts[1]), int(counts[2]), seed)
    elif Path(split).is_dir():
        samples = by_lists(dataset.samples, Path(split))
    else:
        forms = "TRAIN/TEST such as 3550/400, or a folder with train.txt and test.txt"
        raise ValueError(f"split is {split!r}; accepted: official, {forms}")
    return dataclasses.replace(dataset, samples=samples, fingerprint=fingerprint(samples))
