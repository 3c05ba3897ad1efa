"""Good and defective pictures in two folders."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.datasets import dagm, good_bad, mvtec
from camx.evaluators.tasks import defects
from camx.evaluators.tasks.defects import masks


def picture(path, value=100, size=(8, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size[::-1], value, np.uint8)).save(path)
    return path


def pictures(folder, count, **options):
    for number in range(count):
        picture(folder / f"{number:03d}.png", **options)


def parts(dataset):
    return Counter((s.split, s.label) for s in dataset.samples)


@pytest.fixture
def root(tmp_path):
    pictures(tmp_path / "d/good", 6)
    pictures(tmp_path / "d/bad", 4)
    return tmp_path / "d"


@pytest.fixture
def split(tmp_path):
    for part, good, bad in (("train", 3, 2), ("test", 2, 1)):
        pictures(tmp_path / "d" / part / "good", good)
        pictures(tmp_path / "d" / part / "bad", bad)
    return tmp_path / "d"


def refused(root, word, error=ValueError):
    assert good_bad.accepts(root)
    with pytest.raises(error, match=word) as raised:
        good_bad.read(root)
    assert "\n" not in str(raised.value)


def test_half_of_each_trains(root):
    dataset = datasets.load(str(root), "defects")
    assert (dataset.name, dataset.model, dataset.classes) == ("d", "resnet50", dagm.CLASSES)
    assert parts(dataset) == {("train", 0): 3, ("test", 0): 3, ("train", 1): 2, ("test", 1): 2}
    assert [s.image_id for s in dataset.samples] == [
        *(f"good/{number:03d}" for number in range(6)),
        *(f"bad/{number:03d}" for number in range(4)),
    ]
    assert not any(s.mask for s in dataset.samples)
    assert dataset == datasets.load(str(root), "defects")  # drawn, but always the same
    picture(root / "good/006.png")
    assert parts(good_bad.read(root))["train", 0] == 4  # of an odd number one more trains


def test_without_masks_nothing_can_be_measured(root):
    word = r"d/bad/00\d\.png: a defective test image without a mask \(2 of them\)"
    with pytest.raises(ValueError, match=word):
        defects.parts(good_bad.read(root), defects.Options())


@pytest.mark.parametrize("good", ["good", "OK", "Normal"])
@pytest.mark.parametrize("bad", ["Bad", "nok", "NG", "anomaly", "anomalous", "Defective"])
def test_names_of_the_folders(root, good, bad):
    (root / "good").rename(root / "g").rename(root / good)
    (root / "bad").rename(root / "b").rename(root / bad)
    assert good_bad.accepts(root)
    assert parts(good_bad.read(root)) == {
        ("train", 0): 3, ("test", 0): 3, ("train", 1): 2, ("test", 1): 2,
    }  # fmt: skip


@pytest.mark.parametrize(("folder", "end"), [("masks", ""), ("Ground_Truth", "_mask")])
def test_masks_of_all_defective_images(root, folder, end):
    for number in range(4):
        picture(root / folder / f"{number:03d}{end}.png", 255)
    dataset = good_bad.read(root)
    assert {s.image_id: s.mask for s in dataset.samples if s.mask} == {
        f"bad/{number:03d}": root / folder / f"{number:03d}{end}.png" for number in range(4)
    }
    assert all(masks.truth(s, (8, 6)).all() for s in dataset.samples if s.label)
    assert [len(part) for part in defects.parts(dataset, defects.Options())] == [2]


def test_train_and_test(split):
    picture(split / "test/masks/000.png", 255)  # the training images need none
    dataset = datasets.load(str(split), "defects")
    assert parts(dataset) == {("train", 0): 3, ("train", 1): 2, ("test", 0): 2, ("test", 1): 1}
    assert [s.image_id for s in dataset.samples if s.mask] == ["test/bad/000"]
    assert all(s.image_id.startswith(s.split) for s in dataset.samples)
    assert not dagm.accepts(split)
    assert not mvtec.accepts(split)


def test_some_masks_are_missing(root):
    picture(root / "masks/000.png")
    picture(root / "masks/002.png")
    refused(
        root, r"bad/001\.png: no mask in .*/masks, 2 of the 4 in .*/bad have none; expected one"
    )
    for path in (root / "masks").iterdir():
        path.unlink()
    refused(root, r"bad/000\.png: no mask in .*/masks, 4 of the 4 in .* or no folder masks")


def test_a_mask_of_no_defective_image(root):
    for number in range(5):
        picture(root / f"masks/{number:03d}.png")
    refused(root, r"masks/004\.png: a mask without its defective image; expected 004 in .*/bad")


def test_one_kind_is_missing_or_empty(root, tmp_path):
    (root / "bad").rename(tmp_path / "bad")
    refused(root, "d: no folder of defective images; accepted: bad, nok, ng,", FileNotFoundError)
    (root / "bad").mkdir()
    refused(root, "d/bad: no picture in it; expected the defective images")
    (root / "good").rename(tmp_path / "good")
    refused(root, "d: no folder of good images; accepted: good, ok, normal", FileNotFoundError)


def test_two_folders_of_one_kind(root):
    pictures(root / "ok", 1)
    refused(root, r"d/ok: .*d/good stands beside it for the same; keep one")


def test_one_part_is_missing(split, tmp_path):
    (split / "test").rename(tmp_path / "test")
    refused(split, r"d/test: no such folder beside .*d/train; expected good/", FileNotFoundError)


def test_parts_beside_a_whole(split):
    pictures(split / "bad", 1)
    refused(split, r"d/bad: it stands beside .*d/train; which images test\? Expected good/")


@pytest.mark.parametrize("place", ["x.png", "scratched/x.png", "good/inner/x.png", "masks/a/x.png"])
def test_pictures_that_nobody_asked_for(root, place):
    pictures(root / "masks", 4)
    picture(root / "results/train/curve.png")  # such as camx writes into the current folder
    good_bad.read(root)
    picture(root / place)
    refused(root, rf"d/{place}: a picture that is neither an image nor a mask .*; expected good/")


@pytest.mark.parametrize("place", ["masks/x.png", "train/x.png", "train/good/inner/x.png"])
def test_pictures_that_nobody_asked_for_in_parts(split, place):
    picture(split / place)
    refused(split, rf"d/{place}: a picture that is neither an image nor a mask")


def test_two_files_of_one_image(root):
    picture(root / "bad/000.bmp")
    refused(root, r"bad/000\.png: .*bad/000\.bmp stands beside it for the same image")


def test_too_few_to_be_halved(root):
    for number in range(1, 4):
        (root / f"bad/{number:03d}.png").unlink()
    samples = good_bad.read(root).samples
    assert Counter(s.split for s in samples) == {"train": 4, "test": 3}


def test_other_folders_are_not_its_own(tmp_path):
    assert not good_bad.accepts(tmp_path)
    assert not good_bad.accepts(tmp_path / "none")
    pictures(tmp_path / "Class1/Train", 1)
    assert not good_bad.accepts(tmp_path)
