"""Which images train and which test: as the data set says, drawn at random, or by lists."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluators.datasets import fingerprint
from evaluators.types import Dataset, Sample


def shares(sizes: Sequence[int], total: int) -> list[int]:
    """`total` divided in proportion to `sizes`, whole numbers: the largest remainders are rounded up."""
    exact = np.array(sizes) * total / max(1, sum(sizes))
    found = np.floor(exact).astype(int)
    for at in np.argsort(found - exact, kind="stable")[: total - found.sum()]:
        found[at] += 1
    return found.tolist()


def stratified(samples: Sequence[Sample], train: int, test: int, seed: int) -> tuple[Sample, ...]:
    """`train` and `test` images drawn at random, each group and label in its proportion; in the order given.

    Raises `ValueError` when there are too few images.
    """
    if train + test > len(samples) or train < 1 or test < 1:
        raise ValueError(f"split {train}/{test} needs {train + test} images, each part at least one; there are {len(samples)}")
    strata: dict[tuple[str, int], list[int]] = {}
    for at, sample in enumerate(samples):
        strata.setdefault((sample.group, sample.label), []).append(at)
    rng = np.random.default_rng(seed)
    order = [rng.permutation(strata[key]) for key in sorted(strata)]
    tests = shares([len(o) for o in order], test)
    trains = shares([len(o) - n for o, n in zip(order, tests)], train)
    chosen: dict[int, str] = {}
    for places, n_test, n_train in zip(order, tests, trains):
        chosen |= dict.fromkeys(places[:n_test].tolist(), "test") | dict.fromkeys(places[n_test : n_test + n_train].tolist(), "train")
    return tuple(dataclasses.replace(samples[at], split=chosen[at]) for at in sorted(chosen))


def listed(samples: Sequence[Sample], folder: Path) -> tuple[Sample, ...]:
    """The images that ``train.txt`` and ``test.txt`` of a folder list, a name a line. `ValueError` for a strange or doubled line."""
    by_name = {s.image_id: s for s in samples}
    chosen: dict[str, str] = {}
    for split in ("train", "test"):
        path = folder / f"{split}.txt"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such list; --split FOLDER needs train.txt and test.txt")
        for line in filter(None, map(str.strip, path.read_text().splitlines())):
            name = line if line in by_name else str(Path(line).with_suffix(""))
            if name not in by_name:
                raise ValueError(f"{path}: {line!r} names no image; expected a name such as {samples[0].image_id!r}")
            if name in chosen:
                raise ValueError(f"{path}: {line!r} is listed twice (in {chosen[name]}.txt)")
            chosen[name] = split
    return tuple(dataclasses.replace(s, split=chosen[s.image_id]) for s in samples if s.image_id in chosen)


def apply(dataset: Dataset, split: str, seed: int) -> Dataset:
    """The data set under another split: ``official`` (its own), ``3550/400``, or a folder of lists.

    The fingerprint is that of the result.
    """
    if split == "official":
        return dataset
    counts = re.fullmatch(r"(\d+)/(\d+)", split)
    if counts:
        samples = stratified(dataset.samples, int(counts[1]), int(counts[2]), seed)
    elif Path(split).is_dir():
        samples = listed(dataset.samples, Path(split))
    else:
        raise ValueError(f"split is {split!r}; accepted: official, TRAIN/TEST such as 3550/400, or a folder with train.txt and test.txt")
    return dataclasses.replace(dataset, samples=samples, fingerprint=fingerprint(samples))
