"""Defect data as factories and mirrors bring it."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from camcore import views
from evaluators import datasets, masks
from evaluators.datasets import dagm


def picture(path, size=(8, 6), value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size[::-1], value, np.uint8)).save(path)
    return path


@pytest.fixture
def official(tmp_path):
    for kind in (1, 2, 10):
        for split, number in (("Train", 3), ("Train", 4), ("Test", 1), ("Test", 2)):
            picture(tmp_path / f"Class{kind}/{split}/{number:04d}.PNG")
            if number % 2 == 0:
                label = picture(tmp_path / f"Class{kind}/{split}/Label/{number:04d}_label.PNG")
                Image.fromarray(np.eye(6, 8, dtype=np.uint8) * 255).save(label)
        (tmp_path / f"Class{kind}/Train/Label/Labels.txt").write_text("1\n")
    return tmp_path


def test_the_official_layout(official):
    found = datasets.load(str(official), "defects")
    assert (found.name, found.classes, found.model) == ("dagm", ("good", "defective"), "resnet50")
    assert Counter((s.split, s.label) for s in found.samples) == {("train", 0): 3, ("train", 1): 3, ("test", 0): 3, ("test", 1): 3}
    assert [s.image_id for s in found.samples[:4]] == ["Class1/Train/0003", "Class1/Train/0004", "Class1/Test/0001", "Class1/Test/0002"]
    assert found.samples[-1].group == "Class10"  # after Class2
    defective = found.samples[1]
    assert masks.truth(defective, (8, 6)).sum() == 6


def test_names_are_stems_where_they_can_be(official):
    found = datasets.load(str(official / "Class1"), "defects")
    assert [s.image_id for s in found.samples] == ["0003", "0004", "0001", "0002"]


def test_a_mask_without_its_image(official):
    picture(official / "Class1/Test/Label/0009_label.PNG")
    with pytest.raises(ValueError, match=r"0009_label\.PNG: a mask without its image; expected .*0009\.PNG"):
        datasets.load(str(official), "defects")


def test_two_files_of_one_image(official):
    picture(official / "Class1/Test/0001.jpg")
    with pytest.raises(ValueError, match=r"stands beside it for the same image"):
        datasets.load(str(official), "defects")


def test_an_empty_folder_and_one_of_another_task(tmp_path, official):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no data set for defects that camx knows: expected Class\*"):
        datasets.load(str(tmp_path / "empty"), "defects")
    with pytest.raises(ValueError, match="no data set for localization"):
        datasets.load(str(official), "localization")
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such data folder or file"):
        datasets.load("none.csv", "defects")


def test_the_older_mirror(tmp_path):
    for number in range(1, 7):
        picture(tmp_path / f"Class1/{number}.png", (64, 48))
    for number in (1, 2):
        picture(tmp_path / f"Class1_def/{number}.png", (64, 48))
    (tmp_path / "Class1_def/labels.txt").write_text("1\t10\t5\t0.0\t30\t20\n2.\t8 4 1.5708 40 24\n\n")
    found = datasets.load(str(tmp_path), "defects")
    assert Counter((s.split, s.label) for s in found.samples) == {("train", 0): 3, ("train", 1): 1, ("test", 0): 3, ("test", 1): 1}
    first, second = (masks.truth(s, (64, 48)) for s in sorted((s for s in found.samples if s.label), key=lambda s: s.path))
    assert first[20, 40]
    assert not first[20, 41]
    assert first.sum() == pytest.approx(np.pi * 50, rel=0.05)
    assert second[31, 40]
    assert not second[24, 46]
    (tmp_path / "Class1_def/labels.txt").write_text("1 10 5 0 30\n")
    with pytest.raises(ValueError, match=r"labels\.txt: line 1 is '1 10 5 0 30'; expected"):
        datasets.load(str(tmp_path), "defects")
    (tmp_path / "Class1_def/labels.txt").write_text("1 10 5 0 30 20\n")
    with pytest.raises(ValueError, match=r"2\.png: .*labels\.txt has no line for it"):
        datasets.load(str(tmp_path), "defects")


@pytest.fixture
def factory(tmp_path):
    picture(tmp_path / "pics/good.png")
    picture(tmp_path / "pics/bad.jpg", (20, 30))
    picture(tmp_path / "pics/worse.png", (9, 5))
    picture(tmp_path / "masks/bad.png", (20, 30), 255)
    return tmp_path


HEAD = "image,defective,mask,split\n"


def manifest(folder, text):
    (folder / "mine.csv").write_text(text)
    return datasets.load(str(folder / "mine.csv"), "defects")


def test_a_manifest(factory):
    found = manifest(factory, HEAD + "pics/good.png,0,,train\npics/bad.jpg,1,masks/bad.png,test\npics/worse.png,yes,,Train\n")
    assert [(s.image_id, s.label, s.split, bool(s.mask)) for s in found.samples] == [
        ("good", 0, "train", False), ("bad", 1, "test", True), ("worse", 1, "train", False),
    ]  # fmt: skip
    assert found.name == "mine"
    spaced = manifest(factory, "﻿mask, image, split, defective, note\n,pics/good.png, test, good, x\n")
    assert spaced.samples[0].split == "test"


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ("pics/none.png,0,,train\n", r"line 2: no such image .*none\.png"),
        ("pics/good.png,0,,train\npics/../pics/good.png,0,,test\n", r"line 3: pics/\.\./pics/good\.png is listed twice, first in line 2"),
        ("pics/good.png,maybe,,train\n", "line 2: defective is 'maybe'; accepted: 0"),
        ("pics/good.png,0,,dev\n", "line 2: split is 'dev'; accepted: train, test"),
        ("pics/bad.jpg,1,masks/none.png,test\n", r"line 2: no such mask .*none\.png"),
        ("pics/bad.jpg,0,masks/bad.png,test\n", "line 2: a good image has the mask"),
        ("", "lists no image"),
    ],
)
def test_what_is_wrong_in_a_manifest(factory, lines, word):
    with pytest.raises((ValueError, FileNotFoundError), match=word):
        manifest(factory, HEAD + lines)


def test_a_manifest_needs_its_columns(factory):
    with pytest.raises(ValueError, match="column 'mask' is missing; expected image,defective,mask,split"):
        manifest(factory, "image,defective,split\n")


def test_sixteen_bits_of_grey(tmp_path):
    """65535 is white and 32896 is middle grey; PIL alone would cut both to 255."""
    Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert np.asarray(views.read_image(tmp_path / "deep.png"))[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


def test_the_miniature_s_part(camx_home):
    found = datasets.load("mini", "defects")
    assert (found.name, found.model) == ("mini", "mini-defects")
    assert Counter((s.split, s.label) for s in found.samples) == {("train", 0): 300, ("train", 1): 300, ("test", 0): 100, ("test", 1): 100}
    assert len({s.group for s in found.samples}) == 10
    assert all(dagm.pictures(folder) for folder in (found.root / "Class3/Train", found.root / "Class3/Test/Label"))
    assert all(masks.truth(s, (128, 128)).sum() >= 30 for s in found.samples if s.label)
