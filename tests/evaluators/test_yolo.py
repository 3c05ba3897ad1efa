"""YOLO's files: what data.yaml may say, boxes to the pixel, polygons as masks, background."""

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.datasets import _yolo_labels, yolo

YAML = "path: coco8\ntrain: images/train\nval: images/val\ntest:\nnames:\n  0: person\n  1: a/b\n"


class Folder:
    """A YOLO folder to fill: pictures of 20 x 10 and the lines of their labels."""

    def __init__(self, root):
        self.root = root

    def image(self, name, *lines, folder="images", suffix=".jpg", exif=None):
        picture = Image.new("RGB", (20, 10))
        kind = {} if exif is None else {"exif": exif}
        picture.save(self.place(f"{folder}/{name}{suffix}"), **kind)
        if lines:
            text = "".join(f"{line}\n" for line in lines)
            self.place(f"{folder.replace('images', 'labels')}/{name}.txt").write_text(text)

    def yaml(self, text=YAML, name="data.yaml"):
        self.place(name).write_text(text)

    def place(self, name):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@pytest.fixture
def data(tmp_path):
    made = Folder(tmp_path / "coco8")
    made.yaml()
    made.image("val/1", "0 0.5 0.5 0.5 0.4", "1 0.25 0.5 0.5 1", "0 0.1 0.2 0.1 0.2")
    made.image("val/2", "1 0.5 0.5 1 1")
    made.image("train/3", "0 0.5 0.5 1 1")
    return made


def load(data, split=""):
    return datasets.load(str(data.root), "localization", split)


def told(dataset):
    return [(s.image_id, s.label, s.boxes, s.present) for s in dataset.samples]


def test_boxes_and_classes(data):
    dataset = load(data)
    assert (dataset.name, dataset.classes) == ("coco8", ("person", "a/b"))
    assert told(dataset) == [
        ("1/person", 0, ((5, 3, 15, 7), (1, 1, 3, 3)), 2),
        ("1/a_b", 1, ((0, 0, 10, 10),), 2),
        ("2", 1, ((0, 0, 20, 10),), 1),
    ]
    assert {s.split for s in dataset.samples} == {"val"}
    assert {s.mask for s in dataset.samples} == {None}
    assert told(datasets.load(str(data.root / "data.yaml"))) == told(dataset)


def test_whole_boxes_come_back_from_six_digits(data):
    """Of every place and width, as exporters write them."""
    expected, lines = [], []
    for x0 in range(20):
        for x1 in range(x0 + 1, 21):
            lines.append(f"0 {(x0 + x1) / 40:.6f} 0.35 {(x1 - x0) / 20:.6f} 0.1")
            expected.append((x0, 3, x1, 4))
    data.image("val/1", *lines)
    assert list(load(data).samples[0].boxes) == expected


@pytest.mark.parametrize(
    ("line", "box"),
    [
        ("0 1 1 0.001 0.001", (19, 9, 20, 10)),
        ("0 0 0 0.001 0.001", (0, 0, 1, 1)),
        ("0 0.5 0.5 0.01 0.01", (10, 5, 11, 6)),
        ("0 0.05 0.5 0.2 1", (-1, 0, 3, 10)),  # cut at the edge once the picture is read
    ],
)
def test_a_box_is_at_least_a_pixel(data, line, box):
    data.image("val/2", line)
    assert load(data).samples[-1].boxes == (box,)


def test_polygons_are_masks(data):
    square = "1 0.1 0.2 0.5 0.2 0.5 0.8 0.1 0.8"
    triangle = "1 0.5 0 1 0 1 1"
    data.image("val/1", square, "0 0.5 0.5 0.5 0.5", triangle)
    data.image("val/2", square, "1 0.5 0.5 1 1")
    first, second, third = load(data).samples
    assert (first.boxes, first.mask) == (((5, 2, 15, 8),), None)
    assert (third.mask, len(third.boxes)) == (None, 2)
    assert second.boxes == ((2, 2, 10, 8), (10, 0, 20, 10))
    one, two = second.mask.parts((20, 10))
    expected = np.zeros((10, 20), bool)
    expected[2:8, 2:10] = True
    assert (one == expected).all()
    x, y = np.meshgrid(np.arange(20) + 0.5, np.arange(10) + 0.5)
    inside = (x - 10) / 10 - y / 10
    clear = np.abs(inside) > 1e-9  # centres on the edge may fall either way
    assert (two == (inside > 0))[clear].all()
    assert second.mask.boxes((40, 20))[0] == (4, 4, 20, 16)
    assert second.mask.read((20, 10)).sum() == (one | two).sum()


