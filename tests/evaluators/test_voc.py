"""VOC as it lies on disks: alone, with SBD's masks or lists, and with what may be missing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets, voc_masks
from camx.evaluators.datasets import voc
from camx.evaluators.types import Scene

LISTS = "ImageSets/Segmentation"


class Kit:
    """A VOC2012 folder to fill: pictures, annotations, masks and lists."""

    def __init__(self, folder):
        self.folder = folder

    def image(self, name, *objects, index=None, part="SegmentationClass"):
        """A picture; with objects, an XML that names them; with an index, a mask that holds it."""
        self._file(f"JPEGImages/{name}.jpg", lambda path: Image.new("RGB", (6, 4)).save(path))
        if objects:
            part_of = "<part><name>head</name></part>"
            text = "".join(f"<object><name>{o}</name>{part_of}</object>" for o in objects)
            text = f"<annotation>{text}</annotation>"
            self._file(f"Annotations/{name}.xml", lambda path: path.write_text(text))
        if index is not None:
            mask = np.array([[0, 255, index]], np.uint8)
            self._file(f"{part}/{name}.png", lambda path: voc_masks.write_mask(path, mask))

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
        dataset = datasets.load(str(root), "segmentation", "train")
        assert (dataset.name, dataset.model, dataset.root) == ("voc", "vgg16-cam", root)
        assert len(dataset.classes) == 20
        paths = [
            (kit.folder / f"JPEGImages/{name}.jpg", kit.folder / f"SegmentationClass/{name}.png")
            for name in ("2007_01", "2007_02")
        ]
        assert dataset.samples == (
            Scene("2007_01", paths[0][0], (11, 14), paths[0][1], "train"),
            Scene("2007_02", paths[1][0], (0,), paths[1][1], "train"),
        )
    assert dataset.fingerprint == load(kit).fingerprint != load(kit, "val").fingerprint


def test_labels_come_from_the_xml_and_else_from_the_mask(kit):
    """The mask of 2007_01 holds the dog only; parts of objects are no classes; an XML that names
    nothing says nothing.
    """
    assert voc.CLASSES[11] == "dog"
    assert [s.labels for s in load(kit).samples] == [(11, 14), (0,)]
    (kit.folder / "Annotations/2007_01.xml").write_text("<annotation></annotation>")
    assert load(kit).samples[0].labels == (11,)


def test_test_images_need_no_labels(kit):
    path = kit.folder / "JPEGImages/2008_04.jpg"
    assert load(kit, "test").samples == (Scene("2008_04", path, (), None, "test"),)
    kit.list("train", "2008_04\n")
    word = r"nothing says which classes are on it; expected objects in .*2008_04\.xml, or a mask"
    with pytest.raises(ValueError, match=rf"2008_04\.jpg: {word}"):
        load(kit)


def test_difficult_objects_count(kit):
    sofa = "<object><name> sofa </name><difficult>1</difficult></object>"
    path = kit.folder / "Annotations/2007_01.xml"
    path.write_text(f"<annotation>{sofa}</annotation>")
    assert load(kit).samples[0].labels == (17,)


@pytest.mark.parametrize(
    "text",
    [
        "2007_01\n2007_02",
        "\ufeff2007_01 \r\n\r\n 2007_02\t\r\n\r\n",
        "/JPEGImages/2007_01.jpg /SegmentationClassAug/2007_01.png\n"
        "/JPEGImages/2007_02.jpg /SegmentationClassAug/2007_02.png \n",
        "JPEGImages/2007_01.jpg\n2007_02.jpg 1\n",
    ],
)
def test_lists_as_they_are_written(kit, text):
    (kit.folder / LISTS / "train.txt").write_text(text, encoding="utf-8", newline="")
    assert names(load(kit)) == ["2007_01", "2007_02"]


def test_the_list_of_train_aug(augmented):
    for name in ("trainaug", "train_aug"):
        augmented.list(name, "/JPEGImages/2009_05.jpg /SegmentationClassAug/2009_05.png\n")
        (scene,) = load(augmented, "train_aug").samples
        assert (scene.image_id, scene.labels, scene.split) == ("2009_05", (7,), "train_aug")


def test_train_aug_from_the_augmented_masks(augmented):
    dataset = load(augmented, "")
    assert names(dataset) == ["2007_01", "2007_02", "2009_05"]
    assert {s.split for s in dataset.samples} == {"train_aug"}
    folders = [s.mask.parent.name for s in dataset.samples]
    assert folders == ["SegmentationClass", "SegmentationClass", "SegmentationClassAug"]
    augmented.list("trainval", "2009_05\n2007_03\n")  # another split is what its list says
    assert names(load(augmented, "trainval")) == ["2009_05", "2007_03"]


@pytest.mark.parametrize(
    "place",
    [
        "VOCdevkit/VOC2012/ImageSets/Segmentation/sbd_",
        "benchmark_RELEASE/dataset/",
        "VOCdevkit/benchmark_RELEASE/dataset/",
    ],
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
    dataset = load(kit, "train_aug")
    assert names(dataset) == ["2007_01", "2007_02", "2010_06", "2010_07"]
    path = kit.folder / "JPEGImages/2010_06.jpg"
    assert dataset.samples[2] == Scene("2010_06", path, (7,), None, "train_aug")


def test_without_augmentation_train_aug_is_train_and_says_so(kit):
    dataset = load(kit, "train_aug")
    assert dataset == load(kit, "train")
    assert {s.split for s in dataset.samples} == {"train"}


@pytest.mark.parametrize(
    ("split", "text", "word"),
    [
        (
            "minival",
            None,
            r"minival\.txt: no such list of images; .*\(lists there: test, train, val\)",
        ),
        ("train", "2007_01\n\n2007_01\n", r"train\.txt, line 3: 2007_01 .* twice, first in line 1"),
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
    word = "class 'unicorn' is not one of the data set's 20: aeroplane, bicycle"
    with pytest.raises(ValueError, match=rf"2007_01\.xml: {word}"):
        load(kit)
    (kit.folder / "Annotations/2007_01.xml").write_text("<annotation>")
    with pytest.raises(ValueError, match=r"2007_01\.xml: not a VOC annotation"):
        load(kit)
    kit.image("2007_01", "person")
    kit.image("2007_02", index=21)
    word = "the mask holds the index 21; accepted: 0 to 20, and 255"
    with pytest.raises(ValueError, match=rf"2007_02\.png: {word}"):
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


@pytest.mark.parametrize(
    "head",
    [
        ("background",), ("_background_",), ("__background__",), ("Background",), ("__ignore__",),
        ("__ignore__", "_background_"), ("_background_", "__IGNORE__"), ("__void__",),
    ],
)  # fmt: skip
@pytest.mark.parametrize("tail", [(), ("__ignore__",), ("void",), ("ambiguous",), ("__void__",)])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_background_is_no_class(kit, head, tail, mark):
    """VOC's indices are as without it: the mask's 12 is the dog, label 11."""
    text = mark + "".join(f"{name}\r\n" for name in (*head, *voc.CLASSES, *tail))
    (kit.folder / "classes.txt").write_text(text, "utf-8", newline="")
    (kit.folder / "Annotations/2007_01.xml").unlink()
    dataset = load(kit)
    assert dataset.classes == voc.CLASSES
    assert [s.labels for s in dataset.samples] == [(11,), (0,)]


def test_a_background_amid_the_classes(kit):
    for names in ("dog person background", "dog __ignore__ person", "dog _background_ __ignore__"):
        (kit.folder / "classes.txt").write_text(names.replace(" ", "\n"))
        with pytest.raises(ValueError, match=r"classes\.txt: '.*' is no class, but is number [23]"):
            load(kit)
    kit.list("train", "2007_01\n")
    (kit.folder / "classes.txt").write_text("person\ndog\nvoid\n")  # voids in castings
    assert load(kit).classes == ("person", "dog", "void")


def test_names_in_any_case(kit):
    expected = [(s.image_id, s.labels, bool(s.mask)) for s in load(kit).samples]
    for old, new in [
        ("JPEGImages/2007_01.jpg", "JPEGImages/2007_01.JPG"),
        ("JPEGImages/2007_02.jpg", "JPEGImages/2007_02.jpeg"),
        ("SegmentationClass/2007_02.png", "SegmentationClass/2007_02.PNG"),
        ("Annotations/2007_01.xml", "Annotations/2007_01.XML"),
        ("SegmentationClass", "segmentationclass"),
        ("Annotations", "annotations"),
        ("JPEGImages", "JpegImages"),
        ("ImageSets", "imagesets"),
    ]:
        (kit.folder / old).rename(kit.folder / new)
    for name in ("JpegImages/._2007_01.jpg", "segmentationclass/._2007_02.png"):
        (kit.folder / name).write_bytes(b"\0")
    assert [(s.image_id, s.labels, bool(s.mask)) for s in load(kit).samples] == expected


def test_lists_are_utf_8(kit):
    for name in (f"{LISTS}/train.txt", "classes.txt"):
        (kit.folder / name).write_text("chaîne\n", "latin-1")
        with pytest.raises(ValueError, match=rf"{name}: not a list in UTF-8"):
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
    word = "no data set for segmentation that camx knows: expected VOC2012/JPEGImages"
    with pytest.raises(ValueError, match=word):
        datasets.load(str(tmp_path / "empty"), "segmentation")
    with pytest.raises(ValueError, match="voc needs a folder"):
        datasets.load("voc", "segmentation")
    with pytest.raises(FileNotFoundError, match="no folder JPEGImages"):
        voc.read(tmp_path / "empty")
    word = r"'val', but mini reads no splits for defects"
    with pytest.raises(ValueError, match=word):
        datasets.load("mini", "defects", "val")


PLUGIN = """
from pathlib import Path
from camx.evaluators.types import Dataset, Sample, Scene

def read():
    P = Path("x.jpg")
    return Dataset("mine", Path("."), ("a", "b"), ({},), "none")
"""


@pytest.mark.parametrize(
    ("item", "word"),
    [
        ("Scene('x', P, (0, 2))", r"label 2 is not one of the 2 classes, 0\.\.1"),
        ("Scene('x', P, (1, 0))", r"labels are \(1, 0\); expected each class once, ascending"),
        ("Scene('x', P, (1,), Path('x.png'))", r"its mask x\.png is missing"),
        ("Sample('x', P, 1)", "the reader returned a Sample, which is not for segmentation"),
    ],
)
def test_scenes_of_a_reader_of_one_s_own(tmp_path, item, word):
    (tmp_path / "scenes.py").write_text(PLUGIN.format(item))
    with pytest.raises((ValueError, FileNotFoundError), match=rf"x\.jpg: {word}"):
        datasets.load(str(tmp_path / "scenes.py"), "segmentation")
    with pytest.raises(ValueError, match=r"split is 'val', but .*scenes\.py reads no splits"):
        datasets.load(str(tmp_path / "scenes.py"), "segmentation", "val")
