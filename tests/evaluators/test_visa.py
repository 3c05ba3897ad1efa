"""VisA by its list of images."""

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.datasets import dagm, good_bad, mvtec, visa
from camx.evaluators.tasks import defects
from camx.evaluators.tasks.defects import masks

GREY = np.full((6, 8), 90, np.uint8)
HEAD = "object,split,label,image,mask\n"


def normal(item, number, split):
    return f"{item},{split},normal,{item}/Data/Images/Normal/{number:04d}.JPG,\n"


def anomaly(item, number, split):
    place = f"{item}/Data"
    files = f"{place}/Images/Anomaly/{number:03d}.JPG,{place}/Masks/Anomaly/{number:03d}.png"
    return f"{item},{split},anomaly,{files}\n"


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path):
    """Two objects, masks of several kinds of defects."""
    root, lines = tmp_path / "VisA", [HEAD]
    for item in ("candle", "pcb1"):
        for number, split in ((0, "train"), (1, "test")):
            lines.append(normal(item, number, split))
            save(root / item / f"Data/Images/Normal/{number:04d}.JPG", GREY)
        for number, split in ((0, "train"), (1, "test")):
            lines.append(anomaly(item, number, split))
            save(root / item / f"Data/Images/Anomaly/{number:03d}.JPG", GREY)
            mask = np.zeros((6, 8), np.uint8)
            mask[2, 1:4], mask[4, 5] = 1, 11
            save(root / item / f"Data/Masks/Anomaly/{number:03d}.png", mask)
        (root / item / "image_anno.csv").write_text("image,label,mask\n")
    (root / "split_csv").mkdir()
    (root / "split_csv/2cls_highshot.csv").write_text("".join(lines))
    (root / "split_csv/1cls.csv").write_text(HEAD)
    return root


def listed(root, *lines):
    (root / "split_csv/2cls_highshot.csv").write_text(HEAD + "".join(lines))


def refused(root, word, error=ValueError):
    assert visa.accepts(root)
    with pytest.raises(error, match=word) as raised:
        visa.read(root)
    assert "\n" not in str(raised.value)


def test_the_list_says_everything(root):
    dataset = datasets.load(str(root), "defects")
    assert (dataset.name, dataset.model, dataset.classes) == ("visa", "resnet50", dagm.CLASSES)
    assert [(s.image_id, s.split, s.label, s.group) for s in dataset.samples[:4]] == [
        ("candle/Data/Images/Normal/0000", "train", 0, "candle"),
        ("candle/Data/Images/Normal/0001", "test", 0, "candle"),
        ("candle/Data/Images/Anomaly/000", "train", 1, "candle"),
        ("candle/Data/Images/Anomaly/001", "test", 1, "candle"),
    ]
    assert Counter(s.group for s in dataset.samples) == {"candle": 4, "pcb1": 4}
    assert [len(part) for part in defects.parts(dataset, defects.Options())] == [2]
    listed(root, normal("candle", 0, "test"), anomaly("candle", 1, "train"))
    assert [s.image_id for s in visa.read(root).samples] == ["0000", "001"]


def test_every_kind_of_defect_is_one(root):
    sample = visa.read(root).samples[2]
    truth = masks.truth(sample, (8, 6))
    assert [tuple(place) for place in np.argwhere(truth)] == [(2, 1), (2, 2), (2, 3), (4, 5)]
    assert masks.truth(sample, (16, 12)).sum() == 16
    pixels = np.zeros((6, 8), np.uint8)
    pixels[0, :3] = 1, 2, 255  # whatever is above 0, beside white too
    save(root / "candle/Data/Masks/Anomaly/000.png", pixels)
    assert masks.truth(sample, (8, 6)).sum() == 3


def test_masks_that_are_none(root):
    sample = visa.read(root).samples[2]
    save(root / "candle/Data/Masks/Anomaly/000.png", np.zeros((6, 8), np.uint8))
    with pytest.raises(ValueError, match=r"000\.png: the mask of a defective image marks nothing"):
        masks.truth(sample, (8, 6))
    save(root / "candle/Data/Masks/Anomaly/000.png", np.ones((7, 8), np.uint8))
    assert masks.truth(sample, (8, 6)).all()  # of another rounding
    save(root / "candle/Data/Masks/Anomaly/000.png", np.ones((8, 6), np.uint8))
    with pytest.raises(ValueError, match=r"000\.png: the mask is 6 x 8, but 000\.JPG is 8 x 6"):
        masks.truth(sample, (8, 6))


