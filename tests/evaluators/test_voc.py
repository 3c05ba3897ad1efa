"""VOC as it lies on disks: alone, with SBD's masks or lists, and with what may be missing."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluators import datasets, indices
from evaluators.datasets import voc
from evaluators.miniature import voc as drawn
from evaluators.types import Scene

LISTS = "ImageSets/Segmentation"


class Kit:
    """A VOC2012 folder to fill: pictures, annotations, masks and lists."""

    def __init__(self, folder):
        self.folder = folder

    def image(self, name, *objects, index=None, part="SegmentationClass"):
        """A picture; with objects, an XML that names them; with an index, a mask that holds it."""
        self._file(f"JPEGImages/{name}.jpg", lambda path: Image.new("RGB", (6, 4)).save(path))
        if objects:
            text = "".join(f"<object><name>{o}</name><part><name>head</name></part></object>" for o in objects)
            self._file(f"Annotations/{name}.xml", lambda path: path.write_text(f"<annotation>{text}</annotation>"))
        if index is not None:
            mask = np.array([[0, 255, index]], np.uint8)
            self._file(f"{part}/{name}.png", lambda path: indices.write_mask(path, mask))

    def list(self, name, text):
        self._file(f"{LISTS}/{name}.txt", lambda path: path.write_text(text))

    def _file(self, name, write):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)


@pytest.fixture
def kit(tmp_path):
    """Two images to train on, one to validate with, one of the test set."""
    made = Kit(tmp_path / "VOCdevkit/VOC2012")
    made.image("2007_01", "person", "dog", "person", index=12)
    made.image("2007_02", index=1)
    made.image("2007_03", "tvmonitor", index=20)
    made.image("2008_04")
    made.list("train", "2007_01\n2007_02\n")
    made.list("val", "2007_03\n")
    made.list("test", "2008_04\n")
    return made


@pytest.fixture
def augmented(kit):
    """With SBD's masks: of an image of its own, of one to train on and of one to validate with."""
    kit.image("2009_05", index=8, part="SegmentationClassAug")
    kit.image("2007_01", index=12, part="SegmentationClassAug")
    kit.image("2007_03", index=20, part="SegmentationClassAug")
    return kit


def load(kit, split="train"):
    return datasets.load(str(kit.folder), "segmentation", split)


def names(dataset):
    return [s.image_id for s in dataset.samples]


def test_every_root_reads_the_same(kit):
    for root in (kit.folder, kit.folder.parent, kit.folder.parents[1]):
        found = datasets.load(str(root), "segmentation", "train")
        assert (found.name, found.model, len(found.classes), found.root) == ("voc", "vgg16-cam", 20, root)
        assert found.samples == (
            Scene("2007_01", kit.folder / "JPEGImages/2007_01.jpg", (11, 14), kit.folder / "SegmentationClass/2007_01.png", "train"),
            Scene("2007_02", kit.folder / "JPEGImages/2007_02.jpg", (0,), kit.folder / "SegmentationClass/2007_02.png", "train"),
        )
    assert found.fingerprint == load(kit).fingerprint != load(kit, "val").fingerprint


def test_labels_come_from_the_xml_and_else_from_the_mask(kit):
    """The mask of 2007_01 holds the dog only; parts of objects are no classes; an XML that names nothing says nothing."""
    assert voc.CLASSES[11] == "dog"
    assert [s.labels for s in load(kit).samples] == [(11, 14), (0,)]
    (kit.folder / "Annotations/2007_01.xml").write_text("<annotation></annotation>")
    assert load(kit).samples[0].labels == (11,)


def test_test_images_need_no_labels(kit):
    assert load(kit, "test").samples == (Scene("2008_04", kit.folder / "JPEGImages/2008_04.jpg", (), None, "test"),)
    kit.list("train", "2008_04\n")
    with pytest.raises(
        ValueError, match=r"2008_04\.jpg: nothing says which classes are on it; expected objects in .*2008_04\.xml, or a mask"
    ):
        load(kit)


def test_difficult_objects_count(kit):
    path = kit.folder / "Annotations/2007_01.xml"
    path.write_text("<annotation><object><name> sofa </name><difficult>1</difficult></object></annotation>")
    assert load(kit).samples[0].labels == (17,)


@pytest.mark.parametrize(
    "text",
    [
        "2007_01\n2007_02",
        "\ufeff2007_01 \r\n\r\n 2007_02\t\r\n\r\n",
        "/JPEGImages/2007_01.jpg /SegmentationClassAug/2007_01.png\n/JPEGImages/2007_02.jpg /SegmentationClassAug/2007_02.png \n",
        "JPEGImages/2007_01.jpg\n2007_02.jpg 1\n",
    ],
)
def test_lists_as_they_are_written(kit, text):
    (kit.folder / LISTS / "train.txt").write_text(text, encoding="utf-8", newline="")
    assert names(load(kit)) == ["2007_01", "2007_02"]


