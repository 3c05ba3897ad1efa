import math

import pytest
import torch

from camcore import fusion


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
    maps = {f"S{s}": torch.rand(2, 4, 5) * s for s in (5, 4, 3, 2)}
    assert torch.allclose(fusion.fuse(maps, gamma=gamma), slow(maps, ("S3", "S2", "S1"), gamma), atol=1e-6)


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
