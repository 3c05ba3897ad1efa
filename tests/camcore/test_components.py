"""First components: their sign, their shape, and that a row's is its own."""

import pytest
import torch

from camx.camcore import components


def matrix(seed, *shape):
    return torch.randn(*shape, generator=torch.manual_seed(seed))


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 30, 4, 5), (2, 20, 4, 5)])
def test_more_channels_than_places_or_fewer(shape):
    values = matrix(0, *shape)
    for row, projected in zip(values, components.first(values)):
        places = row.flatten(1).T
        expected = places @ torch.linalg.svd(places)[2][0]
        expected = -expected if -expected.min() > expected.max() else expected
        assert torch.allclose(projected.flatten(), expected, atol=1e-5)


@pytest.mark.parametrize("channels", [2, 9])
def test_the_larger_end_is_positive(channels):
    row = torch.ones(channels)[None, :, None, None] * torch.tensor([[1.0, -2.0], [0.5, 0.0]])
    length = channels**0.5
    for values in (row, -row):
        expected = torch.tensor([[[-1.0, 2.0], [-0.5, 0.0]]]) * length
        assert torch.allclose(components.first(values), expected, atol=1e-6)


def test_what_is_not_negative_has_a_component_that_is_not():
    assert (components.first(matrix(0, 3, 6, 4, 4).relu()) >= -1e-6).all()


def test_a_row_s_neighbours_do_not_change_a_bit_of_it():
    values = matrix(0, 5, 40, 7, 7)
    together = components.first(values)
    assert torch.equal(together.flip(0), components.first(values.flip(0)))
    for row in range(5):
        assert torch.equal(components.first(values[row : row + 1])[0], together[row])


def test_a_row_that_is_not_finite_comes_out_nan_alone():
    values = matrix(0, 3, 2, 3, 3)
    values[1, 0, 0, 0] = torch.inf
    projected = components.first(values)
    assert projected[1].isnan().all()
    assert torch.equal(projected[::2], components.first(values[::2]))


def test_edges():
    assert components.first(torch.zeros(0, 4, 3, 2)).shape == (0, 3, 2)
    assert not components.first(torch.zeros(1, 4, 3, 2)).any()
    assert not components.first(torch.zeros(1, 4, 1, 2)).any()
    tiny = components.first(1e-38 * matrix(0, 1, 4, 3, 2))
    assert torch.allclose(1e38 * tiny, components.first(matrix(0, 1, 4, 3, 2)), atol=1e-4)
    assert components.first(matrix(0, 1, 4, 3, 2).half()).dtype == torch.half


def test_a_shallow_layer_costs_no_matrix_of_its_places():
    """Such as 224 x 224 of 64 channels: a Gram matrix of the places would take 20 GB."""
    assert components.first(matrix(0, 1, 64, 224, 224)).shape == (1, 224, 224)
