"""Masks, orders and fills against plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import convolve, gaussian_filter

from camx.camcore import occlusion


@given(
    st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.7]), st.sampled_from([1e-6, 1.0, 1e6])
)
def test_above_is_the_paper_s_rule(seed, threshold, scale):
    maps = scale * torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(seed)).double()
    hidden = occlusion.above(maps, threshold)
    for n in range(3):
        highest = max(float(v) for v in maps[n].flatten())
        for y in range(4):
            for x in range(5):
                assert bool(hidden[n, y, x]) == (float(maps[n, y, x]) > threshold * highest)


def test_a_pixel_at_the_threshold_is_not_above_it():
    """Half of the maximum, and a quarter of it, are exact."""
    maps = torch.tensor([[[1.0, 0.5, 0.25, 0.0]], [[8.0, 4.0, 4.5, 2.0]]])
    half, quarter = (occlusion.above(maps, threshold).tolist() for threshold in (0.5, 0.25))
    assert half == [[[True, False, False, False]], [[True, False, True, False]]]
    assert quarter == [[[True, True, False, False]], [[True, True, True, False]]]


def test_an_empty_map_hides_nothing():
    assert not occlusion.above(torch.zeros(2, 3, 3), 0.7).any()
    assert not occlusion.above(torch.zeros(2, 3, 3), 0.0).any()
    assert occlusion.above(
        torch.ones(1, 3, 3), 0.7
    ).all()  # a constant one does, as eq. M / max(M) > 0.7 says


@given(st.integers(0, 2**32 - 1))
def test_order_against_python_s_sort(seed):
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, 4, (2, 3, 4))  # many ties
    ties = np.stack([rng.permutation(12) for _ in range(2)])
    places = occlusion.order(torch.from_numpy(maps), torch.from_numpy(ties))
    for n in range(2):
        flat, first = maps[n].ravel(), {int(pixel): place for place, pixel in enumerate(ties[n])}
        expected = sorted(range(12), key=lambda pixel: (-flat[pixel], first[pixel]))
        for place, pixel in enumerate(expected):
            assert places[n].flatten()[pixel] == place


def test_a_moved_mask_keeps_its_shape_and_area():
    mask = torch.zeros(1, 6, 6, dtype=torch.bool)
    mask[0, 1:3, 2:5] = True
    rolled = occlusion.moved(mask, [(2, 1)])
    expected = torch.zeros(1, 6, 6, dtype=torch.bool)
    expected[0, 3:5, 3:6] = True
    assert rolled.equal(expected)
    assert occlusion.moved(mask, [(5, 4)]).sum() == mask.sum()


def test_blur_is_rise_s():
    """Its kernel, built and applied with SciPy: 11 x 11, sigma 5, zeros outside the image."""
    image = np.random.default_rng(0).normal(size=(2, 20, 24))
    delta = np.zeros((11, 11))
    delta[5, 5] = 1
    expected = np.stack(
        [convolve(channel, gaussian_filter(delta, 5), mode="constant") for channel in image]
    )
    blurred = occlusion.blurred(torch.from_numpy(image)[None], 224)[0].numpy()
    assert np.allclose(blurred, expected)
    assert occlusion.blurred(torch.ones(1, 1, 40, 40), 112)[0, 0, 20, 20] == pytest.approx(
        1, abs=1e-5
    )


def test_what_hides_a_pixel():
    images = torch.rand(2, 3, 8, 8)

    def prepare(pixels):
        return pixels.float() / 255 - 0.5

    assert not occlusion.substitute(images, "mean", prepare, 8).any()
    assert (occlusion.substitute(images, "black", prepare, 8) == -0.5).all()
    assert occlusion.substitute(images, "blur", prepare, 8).shape == images.shape
    with pytest.raises(ValueError, match="unknown fill 'grey'; known: mean"):
        occlusion.substitute(images, "grey", prepare, 8)