def test_the_list_of_train_aug(augmented):
    for name in ("trainaug", "train_aug"):
        augmented.list(name, "/JPEGImages/2009_05.jpg /SegmentationClassAug/2009_05.png\n")
        found = load(augmented, "train_aug")
        assert [(s.image_id, s.labels, s.split) for s in found.samples] == [("2009_05", (7,), "train_aug")]


def test_train_aug_from_the_augmented_masks(augmented):
    found = load(augmented, "")
    assert names(found) == ["2007_01", "2007_02", "2009_05"]
    assert {s.split for s in found.samples} == {"train_aug"}
    assert [s.mask.parent.name for s in found.samples] == ["SegmentationClass", "SegmentationClass", "SegmentationClassAug"]
    augmented.list("trainval", "2009_05\n2007_03\n")
    assert names(load(augmented, "trainval")) == ["2009_05", "2007_03"]  # another split is what its list says


@pytest.mark.parametrize(
    "place", ["VOCdevkit/VOC2012/ImageSets/Segmentation/sbd_", "benchmark_RELEASE/dataset/", "VOCdevkit/benchmark_RELEASE/dataset/"]
)
def test_train_aug_from_sbd_s_lists(kit, tmp_path, place):
    kit.image("2010_06", "cat")
    kit.image("2010_07", "cow")
    train, val = (Path(f"{tmp_path}/{place}{name}.txt") for name in ("train", "val"))
    train.parent.mkdir(parents=True, exist_ok=True)
    train.write_text("2010_06\n2007_03\n")
    with pytest.raises(FileNotFoundError, match=r"val\.txt: no such list of images"):
        load(kit, "train_aug")
    val.write_text("2007_01\n2010_07\n")
    found = load(kit, "train_aug")
    assert names(found) == ["2007_01", "2007_02", "2010_06", "2010_07"]
    assert found.samples[2] == Scene("2010_06", kit.folder / "JPEGImages/2010_06.jpg", (7,), None, "train_aug")


def test_without_augmentation_train_aug_is_train_and_says_so(kit):
    found = load(kit, "train_aug")
    assert found == load(kit, "train")
    assert {s.split for s in found.samples} == {"train"}


@pytest.mark.parametrize(
    ("split", "text", "word"),
    [
        ("minival", None, r"minival\.txt: no such list of images; expected one id a line \(lists there: test, train, val\)"),
        ("train", "2007_01\n\n2007_01\n", r"train\.txt, line 3: 2007_01 is listed twice, first in line 1"),
        ("train", "\n", r"train\.txt: lists no image"),
        ("train", "2007_99\n", r"2007_99\.jpg: no such image, but the list of train names it"),
    ],
)
def test_what_is_wrong_in_a_list(kit, split, text, word):
    if text is not None:
        kit.list(split, text)
    with pytest.raises((ValueError, FileNotFoundError), match=word) as error:
        load(kit, split)
    assert "\n" not in str(error.value)


def test_what_is_wrong_in_an_annotation_or_a_mask(kit):
    kit.image("2007_01", "person", "unicorn")
    with pytest.raises(ValueError, match=r"2007_01\.xml: class 'unicorn' is not one of the data set's 20: aeroplane, bicycle"):
        load(kit)
    (kit.folder / "Annotations/2007_01.xml").write_text("<annotation>")
    with pytest.raises(ValueError, match=r"2007_01\.xml: not a VOC annotation"):
        load(kit)
    kit.image("2007_01", "person")
    kit.image("2007_02", index=21)
    with pytest.raises(ValueError, match=r"2007_02\.png: the mask holds the index 21; accepted: 0 to 20, and 255"):
        load(kit)


def test_classes_of_one_s_own(kit):
    (kit.folder / "classes.txt").write_text("person\ndog\n\n")
    kit.list("train", "2007_01\n")
    assert load(kit).classes == ("person", "dog")
    assert load(kit).samples[0].labels == (0, 1)
    for bad in ("", "dog\ndog\n", "".join(f"{n}\n" for n in range(255))):
        (kit.folder / "classes.txt").write_text(bad)
        with pytest.raises(ValueError, match=r"classes\.txt: \d+ names, .*expected 1 to 254"):
            load(kit)


