"""Against plain loops: the variance within a feature map, and Grad-CAM++'s weights."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from camx.camcore import maps, variances


@pytest.fixture
def tap():
    random = torch.Generator().manual_seed(3)
    acts = torch.rand(2, 3, 4, 5, generator=random)
    grads = torch.randn(2, 3, 4, 5, generator=random)
    grads[1, 2] = -1  # no weight of Grad-CAM++, one for all of Grad-CAM
    acts[0, 1] = 0
    return SimpleNamespace(acts=acts, grads=grads)


def loops(acts, grads):
    """alpha ReLU(g) of one feature map, eq. 4 and 5 as they stand, each place for itself."""
    weights = [[0.0] * len(grads[0]) for _ in grads]
    total = sum(sum(row) for row in acts)
    for i, row in enumerate(grads):
        for j, g in enumerate(row):
            if g > 0:
                alpha = g**2 / (2 * g**2 + total * g**3)
                weights[i][j] = alpha * g
    return weights


def spread(values):
    """The population's variance and the mean square, of a feature map."""
    flat = [value for row in values for value in row]
    mean = sum(flat) / len(flat)
    variance = sum((value - mean) ** 2 for value in flat) / len(flat)
    return variance, sum(value**2 for value in flat) / len(flat)


@pytest.mark.parametrize("method", variances.WEIGHTS)
def test_plain_loops(tap, method):
    variance, square = variances.spread(variances.WEIGHTS[method](tap))
    assert variance.shape == square.shape == (2, 3)
    for n in range(2):
        for k in range(3):
            acts, grads = tap.acts[n, k].tolist(), tap.grads[n, k].tolist()
            values = grads if method == "gradcam" else loops(acts, grads)
            expected = spread(values)
            assert math.isclose(variance[n, k], expected[0], rel_tol=1e-5, abs_tol=1e-12)
            assert math.isclose(square[n, k], expected[1], rel_tol=1e-5, abs_tol=1e-12)


def test_weights_are_those_of_the_method(tap):
    weights = variances.weighted(tap).sum((2, 3))
    expected = torch.einsum("nk,nkij->nij", weights, tap.acts).relu()
    made = maps.methods(["gradcampp"])["gradcampp"].cam(tap)
    torch.testing.assert_close(made, expected)


@pytest.mark.parametrize("value", [0.1, -1 / 3, 1e-12, 0])
def test_of_one_number_it_is_exactly_0(value):
    variance, square = variances.spread(torch.full((1, 1, 7, 9), value))
    assert variance.item() == 0
    assert np.isclose(square.item(), value**2, rtol=1e-6)


def test_its_share_does_not_move_with_the_scale(tap):
    first, second = (variances.spread(scale * tap.grads) for scale in (1, 1e-3))
    assert not np.allclose(first[0], second[0])
    np.testing.assert_allclose(first[0] / first[1], second[0] / second[1], rtol=1e-5)
    assert (first[0] <= first[1]).all()