def test_one_object(root, monkeypatch):
    dataset = datasets.load(str(root / "pcb1"), "defects")
    together = [s for s in visa.read(root).samples if s.group == "pcb1"]
    assert [s.image_id for s in dataset.samples] == ["0000", "0001", "000", "001"]
    assert [replace(s, image_id=t.image_id) for s, t in zip(dataset.samples, together)] == together
    monkeypatch.chdir(root / "pcb1")
    here = datasets.load(".", "defects").samples
    assert [s.image_id for s in here] == ["0000", "0001", "000", "001"]
    listed(root, normal("candle", 0, "train"))
    refused(root / "pcb1", r"2cls_highshot\.csv: lists no image of pcb1; expected object,split")
    shutil.rmtree(root / "split_csv")
    word = r"VisA/split_csv/2cls_highshot\.csv: no such list of VisA's images .* beside <object>"
    refused(root / "pcb1", word, FileNotFoundError)


def test_no_list(root):
    (root / "split_csv/2cls_highshot.csv").unlink()
    refused(root, r"split_csv/2cls_highshot\.csv: no such list of VisA's", FileNotFoundError)
    shutil.rmtree(root / "split_csv")
    refused(root, r"split_csv/2cls_highshot\.csv: no such list of VisA's", FileNotFoundError)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("train,normal", "val,normal", "split is 'val'; accepted: train, test"),
        ("train,normal", "train,bad", "label is 'bad'; accepted: normal, anomaly"),
        ("candle,train", "pcb1,train", "the image candle/.*0000.JPG is not of the object 'pcb1'"),
        ("Normal/0000", "Normal/0007", "no such image .*VisA/candle/Data/Images/Normal/0007.JPG"),
        ("0000.JPG", "0000.JPG,,m", "7 values, but the header names 5"),
        ("candle/Data", "candle/../candle/Data", r"image: path 'candle/\.\./.* leaves the folder"),
        (
            "candle/Data",
            "/candle/Data",
            "image: path '/candle/.* leaves the folder .*VisA; expected",
        ),
        ("candle/Data", "C:/candle/Data", "image: path 'C:/candle/.* leaves the folder"),
        ("candle/Data", r"candle\..\Data", r"image: path 'candle.* leaves the folder"),
    ],
)
def test_what_is_wrong_in_a_line(root, old, new, word):
    line = normal("candle", 0, "train").replace(old, new)
    listed(root, normal("candle", 1, "test"), line)
    refused(root, rf"2cls_highshot\.csv, line 3: {word}", (ValueError, FileNotFoundError))


def test_masks_of_anomalies_and_of_these_only(root):
    mask = "candle/Data/Masks/Anomaly/001.png"
    listed(root, normal("candle", 0, "train").replace("JPG,", f"JPG,{mask}"))
    refused(root, f"line 2: a normal image has the mask {mask}; expected masks of anomalies")
    listed(root, anomaly("candle", 1, "test").replace(mask, ""))
    refused(root, "line 2: an anomaly without a mask; expected masks of anomalies")
    listed(root, anomaly("candle", 1, "test").replace(mask, mask.replace("001", "007")))
    refused(root, r"line 2: no such mask .*Anomaly/007\.png", FileNotFoundError)
    listed(root, anomaly("candle", 1, "test").replace(mask, "../m.png"))
    refused(root, r"line 2: mask: path '\.\./m\.png' leaves the folder")


def test_backslashes_separate_folders(root):
    expected = visa.read(root)
    path = root / "split_csv/2cls_highshot.csv"
    path.write_text(path.read_text().replace("/", "\\"))
    assert visa.read(root) == expected


def test_an_image_twice(root):
    listed(root, normal("candle", 0, "train"), normal("candle", 1, "test"),
           normal("candle", 0, "test"))  # fmt: skip
    word = r"line 4: candle/.*000{}\.JPG is listed twice, first in .*2cls_highshot\.csv, line 2"
    refused(root, word.format(0))
    folder = root / "candle/Data/Images/Normal"
    (folder / "0002.JPG").symlink_to(folder / "0000.JPG")
    listed(root, normal("candle", 0, "train"), normal("candle", 1, "test"),
           normal("candle", 2, "test"))  # fmt: skip
    refused(root, word.format(2))


def test_an_empty_list(root):
    listed(root)
    refused(root, "lists no image; expected object,split,label,image,mask")


def test_no_other_reader_takes_it(root, tmp_path):
    for folder in (root, root / "candle"):
        assert visa.accepts(folder)
        assert not any(reader.accepts(folder) for reader in (dagm, good_bad, mvtec))
    assert not visa.accepts(tmp_path / "none")
    (tmp_path / "empty/Data").mkdir(parents=True)
    assert not visa.accepts(tmp_path / "empty")
