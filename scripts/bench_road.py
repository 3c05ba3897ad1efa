"""ROAD's fill beside the sparse direct solution, in one process: seconds, ratio, difference.

    python scripts/bench_road.py [--threads 2] [--rounds 3] [--side 224] [--peer]

Masks are those of smooth maps, the highest pixels and the lowest, at ROAD's percentiles. The direct
way is SciPy's `spsolve` on a matrix that is put together with whole arrays; ``--peer`` takes
pytorch-grad-cam's imputer instead, which puts it together as that package does. Rounds alternate,
and medians are printed.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from camx.camcore import road

PERCENTILES = (10, 30, 50, 70, 90)


def direct(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """``image (3,h,w)`` filled by the sparse direct solution of all equations."""
    height, width = removed.shape
    y, x = np.nonzero(removed)
    number = np.full(removed.shape, -1)
    number[y, x] = here = np.arange(len(y))
    right, total, entries = np.zeros((len(y), 3)), np.zeros(len(y)), []
    for dy, dx in ((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)):
        weight = 1 / 6 if dy * dx == 0 else 1 / 12
        inside = (y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
        total += weight * inside
        at, row, column = here[inside], y[inside] + dy, x[inside] + dx
        there = number[row, column]
        left = there < 0
        right[at[left]] += weight * image[:, row[left], column[left]].T
        entries.append((np.full((~left).sum(), -weight), at[~left], there[~left]))
    entries.append((total, here, here))
    values, rows, columns = (np.concatenate(parts) for parts in zip(*entries))
    filled = image.astype(float)
    filled[:, removed] = spsolve(coo_matrix((values, (rows, columns))).tocsc(), right).T
    return filled


def peer(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """The same by pytorch-grad-cam's imputer, without noise."""
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer

    kept = torch.from_numpy(~removed).float()
    return NoisyLinearImputer(noise=0)(torch.from_numpy(image), kept).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--peer", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    rng, side = np.random.default_rng(0), asked.side
    image = (8 * gaussian_filter(rng.normal(size=(3, side, side)), (0, 3, 3))).astype(np.float32)
    values = gaussian_filter(rng.random((side, side)), side / 7)
    theirs = peer if asked.peer else direct
    road.fill(torch.from_numpy(image)[None], torch.from_numpy(values > values.mean())[None])
    totals: list[tuple[float, float]] = []
    for percentile in PERCENTILES:
        for name, ranked in (("highest", values), ("lowest", -values)):
            removed = ranked >= np.percentile(ranked, percentile)
            mine, other = [], []
            for _ in range(asked.rounds):
                begun = time.perf_counter()
                made = road.fill(torch.from_numpy(image)[None], torch.from_numpy(removed)[None])
                mine.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                expected = theirs(image, removed)
                other.append(time.perf_counter() - begun)
            pair = statistics.median(mine), statistics.median(other)
            totals.append(pair)
            apart = np.abs(made[0].numpy() - expected).max()
            words = f"{removed.mean():4.0%} {name:>7}: {pair[0]:.3f} s, direct {pair[1]:.3f} s"
            print(f"{words}, {pair[1] / pair[0]:.1f} x, apart {apart:.1e}", flush=True)
    mine, other = (sum(parts) for parts in zip(*totals))
    print(f"together: {mine:.2f} s, direct {other:.2f} s, {other / mine:.1f} x")


if __name__ == "__main__":
    main()
