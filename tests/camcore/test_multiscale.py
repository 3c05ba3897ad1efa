"""Prediction at several scales, padded and mirrored: every pixel is put back in its place."""

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from camx.camcore import multiscale, networks, plugins


class Eighth(nn.Module):
    """Logits at an eighth: the picture's own values at every eighth pixel, which aligned corners
    put back in place.
    """

    def forward(self, images):
        assert all(side % 8 == 1 for side in images.shape[-2:])
        self.seen = images
        return images[..., ::8, ::8]


def ramp(height, width):
    """A picture whose colours change evenly, so that resizing anywhere inside keeps it."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y, (x + y) // 2]).to(torch.uint8)


def test_prediction_puts_pixels_back_in_place():
    image, module = ramp(60, 90), Eighth()

    def prepare(x):
        return x.float() / 40

    expected = prepare(image[None])[0].softmax(0)
    for options in (
        {},
        {"pad_to": 97},
        {"flip": True},
        {"scales": (1.0, 1.5)},
        {"long_side": 180, "pad_to": 185},
    ):
        answer = multiscale.predict(module, image, prepare, **options)
        assert answer.shape == (3, 60, 90)
        assert torch.allclose(answer.sum(0), torch.ones(60, 90), atol=1e-5)
        inside = (slice(None), slice(8, -12), slice(8, -12))
        assert torch.allclose(answer[inside], expected[inside], atol=0.02), options


def test_prediction_pads_with_the_mean_at_right_and_bottom():
    image, module = torch.full((3, 30, 50), 200, dtype=torch.uint8), Eighth()
    multiscale.predict(module, image, lambda x: x.float() - 100, long_side=100, pad_to=113)
    assert module.seen.shape == (1, 3, 113, 113)
    assert bool((module.seen[..., :60, :100] == 100).all())
    assert bool((module.seen[..., 60:, :] == 0).all())
    assert bool((module.seen[..., :, 100:] == 0).all())


def test_mirroring_makes_prediction_symmetric():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 1, stride=8)).eval()
    image = torch.randint(0, 256, (3, 41, 57), dtype=torch.uint8)

    def prepare(x):
        return x.float() / 100

    once, mirrored = (
        multiscale.predict(module, i, prepare, flip=True) for i in (image, image.flip(-1))
    )
    assert torch.allclose(once, mirrored.flip(-1), atol=1e-5)


@pytest.mark.parametrize("name", plugins.names(networks.SEGMENTERS))
def test_a_segmenter_says_how_it_is_tested(name):
    test = networks.spec(name, networks.SEGMENTERS).test
    assert test
    answer = multiscale.predict(Eighth(), ramp(30, 45), lambda x: x.float(), **test)
    assert answer.shape == (3, 30, 45)


def test_the_loss_s_upsampling_is_the_prediction_s():
    """Corner cells lie on corner pixels: 41 cells of stride 8 span 321 pixels."""
    cells = torch.arange(41.0).expand(1, 1, 41, 41)
    assert torch.allclose(
        interpolate(cells, (321, 321), mode="bilinear", align_corners=True)[0, 0, 0, ::8],
        torch.arange(41.0),
    )
