"""Do other packages measure the same? The largest difference of each measure, on random maps.

    python scripts/compare_measures.py
    python scripts/compare_measures.py --maps 500 --seed 1

Maps are of distinct values, where nothing is a matter of order, and then of four levels, as
low-resolution maps are: of equals some packages take the order of the array, and a hit if any hits.
Faults of theirs that can be shown are printed after. A package that is not installed is named, and
the others are compared (`pip install 'camx[bench]'`).
"""

import argparse
import contextlib
import io
from collections.abc import Callable
from importlib import import_module, metadata
from typing import Any

import numpy as np

from camx.evaluators.judged import Map
from camx.evaluators.measures import energy, imagenet_segmentation, pointing, rank

SIZE = (48, 40)  # width and height
Case = tuple[np.ndarray, np.ndarray]  # a map (H,W) from 0 to 1, and which pixels are the object's


def cases(n: int, seed: int, levels: int = 0) -> list[Case]:
    """Maps of distinct values, or of so many levels, and a rectangle's or scattered masks."""
    rng, listed = np.random.default_rng(seed), []
    shape = SIZE[::-1]
    for i in range(n):
        values = rng.permutation(shape[0] * shape[1]).reshape(shape) / (shape[0] * shape[1] - 1)
        mask = rng.random(shape) < rng.uniform(0.02, 0.6)
        if i % 2:
            y, x = (int(rng.integers(side - 5)) for side in shape)
            mask = np.zeros(shape, bool)
            mask[y : y + 5 + i % 20, x : x + 5 + i % 15] = True
        if levels:
            values = np.minimum(np.floor(values * levels), levels - 1) / (levels - 1)
        listed.append((values, mask))
    return listed


def pointed(case: Case) -> float:
    """camx's pointing game without its tolerance: what is less than a pixel away is the object."""
    values, mask = case
    return pointing.hit(values, np.where(mask, 0, np.inf))


def ranked(case: Case) -> float:
    levels = np.unique(case[0], return_inverse=True)[1].ravel()
    every, on = np.bincount(levels), levels[case[1].ravel()]
    return rank.accuracy(every, np.bincount(on, minlength=len(every)))


def massed(case: Case) -> float:
    return energy.share(Map(case[0], SIZE), case[1], None)


def precise(case: Case) -> tuple[float, float]:
    values, mask = case
    ends = values.min(), values.max()
    return imagenet_segmentation.precisions(values.ravel(), mask.ravel(), ends)


def quantus_of(quantus: Any, name: str) -> Callable[[Case], float]:
    """A measure of quantus by its class, of one map."""
    measure = getattr(quantus, name)(normalise=False, disable_warnings=True)

    def of(case: Case) -> float:
        heatmap, mask = (part[None, None] for part in case)
        return float(measure.evaluate_batch(a_batch=heatmap, s_batch=mask)[0])

    return of


def worst(ours: Callable[[Case], Any], theirs: Callable[[Case], Any], listed: list[Case]) -> float:
    return max(float(np.abs(np.subtract(ours(c), theirs(c))).max()) for c in listed)


def of_quantus(quantus: Any, n: int, seed: int) -> None:
    pairs = (("PointingGame", pointed), ("RelevanceRankAccuracy", ranked),
             ("RelevanceMassAccuracy", massed))  # fmt: skip
    equals = cases(n, seed, levels=4)
    for name, ours in pairs:
        theirs = quantus_of(quantus, name)
        print(f"  {name}: distinct values {worst(ours, theirs, cases(n, seed)):.2g}, ", end="")
        print(f"of four levels {worst(ours, theirs, equals):.2g}")
    empty = equals[0][0], np.zeros_like(equals[0][1])
    hit = quantus_of(quantus, "PointingGame")(empty)
    print(f"  fault: of an empty mask its PointingGame says {hit:g} (1 is a hit), not NaN")
    theirs, flat = quantus_of(quantus, "RelevanceRankAccuracy"), np.ones(SIZE[::-1])
    ends = np.zeros((2, *flat.shape), bool)
    ends[0, :5], ends[1, -5:] = True, True
    first, last = (theirs((flat, mask)) for mask in ends)
    measure = quantus.AttributionLocalisation(weighted=True, normalise=False, disable_warnings=True)
    half = np.zeros((8, 1, *flat.shape), bool)
    half[:, :, : flat.shape[0] // 2] = True
    for images in (4, 8):
        heatmaps = np.broadcast_to(flat, (images, 1, *flat.shape))
        score = measure.evaluate_batch(x_batch=heatmaps, a_batch=heatmaps, s_batch=half[:images])[0]
        print(
            f"  fault: weighted by size, its AttributionLocalisation of one image is {score:g} in a"
        )
        print(f"  batch of {images}; its share by the box's is 0.25")
    print(f"  fault: of a constant map its rank accuracy is {first:g} for the first five rows, and")
    print(f"  {last:g} for the last; {ranked((flat, ends[0])):g} is what chance gives")


def of_sklearn(sklearn: Any, n: int, seed: int) -> None:
    score = sklearn.average_precision_score

    def theirs(case: Case) -> tuple[float, float]:
        values, mask = (part.ravel() for part in case)
        values = (values - values.min()) / (values.max() - values.min())
        both = np.concatenate([~mask, mask]), np.concatenate([1 - values, values])
        return score(*both), score(mask, values)

    print(
        f"  average_precision_score (AP, mAP): {worst(precise, theirs, cases(n, seed)):.2g}, ",
        end="",
    )
    print(f"of four levels {worst(precise, theirs, cases(n, seed, levels=4)):.2g}")


PACKAGES = {"quantus": ("quantus", of_quantus), "scikit-learn": ("sklearn.metrics", of_sklearn)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--maps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for package, (module, compare) in PACKAGES.items():
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # what it greets with
                imported = import_module(module)
        except ImportError as error:
            print(f"{package}: not compared, {error}")
            continue
        print(f"{package} {metadata.version(package)}, the largest difference of shares:")
        compare(imported, options.maps, options.seed)


if __name__ == "__main__":
    main()
