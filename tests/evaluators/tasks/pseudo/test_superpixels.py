"""Superpixels: what SLIC must keep, and what a folder's label maps may look like."""

import numpy as np
import pytest
import scipy.io
from PIL import Image
from scipy import ndimage
from skimage import segmentation

from camx.evaluators import protocols
from camx.evaluators.tasks import pseudo
from camx.evaluators.tasks.pseudo import superpixels

# Numbers with gaps, and above 255 and 65535: what 8 bits, 16 bits and a colour can hold.
LABELS = np.array([[7, 7, 9, 9], [7, 7, 9, 200], [1, 1, 200, 200]])
COMPACT = [[1, 1, 2, 2], [1, 1, 2, 3], [0, 0, 3, 3]]
WIDE = np.where(LABELS == 200, 70_000, np.where(LABELS == 9, 300, LABELS))


def halves(height=40, width=60):
    """A dark and a bright half with a little noise."""
    image = np.random.default_rng(0).integers(0, 20, (height, width, 3)).astype(np.uint8)
    image[:, width // 2 :] += 200
    return image


def test_slic_follows_edges_and_numbers_connected_regions():
    image = halves()
    labels = superpixels.slic(image, 24)
    assert labels.shape == image.shape[:2]
    assert labels.dtype == np.int32
    assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))
    assert 10 < labels.max() < 40
    assert not set(labels[:, :30].ravel()) & set(labels[:, 30:].ravel())
    assert all(ndimage.label(labels == label)[1] == 1 for label in range(labels.max() + 1))
    assert np.array_equal(labels, superpixels.slic(image, 24))


def test_slic_of_one_pixel_and_of_no_picture():
    assert superpixels.slic(np.zeros((1, 1, 3), np.uint8)).tolist() == [[0]]
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))):
        with pytest.raises(ValueError, match=r"SLIC needs an image \(H,W,3\) of uint8, not \(4, 4"):
            superpixels.slic(wrong)


def rgb(labels):
    return np.stack([labels % 256, labels // 256 % 256, labels // 65536], -1).astype(np.uint8)


def save(folder, kind):
    if kind == "npy":
        np.save(folder / "a.npy", WIDE)
    elif kind == "mat":
        scipy.io.savemat(folder / "a.mat", {"sp": WIDE.astype(float), "count": 4, "name": "a"})
    else:
        pixels = {
            "8 bits": LABELS.astype(np.uint8),
            "16 bits": np.where(LABELS == 200, 60_000, LABELS).astype(np.uint16),
            "colour": rgb(WIDE),
            "colour with alpha": np.dstack([rgb(WIDE), np.full(LABELS.shape, 255, np.uint8)]),
        }
        Image.fromarray(pixels[kind]).save(folder / "a.png")


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "colour", "colour with alpha", "npy", "mat"])
def test_what_a_label_map_may_be(tmp_path, kind):
    save(tmp_path, kind)
    labels = superpixels.from_folder(tmp_path, "a", (3, 4))
    assert labels.dtype == np.int32
    assert labels.tolist() == COMPACT


def test_a_palette_s_indices_are_the_labels(tmp_path):
    image = Image.fromarray(LABELS.astype(np.uint8), "L").convert("P")
    image.putdata(LABELS.ravel().tolist())
    image.putpalette([5, 5, 5] * 256)  # one colour for all
    image.save(tmp_path / "a.png")
    assert superpixels.from_folder(tmp_path, "a", (3, 4)).tolist() == COMPACT


def test_what_is_missing_or_of_another_size(tmp_path):
    word = "gone: no such folder; superpixels accepts slic, none or a folder"
    with pytest.raises(FileNotFoundError, match=word):
        superpixels.from_folder(tmp_path / "gone", "a", (3, 4))
    word = r"no superpixels of a\.b; expected a\.b\.png or a\.b\.npy or a\.b\.mat"
    with pytest.raises(FileNotFoundError, match=word):
        superpixels.from_folder(tmp_path, "a.b", (3, 4))
    save(tmp_path, "npy")
    with pytest.raises(ValueError, match=r"a\.npy: the label map is 4 x 3, but the image is 3 x 4"):
        superpixels.from_folder(tmp_path, "a", (4, 3))


@pytest.mark.parametrize("ending", [".png", ".npy", ".mat"])
def test_a_file_that_is_none(tmp_path, ending):
    (tmp_path / f"a{ending}").write_text("no labels at all")
    with pytest.raises(ValueError, match=rf"a\{ending}: not a readable"):
        superpixels.from_folder(tmp_path, "a", (3, 4))


def test_labels_that_are_no_numbers(tmp_path):
    np.save(tmp_path / "a.npy", LABELS + 0.5)
    word = r"a\.npy: labels must be whole numbers, but it holds others, of float64"
    with pytest.raises(ValueError, match=word):
        superpixels.from_folder(tmp_path, "a", (3, 4))
    scipy.io.savemat(tmp_path / "b.mat", {"one": LABELS, "two": LABELS})
    word = r"b\.mat: expected one matrix, the label map, but it holds one, two"
    with pytest.raises(ValueError, match=word):
        superpixels.from_folder(tmp_path, "b", (3, 4))


def asked_for(image, **choices):
    protocol = protocols.load("paper", "pseudo", pseudo.Protocol, choices)
    return superpixels.of_image(protocol, "a", image)


def test_the_protocol_s_choice(tmp_path):
    image = halves()
    np.save(tmp_path / "a.npy", np.arange(2400).reshape(40, 60))
    assert asked_for(image, superpixels="none") is None
    assert asked_for(image, superpixels=str(tmp_path)).max() == 2399
    asked = asked_for(image, superpixels="slic", segments=24)
    assert np.array_equal(asked, superpixels.slic(image, 24))


def test_slic_is_scikit_image_s_by_the_protocol_s_two_numbers():
    coarse = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((60, 40)))  # clouds of colour
    maps = []
    for segments, compactness in ((24, 10.0), (24, 80.0), (60, 10.0)):
        numbers = {"segments": segments, "compactness": compactness}
        maps.append(asked_for(image, superpixels="slic", **numbers))
        expected = segmentation.slic(image, segments, compactness, start_label=0)
        assert np.array_equal(maps[-1], superpixels.compact(expected))
    assert not np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])
    expected = segmentation.slic(image, 300, 10.0, start_label=0)  # as the protocol has them
    assert np.array_equal(asked_for(image, superpixels="slic"), superpixels.compact(expected))
