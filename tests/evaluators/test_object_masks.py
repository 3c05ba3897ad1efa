"""Masks of objects from grey images: united, ignored, resized, and refused."""

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import object_masks
from camx.evaluators.object_masks import GreyMasks, ObjectMask


def written(path, pixels, mode=None):
    image = Image.fromarray(np.asarray(pixels))
    (image.convert(mode) if mode else image).save(path)
    return path


def grey(rng, height=30, width=41):
    return rng.choice([0, 1, 127, 128, 255], size=(height, width)).astype(np.uint8)


@pytest.mark.parametrize("size", [(41, 30), (224, 224), (13, 50), (82, 60), (1, 1)])
@pytest.mark.parametrize("above", [0, 127])
def test_a_mask_is_read_pixel_by_pixel(tmp_path, size, above):
    """Parts united, ignored where none is the object, each pixel the nearest."""
    rng = np.random.default_rng(0)
    parts = [grey(rng) * (rng.random((30, 41)) < 0.5) for _ in range(2)]
    ignored = grey(rng)
    paths = [written(tmp_path / f"{i}.png", part) for i, part in enumerate([*parts, ignored])]
    mask = GreyMasks(tuple(paths[:2]), above, paths[2])
    read = mask.read(size)
    assert (read.shape, read.dtype) == (size[::-1], np.uint8)
    for y in range(size[1]):
        for x in range(size[0]):
            at = y * 30 // size[1], x * 41 // size[0]
            on, off = any(part[at] > above for part in parts), ignored[at] > above
            assert read[y, x] == (1 if on else 255 if off else 0)


def test_without_ignored_pixels(tmp_path):
    mask = GreyMasks((written(tmp_path / "a.png", np.eye(5, dtype=np.uint8)),))
    assert mask.ignored((5, 5)) is None
    assert (mask.read((5, 5)) == np.eye(5)).all()


def test_boxes_are_of_each_part_that_marks_anything(tmp_path):
    first, empty, last = np.zeros((3, 20, 30), np.uint8)
    first[3:7, 5:9], first[10, 20] = 9, 9
    last[19, 29] = 9
    paths = [written(tmp_path / f"{i}.png", part) for i, part in enumerate((first, empty, last))]
    mask = GreyMasks(tuple(paths))
    assert mask.boxes((30, 20)) == ((5, 3, 21, 11), (29, 19, 30, 20))
    assert mask.boxes((60, 40)) == ((10, 6, 42, 22), (58, 38, 60, 40))


def test_files_and_rule_tell_masks_apart(tmp_path):
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    assert GreyMasks((a,), 0, b).files == GreyMasks((a, b)).files == (a, b)
    masks = (
        GreyMasks((a, b)),
        GreyMasks((a,), 0, b),
        GreyMasks((a, b), 127),
        GreyMasks((a,), 127, b),
    )
    assert len({mask.rule for mask in masks}) == 4


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [
        (np.eye(6, dtype=bool), None),
        (np.eye(6, dtype=np.uint8) * 255, "P"),
        (np.eye(6, dtype=np.uint16) * 500, None),
    ],
)
def test_modes_of_grey_images(tmp_path, pixels, mode):
    mask = GreyMasks((written(tmp_path / "a.png", pixels, mode),))
    assert (mask.read((6, 6)) == np.eye(6)).all()


def refused(mask, error, *words):
    with pytest.raises(error) as told:
        mask.read((6, 6))
    assert all(word in str(told.value) for word in words), told.value
    assert "\n" not in str(told.value)


def test_what_is_no_mask_is_refused_by_name(tmp_path):
    colours = written(tmp_path / "c.png", np.zeros((6, 6, 3), np.uint8))
    refused(GreyMasks((colours,)), ValueError, "c.png", "colours; expected grey")
    lossy = written(tmp_path / "l.jpg", np.zeros((6, 6), np.uint8))
    refused(GreyMasks((lossy,)), ValueError, "l.jpg", "changes values", "PNG")
    alpha = written(tmp_path / "a.png", np.zeros((6, 6, 4), np.uint8))
    refused(GreyMasks((alpha,)), ValueError, "a.png", "mode RGBA; accepted: grey")
    (tmp_path / "t.png").write_text("text")
    refused(GreyMasks((tmp_path / "t.png",)), ValueError, "t.png", "not a readable mask")
    refused(GreyMasks((tmp_path / "none.png",)), FileNotFoundError, "none.png")
    (tmp_path / "folder.png").mkdir()
    refused(GreyMasks((tmp_path / "folder.png",)), Exception, "folder.png")
    good = written(tmp_path / "g.png", np.eye(6, dtype=np.uint8))
    refused(GreyMasks((good,), 0, tmp_path / "i.png"), FileNotFoundError, "i.png")


def test_lossy_masks_where_they_are_accepted(tmp_path):
    path = written(tmp_path / "l.jpg", np.full((6, 6), 200, np.uint8))
    assert abs(int(object_masks.opened(path, lossless=False).mean()) - 200) < 3


def test_one_s_masks(tmp_path):
    """A reader may have masks of its own: parts are all that it has to give."""

    class Half(ObjectMask):
        files, rule = (), "left half"

        def parts(self, size):
            part = np.zeros(size[::-1], bool)
            part[:, : size[0] // 2] = True
            return [part]

    assert (Half().read((4, 2)) == [[1, 1, 0, 0]] * 2).all()
    assert Half().boxes((4, 2)) == ((0, 0, 2, 2),)
