"""KolektorSDD, whose commutators stay together, and KolektorSDD2, which has a split."""

import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.datasets import dagm, good_bad, kolektor, kolektor2, mvtec
from camx.evaluators.tasks.defects import masks


def surface(path, mask, cracked):
    """An image, and its mask beside it, all zero or with a crack of six pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 5), 80, np.uint8)).save(path)
    pixels = np.zeros((8, 5), np.uint8)
    pixels[3:5, 1:4] = 255 * cracked
    Image.fromarray(pixels).save(path.with_name(mask))


@pytest.fixture
def items(tmp_path):
    """Five commutators of three images, one each of three of them with a crack."""
    for item in range(1, 6):
        for part in range(3):
            place = tmp_path / f"k/kos{item:02d}/Part{part}.jpg"
            surface(place, f"Part{part}_label.bmp", item <= 3 and part == item % 3)
    return tmp_path / "k"


@pytest.fixture
def second(tmp_path):
    for split, numbers in (("train", range(10000, 10004)), ("test", range(20000, 20003))):
        for number in numbers:
            surface(tmp_path / f"k2/{split}/{number}.png", f"{number}_GT.png", number % 2 == 0)
    return tmp_path / "k2"


def refused(reader, root, word, error=ValueError):
    assert reader.accepts(root)
    with pytest.raises(error, match=word) as raised:
        reader.read(root)
    assert "\n" not in str(raised.value)


def test_a_crack_is_what_a_mask_marks(items):
    dataset = datasets.load(str(items), "defects")
    assert (dataset.name, dataset.model, dataset.classes) == ("kolektor", "resnet50", dagm.CLASSES)
    assert len(dataset.samples) == 15
    cracked = [s for s in dataset.samples if s.label]
    assert [s.image_id for s in cracked] == ["kos01/Part1", "kos02/Part2", "kos03/Part0"]
    assert cracked[0].mask == items / "kos01/Part1_label.bmp"
    assert masks.truth(cracked[0], (5, 8)).sum() == 6
    assert not any(s.mask for s in dataset.samples if not s.label)


def test_one_pixel_is_a_defect(items):
    pixels = np.zeros((8, 5), np.uint8)
    pixels[7, 4] = 1
    Image.fromarray(pixels).save(items / "kos05/Part0_label.bmp")
    (sample,) = (s for s in kolektor.read(items).samples if s.image_id == "kos05/Part0")
    assert sample.label == 1
    assert masks.truth(sample, (5, 8)).sum() == 1


def test_a_commutator_stays_whole(items):
    samples = kolektor.read(items).samples
    splits = {(s.group, s.split) for s in samples}
    assert len(splits) == 5
    assert Counter(split for _, split in splits) == {"train": 3, "test": 2}
    assert samples == kolektor.read(items).samples
    assert {s.group for s in samples} == {f"kos{n:02d}" for n in range(1, 6)}
    for item in range(6, 31):
        for part in range(2):
            place = items / f"kos{item:02d}/Part{part}.jpg"
            surface(place, f"Part{part}_label.bmp", item % 3 == 0 and part == 0)
        cracked = Counter(s.split for s in kolektor.read(items).samples if s.label)
        assert abs(cracked["train"] - cracked["test"]) <= 1  # in proportion


def test_kolektor_s_masks_and_images_belong_together(items):
    (items / "kos02/Part1_label.bmp").rename(items / "kos02/Part7_label.bmp")
    word = r"kos02/Part1\.jpg: no mask beside it called Part1_label \(1 of 3 have none\)"
    refused(kolektor, items, word)
    (items / "kos02/Part1.jpg").unlink()
    refused(kolektor, items, r"Part7_label\.bmp: a mask without its image; expected Part7 beside")


def test_kolektor_s_other_faults(items):
    shutil.copy(items / "kos01/Part0.jpg", items / "kos01/Part0.png")
    refused(kolektor, items, r"Part0\.png: .*Part0\.jpg stands beside it for the same image")
    (items / "kos01/Part0.png").unlink()
    for place in ("x.png", "other/x.png", "kos01/inner/x.png"):
        (items / place).parent.mkdir(exist_ok=True)
        shutil.copy(items / "kos01/Part0_label.bmp", items / place)
        refused(kolektor, items, rf"k/{place}: a picture that is neither an image nor a mask")
        (items / place).unlink()
    (items / "kos03/Part0_label.bmp").write_bytes(b"BM")
    refused(kolektor, items, r"kos03/Part0_label\.bmp: not a readable mask")


def test_kolektor_needs_two_commutators_and_an_image(items, tmp_path):
    for number in range(2, 6):
        shutil.rmtree(items / f"kos{number:02d}")
    refused(kolektor, items, "k: 1 images to be halved")
    for path in (items / "kos01").iterdir():
        path.unlink()
    refused(kolektor, items, r"k: no image; expected kosNN/Part", FileNotFoundError)
    assert not kolektor.accepts(tmp_path)


def test_the_second_has_its_split(second):
    dataset = datasets.load(str(second), "defects")
    assert (dataset.name, dataset.model, dataset.classes) == ("kolektor2", "resnet50", dagm.CLASSES)
    assert [(s.image_id, s.split, s.label) for s in dataset.samples] == [
        ("10000", "train", 1), ("10001", "train", 0), ("10002", "train", 1), ("10003", "train", 0),
        ("20000", "test", 1), ("20001", "test", 0), ("20002", "test", 1),
    ]  # fmt: skip
    assert [s.mask for s in dataset.samples[:2]] == [second / "train/10000_GT.png", None]


def test_the_archive_s_copies_are_left_out(second):
    before = kolektor2.read(second)
    for name in ("10001", "10001_GT"):
        shutil.copy(second / f"train/{name}.png", second / f"train/{name} (copy).png")
    assert kolektor2.read(second) == before
    shutil.copy(second / "train/10001.png", second / "train/10009 (copy).png")
    word = r"10009 \(copy\)\.png: no mask beside it called 10009 \(copy\)_GT \(1 of 5 have none\)"
    refused(kolektor2, second, word)


def test_the_second_s_masks_and_images_belong_together(second):
    (second / "test/20001_GT.png").unlink()
    refused(kolektor2, second, r"test/20001\.png: no mask beside it .* \(1 of 3 have none\)")
    (second / "test/20001.png").unlink()
    (second / "test/20002.png").unlink()
    refused(kolektor2, second, r"20002_GT\.png: a mask without its image; expected 20002 beside")


def test_the_second_s_parts(second):
    shutil.copy(second / "train/10000.png", second / "x.png")
    refused(kolektor2, second, r"k2/x\.png: a picture that is neither an image nor a mask")
    (second / "x.png").unlink()
    shutil.rmtree(second / "test")
    refused(kolektor2, second, r"k2/test: no image; expected \{train,test\}", FileNotFoundError)


def test_no_other_reader_takes_them(items, second):
    others = (dagm, good_bad, mvtec)
    assert not any(reader.accepts(root) for reader in others for root in (items, second))
    assert not kolektor.accepts(second)
    assert not kolektor2.accepts(items)
