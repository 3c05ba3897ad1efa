"""Every method against the paper's equation, written slowly in plain loops."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from camx.camcore import plugins
from camx.camcore.layers import Layer


def loops(acts):
    n, c, h, w = acts.shape
    return (
        (i, [(k, y, x) for k in range(c) for y in range(h) for x in range(w)], c, h, w)
        for i in range(n)
    )


def gradcam(a, g):
    out = torch.zeros(len(a), *a.shape[2:], dtype=torch.double)
    for n, _, c, h, w in loops(a):
        weights = [
            sum(g[n, k, i, j].item() for i in range(h) for j in range(w)) / (h * w)
            for k in range(c)
        ]
        for i in range(h):
            for j in range(w):
                out[n, i, j] = max(0.0, sum(weights[k] * a[n, k, i, j].item() for k in range(c)))
    return out


def gradcampp(a, g):
    out = torch.zeros(len(a), *a.shape[2:], dtype=torch.double)
    for n, _, c, h, w in loops(a):
        weights = []
        for k in range(c):
            total, weight = sum(a[n, k, i, j].item() for i in range(h) for j in range(w)), 0.0
            for i in range(h):
                for j in range(w):
                    v = g[n, k, i, j].item()
                    denominator = 2 * v**2 + total * v**3
                    if v > 0:  # elsewhere relu(v) is zero
                        weight += v**2 / denominator * v
            weights.append(weight)
        for i in range(h):
            for j in range(w):
                out[n, i, j] = max(0.0, sum(weights[k] * a[n, k, i, j].item() for k in range(c)))
    return out


def layercam(a, g):
    out = torch.zeros(len(a), *a.shape[2:], dtype=torch.double)
    for n, places, *_ in loops(a):
        for k, i, j in places:
            out[n, i, j] += max(0.0, g[n, k, i, j].item()) * a[n, k, i, j].item()
    return out.clamp(min=0)


def layercam_normal(a, g):
    out = torch.zeros(len(a), *a.shape[2:], dtype=torch.double)
    for n, places, *_ in loops(a):
        for k, i, j in places:
            out[n, i, j] += g[n, k, i, j].item() * a[n, k, i, j].item()
    return out.clamp(min=0)


def normgrad(a, g):
    out = torch.zeros(len(a), *a.shape[2:], dtype=torch.double)
    for n, _, c, h, w in loops(a):
        for i in range(h):
            for j in range(w):
                left = math.sqrt(sum(a[n, k, i, j].item() ** 2 for k in range(c)))
                right = math.sqrt(sum(g[n, k, i, j].item() ** 2 for k in range(c)))
                out[n, i, j] = left * right
    return out


def xgradcam(a, g):
    out = torch.zeros(len(a), *a.shape[2:], dtype=torch.double)
    for n, _, c, h, w in loops(a):
        for k in range(c):
            total = sum(a[n, k, i, j].item() for i in range(h) for j in range(w))
            weight = 0.0
            for i in range(h):
                for j in range(w):
                    if total != 0:
                        weight += g[n, k, i, j].item() * a[n, k, i, j].item() / total
            out[n] += weight * a[n, k].double()
    return out.clamp(min=0)


def eigencam(a, _g):
    """The projection on V's first column, of A = U S V^T with a row for each place."""
    out = torch.zeros(len(a), *a.shape[2:], dtype=torch.double)
    for n, _, c, h, w in loops(a):
        matrix = [[a[n, k, i, j].item() for k in range(c)] for i in range(h) for j in range(w)]
        axis = np.linalg.svd(np.array(matrix))[2][0]
        places = [sum(row[k] * axis[k] for k in range(c)) for row in matrix]
        sign = -1 if abs(min(places)) > abs(max(places)) else 1
        out[n] = torch.tensor([max(0.0, sign * value) for value in places]).reshape(h, w)
    return out


def eigengradcam(a, g):
    return eigencam(a * g, g)


def mean_activation(a, _g):
    out = torch.zeros(len(a), *a.shape[2:], dtype=torch.double)
    for n, places, c, *_ in loops(a):
        for k, i, j in places:
            out[n, i, j] += a[n, k, i, j].item() / c
    return out.clamp(min=0)


ORACLES = {
    "gradcam": gradcam,
    "gradcampp": gradcampp,
    "layercam": layercam,
    "layercam-normal": layercam_normal,
    "normgrad": normgrad,
    "hirescam": layercam_normal,
    "xgradcam": xgradcam,
    "eigencam": eigencam,
    "eigengradcam": eigengradcam,
    "mean-activation": mean_activation,
}


def tapped(seed, scale, dtype):
    generator = torch.manual_seed(seed)
    acts = torch.randn(2, 5, 4, 3, generator=generator).clamp(min=0).to(dtype)  # half of them zero
    acts[0, 1] = 0
    grads = (scale * torch.randn(2, 5, 4, 3, generator=generator)).to(dtype)
    return SimpleNamespace(acts=acts, grads=grads, network=nn.Identity(), layer=Layer("S5", ""))


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_equation(name, scale, seed):
    cam = plugins.load("camx.camcore.methods", "cam", name).object
    single, double = tapped(seed, scale, torch.float), tapped(seed, scale, torch.double)
    expected = ORACLES[name](single.acts.double(), single.grads.double())
    assert torch.allclose(cam(double), expected, rtol=1e-5, atol=1e-5 * expected.max().item())
    error = (cam(single).double() - expected).abs().max() / expected.max()
    assert error < 1e-5


@pytest.mark.filterwarnings("ignore::camx.camcore.doubts.Degenerate")
@pytest.mark.parametrize("name", ORACLES)
def test_agrees_where_activations_are_negative_too(name):
    tap = tapped(0, 1.0, torch.double)
    tap.acts = tap.acts - 0.7 * torch.rand(tap.acts.shape, generator=torch.manual_seed(1))
    cam = plugins.load("camx.camcore.methods", "cam", name).object
    expected = ORACLES[name](tap.acts, tap.grads)
    assert torch.allclose(cam(tap), expected, rtol=1e-5, atol=1e-5 * expected.max().item())


@pytest.mark.parametrize("name", ORACLES)
def test_nothing_is_shown_of_nothing(name):
    tap = tapped(0, 1.0, torch.float)
    tap.acts.zero_()
    assert not plugins.load("camx.camcore.methods", "cam", name).object(tap).any()


@pytest.mark.parametrize("name", ORACLES)
def test_leaves_the_tap_alone(name):
    tap = tapped(0, 1.0, torch.float)
    acts, grads = tap.acts.clone(), tap.grads.clone()
    plugins.load("camx.camcore.methods", "cam", name).object(tap)
    assert torch.equal(tap.acts, acts)
    assert torch.equal(tap.grads, grads)


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("sign", [-1.0, 0.0])
def test_finite_where_no_gradient_is_positive(name, sign):
    tap = tapped(1, 1.0, torch.float)
    tap.grads = sign * tap.grads.abs()
    maps = plugins.load("camx.camcore.methods", "cam", name).object(tap)
    assert maps.isfinite().all()
    assert (maps >= 0).all()


@pytest.mark.parametrize("row", plugins.describe("camx.camcore.methods"), ids=lambda row: row[0])
def test_file_is_short_and_cites_its_source(row):
    name, title, source = row
    assert title
    assert source
    path = plugins.load("camx.camcore.methods", "cam", name).module.__file__
    assert len(Path(path).read_text().splitlines()) < 20
