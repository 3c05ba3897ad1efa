import math

import numpy as np
import pytest
import torch

from camx.camcore import fusion, variants, winsor


def slow(maps, scaled, gamma):
    """Eq. 9 and the maximum, pixel by pixel."""
    size = next(iter(maps.values())).shape
    out = torch.zeros(size)
    for n in range(size[0]):
        for i in range(size[1]):
            for j in range(size[2]):
                values = []
                for name, m in maps.items():
                    x = m[n, i, j].item() / (m[n].max().item() + 1e-8)
                    values.append(math.tanh(gamma * x) if name in scaled else x)
                out[n, i, j] = max(values)
    return out


@pytest.mark.parametrize("gamma", [1, 2, 4])
def test_fusion_is_equation_9_then_the_maximum(gamma):
    torch.manual_seed(0)
    raw = {f"S{s}": torch.rand(2, 4, 5) * s for s in (5, 4, 3, 2)}
    expected = slow(raw, ("S3", "S2", "S1"), gamma)
    fused = fusion.fuse({name: fusion.normalise(m) for name, m in raw.items()}, f"gamma={gamma}")
    assert torch.allclose(fused, expected / (expected.amax((1, 2), keepdim=True) + 1e-8), atol=1e-6)


@pytest.mark.parametrize(
    ("variant", "function"),
    [
        ("scale=none", lambda x: x),
        ("scale=sqrt", math.sqrt),
        ("scale=tan", math.tan),
        ("gamma=1", math.tanh),
        ("gamma=2", lambda x: math.tanh(2 * x)),
    ],
)
def test_scale_functions(variant, function):
    x = torch.linspace(0, 1, 11).reshape(1, 1, 11)
    zero = torch.zeros(1, 1, 11)
    shallow = torch.tensor([function(v) for v in x.flatten().tolist()])
    assert torch.allclose(
        fusion.fuse({"S5": zero, "S3": x}, variant).flatten(), shallow / shallow.max(), atol=1e-6
    )
    assert torch.allclose(
        fusion.fuse({"S5": zero, "S4": x}, variant), x, atol=1e-6
    )  # S5 and S4 are not scaled


def test_the_product_is_refine_cam_s():
    """prod_l m_l, then from its minimum to its maximum; nothing is scaled first."""
    torch.manual_seed(0)
    maps = {f"S{s}": fusion.normalise(torch.rand(2, 4, 5)) for s in (5, 3, 1)}
    fused = fusion.fuse(maps, "fusion=product")
    for n in range(2):
        product = torch.zeros(4, 5)
        for i in range(4):
            for j in range(5):
                product[i, j] = math.prod(m[n, i, j].item() for m in maps.values())
        low, high = product.min().item(), product.max().item()
        assert torch.allclose(fused[n], (product - low) / (high - low), atol=1e-5)
    empty = fusion.fuse(maps | {"S4": torch.zeros(2, 4, 5)}, "fusion=product")
    assert empty.max() == 0


def slow_weights(importances):
    """Of one picture: clipped at the 90th percentile of those above 0, then from 0.1 to 1."""
    positive = [v for v in importances if v > 0]
    if not positive:
        return [0.0] * len(importances)
    ceiling = np.percentile(positive, 90)
    clipped = [min(v, ceiling) for v in importances]
    low, high = min(v for v in clipped if v > 0), max(clipped)
    return [
        0.0 if v <= 0 else 1.0 if high == low else 0.1 + 0.9 * (v - low) / (high - low)
        for v in clipped
    ]


IMPORTANCES = [
    [0.1, 3.0, 0.2, 0.4, 0.3],  # one is far above the others
    [-1.0, 2.0, 0.0, 1.0, -3.0],
    [5.0, -1.0, 0.0, -2.0, -1e-9],  # one alone
    [-1.0, -2.0, 0.0, -3.0, -1.0],
    [1e-9, 2e-9, 3e-9, 4e-9, 5e-9],
]


def test_winsor_s_weights():
    weights = winsor.weights(torch.tensor(IMPORTANCES).T).T
    expected = torch.tensor([slow_weights(row) for row in IMPORTANCES], dtype=torch.float)
    assert torch.allclose(weights, expected, atol=1e-6)
    assert weights.max() == 1
    assert (weights[3] == 0).all()


def test_winsor_is_a_weighted_sum():
    torch.manual_seed(0)
    maps = {f"S{s}": fusion.normalise(torch.rand(5, 4, 5)) for s in (5, 4, 3, 2, 1)}
    importances = dict(zip(maps, torch.tensor(IMPORTANCES).T))
    fused = fusion.fuse(maps, "fusion=winsor", importances)
    for n, row in enumerate(IMPORTANCES):
        total = torch.zeros(4, 5)
        for weight, m in zip(slow_weights(row), maps.values()):
            total += weight * m[n]
        assert torch.allclose(fused[n], total / (total.max() + 1e-8), atol=1e-6)


def test_variants_have_one_name_each():
    assert variants.canonical("S5", "") == ""
    assert variants.canonical("S5+S4", "") == ""
    assert variants.canonical("S5+S4", "gamma=3") == variants.canonical("S5", "gamma=3") == ""
    assert variants.canonical("S3", "gamma=3") == "gamma=3"
    assert variants.canonical("S5+S4+S3", "") == "gamma=2"
    assert variants.canonical("S5+S4+S3", "gamma=2.0") == "gamma=2"
    assert variants.canonical("layer4+layer3", "") == ""
    for layers in ("S5+S4", "S5+S4+S3", "layer4+layer3"):
        assert variants.canonical(layers, "fusion=product") == "fusion=product"
        assert variants.canonical(layers, "fusion=max") == variants.canonical(layers, "")
    assert variants.canonical("S3", "fusion=winsor") == variants.canonical("S5", "fusion=max") == ""
    with pytest.raises(ValueError, match=r"unknown variant 'fusion=mean'; .*fusion=max, fusion=p"):
        variants.canonical("S5+S4", "fusion=mean")
    for bad in ("gamma=0", "gamma=x", "scale=log", "wide", "gamma=-1", "gamma=inf"):
        with pytest.raises(ValueError, match="gamma=NUMBER above 0, scale=none"):
            variants.canonical("S5+S3", bad)


def test_normalisations():
    m = torch.tensor([[[1.0, 3.0], [2.0, 5.0]]])
    assert torch.allclose(fusion.normalise(m, "max"), m / 5)
    assert torch.allclose(fusion.normalise(m, "minmax"), (m - 1) / 4)
    assert fusion.normalise(-m, "max").max() == 0
    with pytest.raises(ValueError, match="minmax"):
        fusion.normalise(m, "sum")


def test_an_empty_map_stays_empty():
    assert fusion.normalise(torch.zeros(1, 2, 2)).max() == 0
    assert fusion.fuse({"S5": torch.zeros(1, 2, 2), "S1": torch.zeros(1, 2, 2)}).max() == 0


def test_bytes_truncate():
    m = torch.tensor([0.0, 0.15, 0.5, 0.999, 1.0, float("nan"), float("inf")])
    assert fusion.to_bytes(m).tolist() == [0, 38, 127, 254, 255, 0, 0]
