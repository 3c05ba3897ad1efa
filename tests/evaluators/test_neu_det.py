"""NEU-DET as it is published and as Kaggle has it."""

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.datasets import neu_det

OBJECT = (
    "<object><name>{}</name><difficult>0</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
    "<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)
OBJECTS = {
    "crazing_1": [("crazing", 2, 3, 5, 8)],
    "rolled-in_scale_2": [("rolled-in_scale", 1, 1, 4, 4), ("rolled-in_scale", 5, 5, 20, 20)],
    "inclusion_3": [("inclusion", 1, 2, 3, 4), ("patches", 2, 2, 6, 6)],
}


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 20), 90, np.uint8)).save(path)


def xml(path, objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    marked = "".join(OBJECT.format(*o) for o in objects)
    # As in the real files, some names lack their suffix.
    path.write_text(f"<annotation><filename>{path.stem}</filename>{marked}</annotation>")


@pytest.fixture
def official(tmp_path):
    for stem, objects in OBJECTS.items():
        image(tmp_path / f"n/IMAGES/{stem}.jpg")
        xml(tmp_path / f"n/ANNOTATIONS/{stem}.xml", objects)
    return tmp_path / "n"


@pytest.fixture
def kaggle(tmp_path):
    for split, stems in (("train", ("crazing_1",)), ("validation", tuple(OBJECTS)[1:])):
        for stem in stems:
            image(tmp_path / f"k/{split}/images/{stem.rpartition('_')[0]}/{stem}.jpg")
            xml(tmp_path / f"k/{split}/annotations/{stem}.xml", OBJECTS[stem])
    return tmp_path / "k"


def refused(root, word, error=ValueError, split=""):
    assert neu_det.accepts(root)
    with pytest.raises(error, match=word) as raised:
        neu_det.read(root, split)
    assert "\n" not in str(raised.value)


def told(dataset):
    return {s.image_id: (dataset.classes[s.label], s.boxes, s.present) for s in dataset.samples}


CRAZING = {"crazing_1": ("crazing", ((1, 2, 5, 8),), 1)}
OTHERS = {
    "rolled-in_scale_2": ("rolled-in_scale", ((0, 0, 4, 4), (4, 4, 20, 20)), 1),
    "inclusion_3/inclusion": ("inclusion", ((0, 1, 3, 4),), 2),
    "inclusion_3/patches": ("patches", ((1, 1, 6, 6),), 2),
}


def test_the_published_layout(official):
    dataset = datasets.load(str(official))
    assert (dataset.name, dataset.classes) == ("neu-det", neu_det.CLASSES)
    assert told(dataset) == {**CRAZING, **OTHERS}
    assert {s.split for s in dataset.samples} == {""}


def test_kaggle_s_layout(kaggle):
    dataset = datasets.load(str(kaggle))
    assert told(dataset) == OTHERS
    assert {s.split for s in dataset.samples} == {"validation"}
    assert told(neu_det.read(kaggle, "train")) == CRAZING
    refused(kaggle, "split is 'test'; there are: train, validation", split="test")


def test_an_image_belongs_where_its_file_lies(kaggle):
    (kaggle / "train/annotations/crazing_1.xml").rename(
        kaggle / "validation/annotations/crazing_1.xml"
    )
    assert told(neu_det.read(kaggle)) == OTHERS
    assert told(neu_det.read(kaggle, "train")) == CRAZING


def test_what_is_refused(official):
    xml(official / "ANNOTATIONS/crazing_9.xml", OBJECTS["crazing_1"])
    refused(official, r"crazing_9\.xml: no image of that name \(1 of 4 have none\)")
    image(official / "IMAGES/crazing_9.jpg")
    image(official / "IMAGES/patches_9.jpg")
    refused(official, r"patches_9\.jpg: no annotation of that name \(1 of 5 have none\)")
    xml(official / "ANNOTATIONS/patches_9.xml", [])
    refused(official, r"patches_9\.xml: names no object; expected one or more")
    xml(official / "ANNOTATIONS/patches_9.xml", [("dent", 1, 1, 2, 2)])
    refused(official, r"patches_9\.xml: class 'dent' is not one of")
    image(official / "IMAGES/dent_9.jpg")
    refused(official, r"dent_9\.jpg: the name begins with no class; accepted: <class>_<number>, of")
    (official / "IMAGES/dent_9.jpg").unlink()
    image(official / "IMAGES/inner/crazing_1.jpg")
    refused(official, r"crazing_1\.jpg: .* stands beside it for the same image")


def test_both_layouts_at_once(official, kaggle):
    (kaggle / "train").rename(official / "train")
    refused(official, "n: images in it and in train; expected IMAGES")


def test_a_split_of_what_has_none(official):
    refused(official, "split is 'train'; there are: none", split="train")


def test_other_data_are_not_its_own(tmp_path):
    assert not neu_det.accepts(tmp_path)
    image(tmp_path / "images/cat_1.jpg")
    (tmp_path / "annotations").mkdir()
    assert not neu_det.accepts(tmp_path)
