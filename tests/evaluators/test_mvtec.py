"""MVTec AD as it is published, and camx's split of its test images."""

import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.datasets import dagm, good_bad, mvtec
from camx.evaluators.tasks.defects import masks

COUNTS = {"broken_large": 5, "contamination": 4}


def picture(path, value=100, size=(9, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size[::-1], value, np.uint8)).save(path)
    return path


def category(folder):
    for part, count in (("train/good", 4), ("test/good", 3)):
        for number in range(count):
            picture(folder / part / f"{number:03d}.png")
    for kind, count in COUNTS.items():
        for number in range(count):
            picture(folder / "test" / kind / f"{number:03d}.png")
            mask = np.zeros((6, 9), np.uint8)
            mask[1:3, 2:5] = 255
            path = folder / "ground_truth" / kind / f"{number:03d}_mask.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(path)
    (folder / "license.txt").write_text("CC BY-NC-SA 4.0\n")
    return folder


@pytest.fixture
def root(tmp_path):
    category(tmp_path / "mvtec/bottle")
    category(tmp_path / "mvtec/cable")
    return tmp_path / "mvtec"


def refused(root, word, error=ValueError):
    assert mvtec.accepts(root)
    with pytest.raises(error, match=word) as raised:
        mvtec.read(root)
    assert "\n" not in str(raised.value)


def test_half_of_each_defect_trains(root):
    dataset = datasets.load(str(root / "bottle"), "defects")
    assert (dataset.name, dataset.model, dataset.classes) == ("mvtec", "resnet50", dagm.CLASSES)
    counts = Counter((s.split, s.group) for s in dataset.samples)
    assert {key: counts[key] for key in (("train", "bottle/good"), ("test", "bottle/good"))} == {
        ("train", "bottle/good"): 4, ("test", "bottle/good"): 3,
    }  # fmt: skip
    assert counts["train", "bottle/contamination"] == counts["test", "bottle/contamination"] == 2
    assert counts["train", "bottle/broken_large"] == 3  # of an odd number one more trains
    assert counts["test", "bottle/broken_large"] == 2
    assert all(s.label == (not s.group.endswith("good")) for s in dataset.samples)
    for sample in dataset.samples:
        of_defect = sample.label == 1
        assert (sample.mask is not None) == of_defect
        if of_defect:
            assert sample.mask.parts[-3:] == (
                "ground_truth", sample.path.parent.name, f"{sample.path.stem}_mask.png",
            )  # fmt: skip
            assert masks.truth(sample, (9, 6)).sum() == 6
        else:  # good images stay where they are
            assert sample.path.parts[-3:-1] == (sample.split, "good")


def test_no_image_is_learned_from_and_tested_on(root):
    samples = mvtec.read(root).samples
    assert len(samples) == len({s.path.resolve() for s in samples}) == 2 * (4 + 3 + 5 + 4)


def test_a_category_is_split_the_same_alone_and_among_others(root):
    together = {s.path: s.split for s in mvtec.read(root).samples}
    alone = {s.path: s.split for s in mvtec.read(root / "cable").samples}
    assert alone == {path: together[path] for path in alone}
    names = [s.image_id for s in mvtec.read(root).samples]
    assert names[0] == "bottle/train/good/000"
    assert mvtec.read(root / "bottle").samples[0].image_id == "train/good/000"
    assert mvtec.read(root / "bottle").samples[4].image_id == "test/broken_large/000"


def test_the_current_folder(root, monkeypatch):
    monkeypatch.chdir(root / "cable")
    dataset = datasets.load(".", "defects")
    assert {s.group.split("/")[0] for s in dataset.samples} == {"cable"}


def test_no_other_reader_takes_it(root):
    for folder in (root, root / "bottle"):
        assert mvtec.accepts(folder)
        assert not dagm.accepts(folder)
        assert not good_bad.accepts(folder)


def test_a_mask_is_missing(root):
    (root / "cable/ground_truth/contamination/002_mask.png").unlink()
    word = r"cable/test/contamination/002\.png: a defect without its mask \(1 of 4 have none\); "
    refused(root, word + r"expected ground_truth/contamination/002_mask\.png")
    shutil.rmtree(root / "cable/ground_truth/contamination")
    refused(root, r"contamination/000\.png: a defect without its mask \(4 of 4 have none\)")
    shutil.rmtree(root / "cable/ground_truth")
    refused(root, r"cable/ground_truth: no such folder; expected \[category/\]", FileNotFoundError)


def test_a_mask_without_its_image(root):
    picture(root / "bottle/ground_truth/contamination/009_mask.png")
    word = r"009_mask\.png: a mask of no image with a defect, test/contamination/009\.png"
    refused(root, word)
    (root / "bottle/ground_truth/contamination/009_mask.png").unlink()
    picture(root / "bottle/ground_truth/good/000_mask.png")
    refused(root, r"good/000_mask\.png: a mask of no image with a defect, test/good/000\.png")


def test_a_mask_of_another_name(root):
    mask = root / "bottle/ground_truth/contamination/001_mask.png"
    mask.rename(mask.with_name("001.png"))
    refused(root, r"contamination/001\.png: no name of a mask; expected 001_mask\.png")


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_is_missing(root, part):
    shutil.rmtree(root / "cable" / part)
    refused(root, rf"cable/{part}: no such folder; expected \[category/\]", FileNotFoundError)
    (root / "cable" / part / "good").mkdir(parents=True)
    refused(root, rf"cable/{part}/good: no good image; expected", FileNotFoundError)


def test_no_defect(root):
    for part in ("test", "ground_truth"):
        for kind in COUNTS:
            shutil.rmtree(root / "cable" / part / kind)
    refused(root, "cable/test: 0 images to be halved, one half to train")


@pytest.mark.parametrize(
    "place",
    ["x.png", "cable/x.png", "cable/train/x.png", "cable/test/good/a/x.png", "other/x.png",
     "cable/train/bad/x.png", "cable/ground_truth/x.png"],
)  # fmt: skip
def test_pictures_that_nobody_asked_for(root, place):
    picture(root / "results/train/curve.png")
    mvtec.read(root)
    picture(root / place)
    refused(root, rf"mvtec/{place}: a picture that is neither an image nor a mask")


def test_two_folders_of_one_part(root):
    picture(root / "cable/Test/good/009.png")
    refused(root, r"cable/test: .*cable/Test stands beside it for the same; keep one")


def test_folders_of_other_data_are_not_its_own(tmp_path):
    assert not mvtec.accepts(tmp_path)
    picture(tmp_path / "Class1/Train/1.png")
    picture(tmp_path / "train/good/1.png")
    picture(tmp_path / "train/bad/1.png")
    for part in ("test/good", "test/bad", "ground_truth/bad"):
        picture(tmp_path / part / "1.png")
    assert not mvtec.accepts(tmp_path)
    picture(tmp_path / "a/train/good/1.png")
    (tmp_path / "b").mkdir()
    assert mvtec.accepts(tmp_path)
