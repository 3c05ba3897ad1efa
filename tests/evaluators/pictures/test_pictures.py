"""The style: a palette that grey keeps, and files that repeat their bytes."""

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image
from skimage.color import rgb2gray, rgb2lab

from camx.evaluators import pictures


def test_the_palette_s_lightness_only_rises():
    lightness = rgb2lab(colormaps[pictures.PALETTE](np.arange(256))[None, :, :3])[0, :, 0]
    assert (np.diff(lightness) > 0).all()
    assert lightness[0] < 5
    assert lightness[-1] > 90


def test_an_overlay_s_hue_is_the_map_s_alone():
    levels = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
    colours = np.zeros((3, 256, 3), np.uint8)
    colours[0], colours[1], colours[2] = (255, 0, 0), (0, 130, 0), (76, 76, 76)  # of one grey
    drawn = pictures.overlay(colours, levels).astype(int)
    assert np.abs(drawn[0] - drawn[2]).max() <= 1
    assert np.abs(drawn[1] - drawn[2]).max() <= 1
    assert (pictures.overlay(colours, levels / 255.0) == drawn).mean() > 0.95


def test_a_maximum_outshines_any_photograph_without_a_map():
    """In grey too, so that a light photograph is not taken for a map."""
    dark, light = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)
    high, low = np.full((1, 1), 255, np.uint8), np.zeros((1, 1), np.uint8)
    seen = rgb2gray(pictures.overlay(dark, high)) - rgb2gray(pictures.overlay(light, low))
    assert seen.item() > 0.2


def test_without_a_share_of_the_map_it_is_the_picture_in_grey():
    image = np.full((2, 2, 3), (200, 100, 0), np.uint8)
    drawn = pictures.overlay(image, np.eye(2), alpha=0)
    assert (drawn == round(0.299 * 200 + 0.587 * 100)).all()


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_files_repeat_their_bytes(tmp_path, suffix):
    def written(name):
        figure = Figure(figsize=(1, 1))
        figure.text(0.1, 0.5, "words")
        path = tmp_path / f"{name}.{suffix}"
        pictures.write(figure, path)
        return path.read_bytes()

    first = written("a")
    assert first == written("b")
    assert b"CreationDate" not in first
    assert b"/Type3" not in first


def test_another_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.svg: ends in '\.svg'; accepted: \.png, \.pdf"):
        pictures.write(Figure(), tmp_path / "a.svg")
    assert not list(tmp_path.iterdir())


def test_a_very_long_picture_is_drawn_coarser(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(pictures, "LONGEST", 300)
    pictures.write(Figure(figsize=(1, 6)), tmp_path / "long.png")
    assert Image.open(tmp_path / "long.png").size == (50, 300)


def test_a_png_holds_the_figure_s_pixels_whatever_its_compression(tmp_path):
    figure = Figure((1, 1), dpi=pictures.DPI)
    figure.add_subplot().imshow(np.arange(64).reshape(8, 8))
    pictures.write(figure, tmp_path / "quick.png")
    figure.savefig(tmp_path / "plain.png", dpi=pictures.DPI)
    quick, plain = (np.asarray(Image.open(tmp_path / f"{n}.png")) for n in ("quick", "plain"))
    np.testing.assert_array_equal(quick, plain)
