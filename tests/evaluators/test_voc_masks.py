"""Masks as they come: palette PNGs, the same without their palette, in colours, and none at all."""

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import voc_masks

MASK = np.array([[0, 0, 1, 20], [255, 255, 15, 20], [0, 7, 7, 255]], np.uint8)


def slow_palette():
    """The devkit's VOClabelcolormap.m, loop by loop."""
    colours = []
    for index in range(256):
        r = g = b = 0
        rest = index
        for j in range(8):
            r |= (rest & 1) << (7 - j)
            g |= (rest >> 1 & 1) << (7 - j)
            b |= (rest >> 2 & 1) << (7 - j)
            rest >>= 3
        colours += [r, g, b]
    return colours


def test_the_palette():
    assert voc_masks.palette() == slow_palette()
    assert voc_masks.palette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
    assert voc_masks.palette()[-3:] == [224, 224, 192]  # void


def test_written_and_read(tmp_path):
    path = tmp_path / "m.png"
    voc_masks.write_mask(path, MASK)
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "P")
        assert image.getpalette() == voc_masks.palette()
    read = voc_masks.read_mask(path)
    assert read.dtype == np.uint8
    assert np.array_equal(read, MASK)
    voc_masks.write_mask(path, MASK[:2])  # over another
    assert voc_masks.read_mask(path).shape == (2, 4)
    assert voc_masks.labels(MASK) == (0, 6, 14, 19)
    assert voc_masks.labels(np.array([[0, 255]], np.uint8)) == ()


def test_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "m.png"
    voc_masks.write_mask(path, MASK)

    def fails(image, file, form):
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", fails)
    with pytest.raises(OSError, match="no space left"):
        voc_masks.write_mask(path, MASK[:1])
    assert [p.name for p in tmp_path.iterdir()] == ["m.png"]
    assert np.array_equal(voc_masks.read_mask(path), MASK)


@pytest.mark.parametrize(
    ("bad", "word"),
    [(MASK[None], r"not \(1, 3, 4\) of uint8"), (MASK.astype(int), r"not \(3, 4\) of int64")],
)
def test_no_mask_is_not_written(tmp_path, bad, word):
    with pytest.raises(ValueError, match=rf"m\.png: a mask is \(H, W\) of uint8, {word}"):
        voc_masks.write_mask(tmp_path / "m.png", bad)
    assert not list(tmp_path.iterdir())


def test_without_a_palette_and_in_colours(tmp_path):
    path = tmp_path / "m.png"
    Image.fromarray(MASK).save(path)
    assert np.array_equal(voc_masks.read_mask(path), MASK)
    Image.fromarray(np.array(voc_masks.palette(), np.uint8).reshape(256, 3)[MASK]).save(path)
    assert Image.open(path).mode == "RGB"
    read = voc_masks.read_mask(path)
    assert read.dtype == np.uint8
    assert np.array_equal(read, MASK)


def test_another_palette_s_indices_count(tmp_path):
    image = Image.fromarray(MASK % 16)
    image.putpalette([9, 9, 9] * 16)
    image.save(tmp_path / "m.png", bits=4)
    assert np.array_equal(voc_masks.read_mask(tmp_path / "m.png"), MASK % 16)


def picture(pixels, mode=None):
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    return image.convert(mode) if mode else image


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (picture([[0, 21, 255]]), "holds the index 21; accepted: 0 to 20, and 255"),
        (picture([[0, 38, 75]]), "holds the index 38"),
        (
            picture([[[0, 0, 0], [128, 0, 1]]]),
            r"holds the colour \(128, 0, 1\); accepted: VOC's colours of 0 to 20, and of 255",
        ),
        (picture([[[0, 64, 128], [255, 255, 255]]]), r"holds the colour \(255, 255, 255\)"),
        (picture([[voc_masks.palette()[63:66]]]), "holds the colour"),  # of index 21
        (picture([[0, 255]], "1"), r"a mask of mode 1; accepted: a palette \(P\)"),
        (picture([[0, 20]], "LA"), "a mask of mode LA"),
        (Image.fromarray(np.array([[0, 20]], np.uint16)), "a mask of mode I;16"),
    ],
)
def test_what_is_no_mask(tmp_path, image, word):
    image.save(tmp_path / "m.png")
    with pytest.raises(ValueError, match=rf"m\.png: (the mask )?{word}") as error:
        voc_masks.read_mask(tmp_path / "m.png")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["3", "null", "[]", '{"method": 3}', '{"layer": [1]}'])
def test_a_labels_json_of_another_form_is_named(tmp_path, text):
    (tmp_path / voc_masks.ABOUT).write_text(text)
    with pytest.raises(
        ValueError, match=r"labels\.json: expected a mapping, with texts for method"
    ):
        voc_masks.about(tmp_path)


def test_fewer_classes_and_no_file(tmp_path):
    voc_masks.write_mask(tmp_path / "m.png", MASK)
    with pytest.raises(ValueError, match="holds the index 15; accepted: 0 to 10, and 255"):
        voc_masks.read_mask(tmp_path / "m.png", 10)
    with pytest.raises(FileNotFoundError, match=r"none\.png: no such mask"):
        voc_masks.read_mask(tmp_path / "none.png")
    (tmp_path / "m.png").write_bytes((tmp_path / "m.png").read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"m\.png: not a readable mask"):
        voc_masks.read_mask(tmp_path / "m.png")
