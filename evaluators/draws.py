"""What is drawn at random of data: the same of a training's step, whenever it is asked for."""

from collections.abc import Sequence
from enum import IntEnum
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Stream(IntEnum):
    """What is drawn at random of the data; the network's own draws are torch's, see `_step`."""

    SHUFFLE = 1  # of an epoch
    AUGMENT = 2  # of a step, or of an image by its number in the endless row of epochs


def generator(seed: int, stream: Stream, at: int) -> np.random.Generator:
    """The random numbers of a stream at one place, the same whenever they are asked for."""
    return np.random.default_rng([seed, stream, at])


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Each of `count` things once, in the order of an epoch."""
    return generator(seed, Stream.SHUFFLE, epoch).permutation(count)


def shuffled(count: int, seed: int, draws: range) -> list[int]:
    """What the `draws` of an endless row of epochs take of `count` things."""
    orders = {epoch: order(count, seed, epoch) for epoch in {draw // count for draw in draws}}
    return [int(orders[draw // count][draw % count]) for draw in draws]


def draw(count: int, size: int, seed: int, step: int) -> list[tuple[int, np.random.Generator]]:
    """The `size` of `count` things that a step takes, each with the random numbers that alter it.

    Batches are of one size: one may end an epoch and begin the next.
    """
    draws = range(step * size, (step + 1) * size)
    generators = (generator(seed, Stream.AUGMENT, at) for at in draws)
    return list(zip(shuffled(count, seed, draws), generators))


def pick(samples: Sequence[T], sample: int | None, limit: int | None, seed: int) -> Sequence[T]:
    """`sample` of them drawn at random, in the data set's order, then the first `limit`."""
    if sample and sample < len(samples):
        places = np.random.default_rng(seed).choice(len(samples), sample, replace=False)
        samples = [samples[place] for place in sorted(places)]
    return samples[:limit]
