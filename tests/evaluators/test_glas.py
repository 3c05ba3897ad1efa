"""GlaS by its list of grades."""

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.datasets import glas

HEAD = "name,patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)\n"
LINES = (
    "testA_1,4, benign, adenomatous\n",
    "testB_1,5, malignant, moderately differentiated\n",
    "train_1,1, malignant, poorly differentiated\n",
)


@pytest.fixture
def root(tmp_path):
    for name in ("testA_1", "testB_1", "train_1"):
        Image.fromarray(np.full((6, 8, 3), 200, np.uint8)).save(tmp_path / f"{name}.bmp")
        mask = np.zeros((6, 8), np.uint8)
        mask[1, 1:3], mask[4, 5:8] = 1, 7
        Image.fromarray(mask).save(tmp_path / f"{name}_anno.bmp")
    (tmp_path / "Grade.csv").write_text(HEAD + "".join(LINES))
    return tmp_path


def refused(root, word, error=ValueError, split=""):
    assert glas.accepts(root)
    with pytest.raises(error, match=word) as raised:
        glas.read(root, split)
    assert "\n" not in str(raised.value)


def test_glands_are_the_object(root):
    dataset = datasets.load(str(root))
    assert (dataset.name, dataset.classes) == ("glas", ("benign", "malignant"))
    assert [(s.image_id, s.label, s.split) for s in dataset.samples] == [
        ("testA_1", 0, "test"), ("testB_1", 1, "test"),
    ]  # fmt: skip
    mask = dataset.samples[0].mask.read((8, 6))
    assert [tuple(place) for place in np.argwhere(mask == 1)] == [
        (1, 1), (1, 2), (4, 5), (4, 6), (4, 7),
    ]  # fmt: skip
    assert dataset.samples[0].within((8, 6)).boxes == ((1, 1, 8, 5),)


def test_the_splits(root):
    assert [s.image_id for s in glas.read(root, "train").samples] == ["train_1"]
    refused(root, "split is 'val'; there are: train, test", split="val")


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("benign", "good", "line 2: grade is 'good'; accepted: benign, malignant"),
        ("testA_1", "val_1", "line 2: name is 'val_1'; accepted: train_<number>, testA_<number>"),
        ("testB_1", "testA_1", r"line 3: testA_1 is listed twice, first in .*Grade\.csv, line 2"),
        ("testB_1", "testB_2", r"line 3: no such image .*testB_2\.bmp"),
        ("grade (GlaS)", "grade", r"column 'grade \(GlaS\)' is missing"),
    ],
)
def test_what_is_wrong_in_the_list(root, old, new, word):
    text = (root / "Grade.csv").read_text()
    (root / "Grade.csv").write_text(text.replace(old, new))
    refused(root, rf"Grade\.csv.* ?{word}", (ValueError, FileNotFoundError))


def test_images_masks_and_grades_belong_together(root):
    (root / "train_1_anno.bmp").rename(root / "train_9_anno.bmp")
    refused(root, r"train_1\.bmp: no mask train_1_anno of it \(1 of 3 have none\)")
    Image.open(root / "train_9_anno.bmp").save(root / "train_1_anno.bmp")
    refused(root, r"train_9_anno\.bmp: no image of it \(1 of 4 have none\)")
    (root / "train_9_anno.bmp").unlink()
    (root / "Grade.csv").write_text(HEAD + "".join(LINES[:2]))
    refused(root, r"train_1\.bmp: no grade of it \(1 of 3 have none\)")


def test_other_folders_are_not_its_own(tmp_path):
    assert not glas.accepts(tmp_path)
    assert not glas.accepts(tmp_path / "none")