def test_the_fingerprint_follows_every_change(kit):
    before = load(kit).fingerprint
    kit.image("2007_01", "person", index=12)
    assert load(kit).fingerprint != before  # another label
    kit.image("2007_01", "person", "dog")
    assert load(kit).fingerprint == before
    (kit.folder / "SegmentationClass/2007_01.png").unlink()
    assert load(kit).fingerprint != before


def test_another_folder_and_a_split_for_another_task(kit, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no data set for segmentation that camx knows: expected VOC2012/JPEGImages"):
        datasets.load(str(tmp_path / "empty"), "segmentation")
    with pytest.raises(ValueError, match="voc needs a folder"):
        datasets.load("voc", "segmentation")
    with pytest.raises(FileNotFoundError, match="no folder JPEGImages"):
        voc.read(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"split is 'val', but evaluators\.datasets\.mini\.read reads no splits for defects"):
        datasets.load("mini", "defects", "val")


PLUGIN = """
from pathlib import Path
from evaluators.types import Dataset, Sample, Scene

def read():
    return Dataset("mine", Path("."), ("a", "b"), ({},), "none")
"""


@pytest.mark.parametrize(
    ("item", "word"),
    [
        ("Scene('x', Path('x.jpg'), (0, 2))", r"x\.jpg: label 2 is not one of the 2 classes, 0\.\.1"),
        ("Scene('x', Path('x.jpg'), (1, 0))", r"x\.jpg: labels are \(1, 0\); expected each class once, ascending"),
        ("Scene('x', Path('x.jpg'), (1,), Path('x.png'))", r"x\.jpg: its mask x\.png is missing"),
        ("Sample('x', Path('x.jpg'), 1)", r"x\.jpg: the reader returned a Sample, which is not for segmentation"),
    ],
)
def test_scenes_of_a_reader_of_one_s_own(tmp_path, item, word):
    (tmp_path / "scenes.py").write_text(PLUGIN.format(item))
    with pytest.raises((ValueError, FileNotFoundError), match=word):
        datasets.load(str(tmp_path / "scenes.py"), "segmentation")
    with pytest.raises(ValueError, match=r"split is 'val', but scenes\.read reads no splits"):
        datasets.load(str(tmp_path / "scenes.py"), "segmentation", "val")


def test_the_miniature_s_part(tmp_path):
    drawn.write(tmp_path / "d", train=6, val=3)
    train, val, both = (datasets.load(str(tmp_path / "d"), "segmentation", split) for split in ("train", "val", "trainval"))
    assert names(both) == names(train) + names(val) == [f"mini_{n:06d}" for n in range(1, 10)]
    assert train.classes == drawn.CLASSES
    assert len(train.classes) == 10
    for scene in both.samples:
        mask = indices.read_mask(scene.mask, 10)
        assert Image.open(scene.path).size == mask.shape[::-1]
        assert set(mask.shape) <= set(range(128, 161))
        assert indices.labels(mask) == scene.labels
        assert 1 <= len(scene.labels) <= 3


def test_outlines_are_void():
    """No object touches the background or another object; what is neither void nor background is its object."""
    drawing = drawn.draw(3)
    mask = drawn.mask_of(drawing)
    assert np.array_equal(drawn.draw(3).image, drawing.image)
    assert len(set(drawing.labels)) == len(drawing.labels) > 1
    for label, truth in zip(drawing.labels, drawing.masks):
        assert truth[mask == label + 1].all()
        assert (mask[truth] == label + 1).mean() > 0.5
    for one, other in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):
        touching = one != other
        assert ((one == 255) | (other == 255))[touching].all()


def test_two_processes_may_render_at_once(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: drawn.write(tmp_path / "d", train=2, val=1), range(2)))
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_a_rendering_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(drawn, "annotation", lambda stem, drawing: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        drawn.write(tmp_path / "d", train=2, val=1)
    assert not list(tmp_path.iterdir())


def test_mini_reads_it(camx_home):
    found = datasets.load("mini", "segmentation", "val")
    assert (found.name, found.model, len(found.samples), len(found.classes)) == ("mini", "mini-vgg-voc", 100, 10)
    assert {label for s in found.samples for label in s.labels} == set(range(10))
    train = datasets.load("mini", "segmentation")
    assert (len(train.samples), {s.split for s in train.samples}) == (300, {"train"})
    left = datasets.without(found, _blacklist(camx_home, found.samples[0].image_id))
    assert names(left) == names(found)[1:]
    assert left.fingerprint != found.fingerprint


def _blacklist(folder, name):
    (folder / "black.txt").write_text(f"{name}.jpg\n")
    return folder / "black.txt"