def test_the_fingerprint_follows_polygons(data):
    data.image("val/2", "1 0.1 0.2 0.5 0.2 0.5 0.8")
    before = load(data).fingerprint
    data.image("val/2", "1 0.1 0.2 0.5 0.2 0.5 0.8 0.3 0.3")
    assert load(data).fingerprint != before
    assert load(data).samples[-1].boxes == ((2, 2, 10, 8),)


def test_background_is_left_out(data):
    data.image("val/0")
    data.image("val/2", "")
    assert [s.image_id for s in load(data).samples] == ["1/person", "1/a_b"]
    (data.root / "labels/val/1.txt").unlink()
    (data.root / "labels/val/2.txt").unlink()
    word = r"none of the 3 images has labels; expected such as .*labels/val/0\.txt"
    with pytest.raises(FileNotFoundError, match=word):
        load(data)


def test_labels_without_their_image(data):
    data.place("labels/val/classes.txt").write_text("person\n")
    load(data)
    data.place("labels/val/9.txt").write_text("0 0.5 0.5 1 1\n")
    with pytest.raises(ValueError, match=r"labels/val/9\.txt: labels without their image"):
        load(data)


def test_splits(data):
    assert [(s.image_id, s.split) for s in load(data, "train").samples] == [("3", "train")]
    with pytest.raises(ValueError, match=r"data\.yaml: split is 'test'; there are: train, val$"):
        load(data, "test")
    data.yaml(YAML.replace("val:", "#"))
    with pytest.raises(ValueError, match="no split is called val or test; there are: train"):
        load(data)


def test_roboflow_s_folders(data):
    """Its ``../`` leads out of where the file lies."""
    data.yaml(
        "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['x', 'y']\n"
        "roboflow: {version: 1}\n"
    )
    data.image("a.rf.12ab", "1 0.5 0.5 1 1", folder="valid/images")
    assert told(load(data)) == [("a.rf.12ab", 1, ((0, 0, 20, 10),), 1)]


def test_lists_and_several_folders(data):
    data.image("more/deep/4", "0 0.5 0.5 1 1", suffix=".PNG")
    data.yaml(YAML.replace("val: images/val", "val: [images/val, images/more]"))
    assert [s.image_id for s in load(data).samples] == ["1/person", "1/a_b", "2", "4"]
    data.yaml(YAML.replace("val: images/val", "val: val.txt"))
    data.place("val.txt").write_text("./images/val/2.jpg\nimages/more/deep/4.PNG\n")
    assert [s.image_id for s in load(data).samples] == ["2", "4"]
    data.place("val.txt").write_text("images/val/2.jpg\nimages/val/9.jpg\n")
    with pytest.raises(FileNotFoundError, match=r"9\.jpg: no such image, though line 2 of .*val"):
        load(data)
    data.place("val.txt").write_text("/images/val/2.jpg\n")
    with pytest.raises(ValueError, match=r"val\.txt, line 1: path '/images/val/2\.jpg' l"):
        load(data)


def test_images_of_one_stem_are_called_by_their_paths(data):
    data.image("more/2", "0 0.5 0.5 1 1")
    data.yaml(YAML.replace("val: images/val", "val: [images/val, images/more]"))
    assert [s.image_id for s in load(data).samples] == [
        "images/val/1/person", "images/val/1/a_b", "images/val/2", "images/more/2"
    ]  # fmt: skip


