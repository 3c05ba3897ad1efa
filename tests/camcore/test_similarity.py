"""Spearman's correlation against SciPy's, ties and constants included."""

import numpy as np
import pytest
import torch
from scipy import stats

from camx.camcore import similarity


def test_ranks_and_correlation_are_scipy_s():
    rng = np.random.default_rng(0)
    a = rng.integers(6, size=(5, 7, 9)).astype(np.float32)
    b = rng.normal(size=(5, 7, 9)).astype(np.float32)
    b[1] = a[1]
    b[2] = -a[2]
    for row, values in zip(similarity.ranks(torch.from_numpy(a).flatten(1)), a):
        assert row.tolist() == (stats.rankdata(values.ravel()) - 1).tolist()
    expected = [stats.spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b)]
    made = similarity.spearman(torch.from_numpy(a), torch.from_numpy(b))
    assert made.tolist() == pytest.approx(expected)
    assert made[1:3].tolist() == pytest.approx([1, -1])


def test_what_is_constant_is_like_nothing():
    maps = torch.rand(2, 3, 4)
    maps[1] = 0.5
    assert similarity.spearman(maps, torch.rand(2, 3, 4))[1] == 0
    assert similarity.spearman(torch.zeros(2, 3, 4), maps).tolist() == [0, 0]


def test_quantus_agrees():
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 4, 30))
    theirs = quantus.functions.similarity_func.correlation_spearman(a, b, batched=True)
    made = similarity.spearman(torch.from_numpy(a), torch.from_numpy(b))
    assert made.tolist() == pytest.approx(np.asarray(theirs).tolist())
