"""What a mask marks must be what its author drew: areas of a disc whose pixels are counted here."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from camx.evaluators.tasks.defects.drawn import drawn

SIDE = 120
Y, X = np.mgrid[:SIDE, :SIDE]
DISC = (X - 60) ** 2 + (Y - 55) ** 2 <= 30**2
CORNER = (X < 12) & (Y < 9)


def stored(pixels, name="PNG", mode=None, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image = image.convert(mode) if mode else image
    file = BytesIO()
    image.save(file, name, **options)
    return Image.open(file)


def differing(image, truth=DISC):
    """The pixels that are marked otherwise, as a share of the area."""
    return (drawn(image) != truth).sum() / truth.sum()


GREY = DISC * np.uint8(255)


def smooth():
    """The disc drawn four times as large and averaged down."""
    y, x = (np.mgrid[: 4 * SIDE, : 4 * SIDE] + 0.5) / 4 - 0.5
    large = ((x - 60) ** 2 + (y - 55) ** 2 <= 30**2).astype(float)
    return large.reshape(SIDE, 4, SIDE, 4).mean((1, 3))


@pytest.mark.parametrize("quality", [20, 50, 75, 95])
@pytest.mark.parametrize("white", [255, 200, 120])
def test_a_jpeg(quality, white):
    image = stored(DISC * np.uint8(white), "JPEG", quality=quality)
    assert (np.asarray(image) > 0).sum() > 1.05 * DISC.sum()  # what counting all would give
    assert differing(image) < 0.02


def test_a_colour_jpeg():
    red = np.stack([GREY, 0 * GREY, 0 * GREY], -1)
    assert differing(stored(red, "JPEG", quality=80)) < 0.02


@pytest.mark.parametrize("scale", [255, 65535])
def test_an_antialiased_mask(scale):
    values = np.round(smooth() * scale).astype(np.uint8 if scale == 255 else np.uint16)
    image = stored(values)
    assert (values > 0).sum() > 1.03 * DISC.sum()
    assert differing(image) < 0.01
    assert (drawn(image) == (smooth() >= 0.5)).all()


def test_an_antialiased_mask_of_floats():
    assert (drawn(stored(smooth().astype(np.float32), "TIFF")) == (smooth() >= 0.5)).all()


def test_a_blurred_mask():
    blurred = cv2.GaussianBlur(GREY, (0, 0), 2)
    assert differing(stored(blurred)) < 0.02


def test_a_jpeg_saved_again_without_loss():
    noisy = np.asarray(stored(GREY, "JPEG", quality=60))
    assert differing(stored(noisy)) < 0.02


def test_antialiased_alpha():
    pixels = np.full((SIDE, SIDE, 4), 255, np.uint8)
    pixels[..., 3] = np.round(smooth() * 255)
    assert (drawn(stored(pixels)) == (smooth() >= 0.5)).all()


def test_antialiased_grey_in_a_palette():
    image = stored(np.round(smooth() * 255).astype(np.uint8), mode="P")
    assert image.mode == "P"
    assert differing(image) < 0.01


@pytest.mark.parametrize("white", [1, 2, 127, 128, 255])
def test_two_values(white):
    assert differing(stored(DISC * np.uint8(white))) == 0


def test_half_of_the_maximum_is_marked():
    column = np.tile(np.arange(256, dtype=np.uint8), (2, 1))  # 256 values: none is a region
    assert drawn(stored(column)).sum() == 2 * 128  # 128 and more of 255


@pytest.mark.parametrize(
    "indices", [(1, 2), (3, 1), (1, 255), (20, 255), (85, 170), (60, 255)], ids=str
)
def test_indices(indices):
    """Instances or classes, also beside a bright value: all of them are marked."""
    mask = DISC * np.uint8(indices[0]) + CORNER * np.uint8(indices[1])
    assert differing(stored(mask), DISC | CORNER) == 0


def test_thin_instances_of_dark_indices():
    lines = np.where(X % 4 == 0, X // 4, 0).astype(np.uint8)
    assert differing(stored(lines), lines > 0) == 0


def test_a_palette_of_colours():
    image = Image.fromarray(DISC * np.uint8(1) + CORNER * np.uint8(8)).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0] + [0, 0, 0] * 6 + [64, 0, 0])
    image.putdata((DISC * 1 + CORNER * 8).ravel().tolist())
    assert differing(stored(image), DISC | CORNER) == 0


def test_nothing_and_everything():
    assert not drawn(stored(0 * GREY)).any()
    assert not drawn(stored(0 * GREY, "JPEG")).any()
    assert drawn(stored(0 * GREY + np.uint8(255))).all()