def test_without_data_yaml(data):
    (data.root / "data.yaml").unlink()
    assert not yolo.accepts(data.root)
    data.place("labels/classes.txt").write_text("person\ndog\n")
    assert load(data).classes == ("person", "dog")
    assert [s.image_id for s in load(data, "train").samples] == ["3"]
    flat = Folder(data.root.parent / "flat")
    flat.place("classes.txt").write_text("person\n")
    flat.image("1", "0 0.5 0.5 1 1")
    assert [(s.image_id, s.split) for s in load(flat).samples] == [("1", "")]
    with pytest.raises(ValueError, match="split is 'val'; there are: none"):
        load(flat, "val")


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_picture_that_its_exif_turns(data, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    data.image("val/2", "0 0.5 0.5 1 1", exif=exif)
    with pytest.raises(ValueError, match=r"2\.jpg: its EXIF turns the picture"):
        load(data)
    exif[274] = 1
    data.image("val/2", "0 0.5 0.5 1 1", exif=exif)
    load(data)
    data.place("images/val/2.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"2\.jpg: not a readable image"):
        load(data)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("2 0.5 0.5 1 1", "class is '2'; expected a whole number below 2, those of .*/data.yaml"),
        (f"{'1' * 5000} 0.5 0.5 1 1", "class is '1"),
        ("-1 0.5 0.5 1 1", "class is '-1'"),
        ("person 0.5 0.5 1 1", "class is 'person'"),
        ("0 0.5 0.5 1", "4 values; expected class cx cy w h, or class x1"),
        ("0 0.5 0.5 1 1 0.9", "6 values; expected"),
        ("0 0.5 0.5 1 1 0 0 1", "8 values; expected"),
        ("0 0.5 0.5 1.01 1", r"'1\.01' is no share from 0 to 1"),
        ("0 0.5 -0.1 1 1", r"'-0\.1' is no share"),
        ("0 0.5 nan 1 1", "'nan' is no share"),
        ("0 0.5 0.5 1 x", "'x' is no share"),
        ("0 0 0 1 0 1 1.5", r"'1\.5' is no share"),
        ("0 0.5 0.5 0 1", "a box of no size"),
        ("0 0.5 0.5 1 0", "a box of no size"),
    ],
)
def test_what_is_wrong_in_a_line(data, line, word):
    data.image("val/2", "1 0.5 0.5 1 1", line)
    with pytest.raises(ValueError, match=rf"labels/val/2\.txt, line 2: {word}"):
        load(data)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("names: [", "not YAML"),
        ("- a", "expected the keys train, val, test and names"),
        (YAML + "nc: 3\n", "nc is 3, but there are 2 names"),
        (YAML + "kpt_shape: [17, 3]\n", "kpt_shape says that labels are of poses"),
        (YAML.replace("1: a/b", "2: b"), "names are of 0, 2; expected 0, 1, 2"),
        ("val: images/val\n", "names are None; expected a list"),
        ("val: images/val\nnames: []\n", r"names are \[\]; expected a list"),
        ("val: 3\nnames: [a]\n", "val is 3; expected a folder, or a list of such"),
        ("val: [3]\nnames: [a]\n", r"val is \[3\]; expected a folder"),
        ("val: /images/val\nnames: [a]\n", "path '/images/val' leaves the folder"),
        ("val: images/../../x\nnames: [a]\n", r"path 'images/\.\./\.\./x' leaves the folder"),
        ("val: images/dev\nnames: [a]\n", "no such folder of images .*images/dev"),
        (YAML.replace("path: coco8", "path: /content/other"), "path is '/content/other', which is"),
        (YAML.replace("path: coco8", "path: .."), r"path is '\.\.', which is no folder below"),
        (YAML.replace("path: coco8", "path: dev"), "path is 'dev', which is no folder below"),
    ],
)
def test_what_is_wrong_in_data_yaml(data, text, word):
    data.yaml(text)
    with pytest.raises((ValueError, FileNotFoundError), match=rf"data\.yaml: {word}") as error:
        load(data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", ["", ".", "/content/coco8", "../datasets/coco8", "coco8"])
def test_a_folder_may_have_been_moved(data, path):
    data.yaml(YAML.replace("path: coco8", f"path: {path}"))
    assert len(load(data).samples) == 3
    data.root.rename(data.root / "../other")


def test_path_may_be_a_folder_below(data):
    data.yaml("path: images\nval: val\nnc: 2\n")
    assert load(data).classes == ("class_0", "class_1")
    assert len(load(data).samples) == 3


def test_masks_say_how_they_are_read(tmp_path):
    mask = _yolo_labels.Polygons(tmp_path / "1.txt", 3, ((0.1, 0.1, 0.2, 0.1, 0.2, 0.2),))
    assert (mask.files, mask.rule) == (
        (tmp_path / "1.txt",), "polygons of class 3, by pixels' centres"
    )  # fmt: skip
    assert mask.boxes((2, 2)) == ()  # no pixel's centre lies in it


def test_the_last_folder_of_images_is_that_of_labels(data):
    data.image("deep/images/9")
    data.place("images/deep/labels/9.txt").write_text("0 0.5 0.5 1 1\n")
    data.yaml(YAML.replace("val: images/val", "val: images/deep/images"))
    assert [s.image_id for s in load(data).samples] == ["9"]


def test_a_pixel_is_the_object_s_where_its_centre_is(tmp_path):
    """Of a side of 10 that begins at 2.45 the third pixel, whose centre is at 2.5, is in."""
    corners = [(0.245, 0.245), (0.755, 0.245), (0.755, 0.755), (0.245, 0.755)]
    for shift, first, last in ((0.0, 2, 7), (0.01, 3, 7), (-0.01, 2, 6)):
        outline = tuple(share + shift for corner in corners for share in corner)
        (part,) = _yolo_labels.Polygons(tmp_path / "1.txt", 0, (outline,)).parts((10, 10))
        expected = np.zeros((10, 10), bool)
        expected[first : last + 1, first : last + 1] = True
        assert (part == expected).all()


def test_a_list_without_an_image(data):
    data.yaml(YAML.replace("val: images/val", "val: val.txt"))
    for text in ("", "\n \n"):
        data.place("val.txt").write_text(text)
        with pytest.raises(ValueError, match=r"val\.txt: lists no image; expected one a line"):
            load(data)
