import os
import warnings

import cv2
import numpy as np
import pytest
from PIL import Image

from camx.camcore.image_files import BlankImage, read_image

RAMP = np.linspace(0, 1, 256).reshape(16, 16)
GREY = np.round(255 * RAMP)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P", "RGB"])
def test_every_colour_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("x.png" if mode in ("RGBA", "P") else "x.JPEG")
    Image.new("RGB", (5, 4), (200, 200, 200)).convert(mode).save(path)
    image = read_image(path)
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image).astype(int) - 200).max() <= 12


def test_exif_rotation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5, 4)).save(tmp_path / "x.JPEG", exif=exif)
    assert read_image(tmp_path / "x.JPEG").size == (5, 4)


def test_bad_images_are_named(tmp_path):
    (tmp_path / "bad.JPEG").write_bytes(b"\xff\xd8 not a picture")
    with pytest.raises(ValueError, match=r"bad\.JPEG"):
        read_image(tmp_path / "bad.JPEG")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(
        tmp_path / "cut.JPEG"
    )
    data = (tmp_path / "cut.JPEG").read_bytes()
    (tmp_path / "cut.JPEG").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"cut\.JPEG"):
        read_image(tmp_path / "cut.JPEG")
    with pytest.raises(FileNotFoundError, match="none"):
        read_image(tmp_path / "none.JPEG")


def test_sixteen_bits_of_grey(tmp_path):
    """65535 is white and 32896 is middle grey; PIL alone would cut both to 255."""
    Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16)).save(tmp_path / "deep.png")
    pixels = np.asarray(read_image(tmp_path / "deep.png"))[0]
    assert pixels.tolist() == [[value] * 3 for value in (0, 1, 128, 255)]


@pytest.mark.parametrize(
    ("name", "white", "kind"),
    [
        ("x.tif", 1, np.float32),
        ("x.tif", 255, np.float32),
        ("x.tif", 65535, np.float32),
        ("x.tif", 255, np.int32),
        ("x.tif", 65535, np.int32),
        ("x.tif", 65535, np.uint16),
        ("x.png", 65535, np.uint16),
        ("x.pgm", 65535, np.uint16),
        ("x.png", 255, np.uint8),
    ],
)
def test_every_depth_fills_its_range(tmp_path, name, white, kind):
    pixels = RAMP * white
    pixels = pixels if kind == np.float32 else np.round(pixels)
    Image.fromarray(pixels.astype(kind)).save(tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error", BlankImage)
        image = np.asarray(read_image(tmp_path / name))
    assert image.shape == (16, 16, 3)
    assert (image == GREY[..., None]).all()


def test_signed_sixteen_bits_of_a_tiff(tmp_path):
    cv2.imwrite(str(tmp_path / "x.tif"), np.round(RAMP * 32767).astype(np.int16))
    assert (np.asarray(read_image(tmp_path / "x.tif"))[..., 0] == GREY).all()


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (RAMP - 0.5, "from -0.5 to 0.5; accepted: 0..1 or 0..255 or 0..65535"),
        (RAMP * 70000, "from 0 to 70000; accepted"),
        (np.where(RAMP > 0.5, np.nan, RAMP), "from nan to nan"),
        (np.where(RAMP > 0.5, np.inf, RAMP), "to inf"),
        ((RAMP * 1e6).astype(np.int32), r"from 0 to 1e\+06; accepted: 0..255 or 0..65535"),
    ],
    ids=["negative", "beyond", "not a number", "infinite", "whole numbers"],
)
def test_pixels_of_no_range_are_refused(tmp_path, pixels, words):
    kind = np.int32 if pixels.dtype == np.int32 else np.float32
    Image.fromarray(pixels.astype(kind)).save(tmp_path / "x.tif")
    with pytest.raises(ValueError, match=rf"x\.tif: .*{words}"):
        read_image(tmp_path / "x.tif")


def spot(size, level):
    """A black picture but for one pixel, where a look at a few would miss it."""
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[size // 2 + 1, size // 3, 1] = level
    return pixels


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (spot(100, 32), ""),
        (spot(100, 31), "brightest value 31 of 255"),
        (255 - spot(100, 1), ""),
        (np.round(RAMP * 4095).astype(np.uint16), "brightest value 16 of 255"),
        (np.round(RAMP * 31).astype(np.uint8), "brightest value 31 of 255"),
        (np.round(RAMP * 32).astype(np.uint8), ""),
        (np.full((4, 4, 3), (200, 10, 90), np.uint8), "one colour"),
        (np.full((4, 4), 255, np.uint8), "one colour"),
        (np.stack([GREY, 0 * GREY, 0 * GREY], -1).astype(np.uint8), ""),
    ],
)
def test_pictures_that_show_nothing_are_said(tmp_path, pixels, words):
    Image.fromarray(pixels).save(tmp_path / "x.png")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        read_image(tmp_path / "x.png")
    texts = [str(w.message) for w in said if w.category is BlankImage]
    assert texts == ([f"{tmp_path / 'x.png'}: {words}"] if words else [])


def test_a_pipe_is_no_image(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(FileNotFoundError, match=r"x\.png: a folder or a device, not an image"):
        read_image(tmp_path / "x.png")
