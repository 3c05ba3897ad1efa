"""What is taken for another data set, and what for the same."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from camx.evaluators.fingerprints import BLOCK, fingerprint
from camx.evaluators.tasks.pseudo import superpixels
from camx.evaluators.types import Ellipse, Sample, Scene


def bmp(path, value, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size[::-1], value, np.uint8)).save(path)
    return path


def touched(path):
    """Its time put back, so that content alone can tell."""
    os.utime(path, (1, 1))
    return path


@pytest.mark.parametrize("kind", ["image", "mask", "scene's mask"])
def test_another_bmp_of_the_same_size_is_another(tmp_path, kind):
    image, mask = bmp(tmp_path / "a.bmp", 10), bmp(tmp_path / "m.bmp", 1)
    samples = [Sample("a", image, 1, mask=mask), Scene("a", image, (0,), mask)]
    item = samples[kind == "scene's mask"]
    replaced = image if kind == "image" else mask
    touched(replaced)
    before, size = fingerprint([item]), replaced.stat().st_size
    bmp(replaced, 99)
    touched(replaced)
    assert replaced.stat().st_size == size
    assert fingerprint([item]) != before


def test_a_copy_at_another_time_is_the_same(tmp_path):
    image, mask = bmp(tmp_path / "a.bmp", 10), bmp(tmp_path / "m.bmp", 1, (800, 600))
    before = fingerprint([Sample("a", image, 1, mask=mask)])
    for path in (image, mask):
        shutil.copyfile(path, tmp_path / f"copy-{path.name}")
        touched(tmp_path / f"copy-{path.name}")
    copy = Sample("a", tmp_path / "copy-a.bmp", 1, mask=tmp_path / "copy-m.bmp")
    assert fingerprint([copy]) == before


@pytest.mark.parametrize("place", [0, BLOCK - 1, 4 * BLOCK, -1, None])
def test_of_a_large_image_ends_size_and_time_count(tmp_path, place):
    path = tmp_path / "a.bmp"
    content = bytearray(np.random.default_rng(0).bytes(8 * BLOCK))
    path.write_bytes(content)
    os.utime(touched(path), ns=(10**9, 10**9))
    before = fingerprint([Sample("a", path, 0)])
    if place is not None:
        content[place] ^= 1
        path.write_bytes(content)
    in_the_middle = place == 4 * BLOCK
    os.utime(path, ns=(10**9, 10**9 + in_the_middle))
    assert (fingerprint([Sample("a", path, 0)]) == before) == (place is None)


def test_everything_said_of_an_image_counts(tmp_path):
    path = bmp(tmp_path / "a.bmp", 10)
    plain = Sample("a", path, 0, ((1, 2, 3, 4),))
    samples = [
        plain,
        Sample("b", path, 0, ((1, 2, 3, 4),)),
        Sample("a", path, 1, ((1, 2, 3, 4),)),
        Sample("a", path, 0, ((1, 2, 3, 5),)),
        Sample("a", path, 0, ((1, 2, 3, 4),), split="test"),
        Sample("a", path, 0, ((1, 2, 3, 4),), Ellipse(1, 2, 3, 4, 5)),
        Scene("a", path, (0,)),
        Scene("a", path, (1,)),
    ]
    prints = {fingerprint([sample]) for sample in samples} | {fingerprint([plain, plain])}
    assert len(prints) == len(samples) + 1
    many = [Sample(str(n), path, 0) for n in range(600)]  # read in several threads
    assert fingerprint(many) == fingerprint(list(many)) != fingerprint(many[::-1])


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.bmp: no such image"):
        fingerprint([Sample("a", tmp_path / "a.bmp", 0)])
    path = bmp(tmp_path / "b.bmp", 1)
    with pytest.raises(FileNotFoundError, match=r"m\.bmp: no such mask"):
        fingerprint([Sample("a", path, 1, mask=tmp_path / "m.bmp")])


def test_superpixels_count_by_content(tmp_path):
    bmp(tmp_path / "a.png", 3)
    np.save(tmp_path / "b.npy", np.zeros((4, 4), np.int32))
    before = superpixels.fingerprint(tmp_path)
    (tmp_path / "._a.png").write_bytes(b"\0")
    (tmp_path / "readme.txt").write_text("\n")
    assert superpixels.fingerprint(tmp_path) == before
    np.save(tmp_path / "b.npy", np.ones((4, 4), np.int32))
    assert superpixels.fingerprint(tmp_path) != before
