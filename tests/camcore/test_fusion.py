import math

import pytest
import torch

from camx.camcore import fusion, variants


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


def test_variants_have_one_name_each():
    assert variants.canonical("S5", "") == ""
    assert variants.canonical("S5+S4", "") == ""
    assert variants.canonical("S5+S4", "gamma=3") == variants.canonical("S5", "gamma=3") == ""
    assert variants.canonical("S3", "gamma=3") == "gamma=3"
    assert variants.canonical("S5+S4+S3", "") == "gamma=2"
    assert variants.canonical("S5+S4+S3", "gamma=2.0") == "gamma=2"
    assert variants.canonical("layer4+layer3", "") == ""
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
