"""ILSVRC as people have it: a part of it, in another order, half sorted into folders."""

import os
import shutil

import numpy as np
import pytest
import scipy.io
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.datasets import _ilsvrc_boxes as boxes
from camx.evaluators.datasets import ilsvrc

WNIDS = ("n02119789", "n02100735", "n02110185", "n02096294", "n02102040")  # 1 to 5 of the devkit
LABELS = (278, 212, 250, 193, 217)  # of these, among the thousand sorted


def stem(number):
    return f"ILSVRC2012_val_{number:08d}"


def box(number):
    """The box of image `number`, as no other has it."""
    return number, number, number + 20, number + 30


def place(number):
    """Which of `WNIDS` an image is of."""
    return number % len(WNIDS)


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 60)).save(path)


def val_box(path, count, ids=lambda number: place(number) + 1):
    """A file as the devkit has it: of every image from 1 its box and its class's number."""
    objects = np.empty((1, count), [("objects", "O")])
    for number in range(1, count + 1):
        item = np.empty((1, 1), [("label", "O"), ("bbox", "O")])
        item[0, 0] = (ids(number), np.array([box(number)], np.uint8))
        objects[0, number - 1] = (item,)
    scipy.io.savemat(path, {"rec": objects})


def val_list(root, numbers, label=lambda number: LABELS[place(number)]):
    lines = (f"{stem(number)}.JPEG {label(number)}\n" for number in numbers)
    (root / "val_list.txt").write_text("".join(lines))


@pytest.fixture
def root(tmp_path):
    """Images 1 to 10, flat, and the devkit's boxes."""
    for number in range(1, 11):
        picture(tmp_path / f"val/{stem(number)}.JPEG")
    val_box(tmp_path / "val_box.mat", 10)
    return tmp_path


def keep(root, numbers):
    for path in (root / "val").iterdir():
        if boxes.number_of(path.name) not in numbers:
            path.unlink()


def read(root):
    """``{number: (label, boxes)}``"""
    samples = datasets.load(str(root)).samples
    return {boxes.number_of(s.image_id): (s.label, s.boxes) for s in samples}


def right(numbers):
    return {number: (LABELS[place(number)], (box(number),)) for number in numbers}


def refused(root, word):
    with pytest.raises((ValueError, FileNotFoundError), match=word) as error:
        datasets.load(str(root))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("numbers", [(3, 5, 6), (6, 3, 5), tuple(range(10, 0, -1)), (1, 2, 3)])
def test_boxes_are_by_the_number_in_the_name(root, numbers):
    """Whatever part is listed, in whatever order."""
    keep(root, numbers)
    val_list(root, numbers)
    assert read(root) == right(numbers)


def test_images_may_lack_where_all_are_listed(root):
    val_list(root, range(1, 11))
    keep(root, (4, 9))
    assert read(root) == right((4, 9))


def test_names_without_numbers_go_by_whole_lists_only(root):
    for number, name in enumerate("abcdefghij", 1):
        (root / f"val/{stem(number)}.JPEG").rename(root / f"val/{name}.JPEG")
    lines = [f"{name}.JPEG {LABELS[place(n)]}\n" for n, name in enumerate("abcdefghij", 1)]
    (root / "val_list.txt").write_text("".join(lines))
    assert [s.boxes for s in datasets.load(str(root)).samples] == [(box(n),) for n in range(1, 11)]
    (root / "val_list.txt").write_text("".join(lines[2:]))
    keep_names = ("a", "b")
    for name in keep_names:
        (root / f"val/{name}.JPEG").unlink()
    refused(root, r"c\.JPEG: its name holds no number .* 8 lines for the 10 images of val_box")


def test_a_list_for_another_file_of_boxes(root):
    val_box(root / "val_box.mat", 3)
    val_list(root, (3, 5, 6))
    keep(root, (3,))
    refused(
        root, r"val_list\.txt: ILSVRC2012_val_00000005 is listed, but val_box\.mat has 3 images"
    )
    (root / "val_list.txt").unlink()
    (root / f"val/{WNIDS[0]}").mkdir()
    picture(root / f"val/{WNIDS[0]}/{stem(5)}.JPEG")
    (root / f"val/{stem(3)}.JPEG").unlink()
    refused(root, r"val_box\.mat has the images 1 to 3, and this is number 5")


@pytest.mark.parametrize(
    ("label", "word"),
    [
        (lambda n: LABELS[place(n + (n == 4))], "00000004.* n02102040, number 5, but .*class 5"),
        (lambda n: 999 if n == 4 else LABELS[place(n)], "00000004.*class is n15075141"),
        (lambda n: 1000 if n == 4 else LABELS[place(n)], "label 1000 is not one of the data set's"),
        (lambda n: 4 - place(n), r"class is n01491361, number \d+, but"),
    ],
)
def test_the_class_is_that_of_val_box(root, label, word):
    val_list(root, range(1, 11), label)
    if "class 5" in word:
        word = "00000004.*class is n02119789, number 1, but .*says class 5"
    refused(root, word)


def test_numbers_of_other_classes_are_one_each(root):
    """Ten classes of one's own have no number of the devkit's."""
    wnids = [f"n9000000{i}" for i in range(5)]
    (root / "LOC_synset_mapping.txt").write_text("".join(f"{w} thing\n" for w in wnids))
    val_list(root, range(1, 11), place)
    for ids in (lambda n: 700 + 3 * place(n), lambda n: place(n) + 1, lambda n: wnids[place(n)]):
        val_box(root / "val_box.mat", 10, ids)
        assert read(root)[7] == (2, (box(7),))
    val_box(root / "val_box.mat", 10, lambda n: 700 + place(n) * (n != 7))
    refused(root, "00000007.JPEG: its class is n90000002, number 702, but .*says class 700")
    val_box(root / "val_box.mat", 10, lambda n: 700)
    refused(root, "00000002.JPEG: its class is n90000002, but .*class 700, which is n90000001")


def test_the_thousand_classes_as_the_devkit_numbers_them():
    assert sorted(ilsvrc.read_classes(boxes.Path("nowhere"))) == sorted(devkit())
    assert len(devkit()) == 1000
    assert tuple(devkit()[:5]) == WNIDS


def devkit():
    return (boxes.resources.files("camx.configs") / "ilsvrc_devkit.txt").read_text().split()


def test_a_list_and_the_folders_agree(root):
    val_list(root, range(1, 11))
    for number in range(1, 11):
        name = f"{stem(number)}.JPEG"
        (root / "val" / WNIDS[place(number)]).mkdir(exist_ok=True)
        (root / "val" / name).rename(root / "val" / WNIDS[place(number)] / name)
    assert read(root) == right(range(1, 11))
    (root / "val_list.txt").unlink()
    assert read(root) == right(range(1, 11))
    name = f"{stem(7)}.JPEG"
    (root / "val" / WNIDS[place(7)] / name).rename(root / "val" / WNIDS[0] / name)
    refused(root, r"00000007\.JPEG: its class is n02119789, number 1, but .* says class 3")
    val_list(root, range(1, 11))
    refused(root, r"00000007\.JPEG: its folder says class 278 \(n02119789\), but .* says 250")


def test_a_list_that_names_an_image_twice(root):
    val_list(root, [*range(1, 11), 4])
    refused(root, r"val_list\.txt: line 11: ILSVRC2012_val_00000004 is listed twice")


def test_a_folder_half_sorted_is_read_whole(root):
    """And pictures of any suffix; those of systems are nobody's."""
    val_list(root, range(1, 11))
    (root / "val" / WNIDS[place(3)]).mkdir()
    (root / f"val/{stem(3)}.JPEG").rename(root / f"val/{WNIDS[place(3)]}/{stem(3)}.JPEG")
    for number, suffix in ((4, ".jpg"), (5, ".JPG"), (6, ".png"), (7, ".jpeg"), (8, ".PNG")):
        (root / f"val/{stem(number)}.JPEG").unlink()
        picture(root / f"val/{stem(number)}{suffix}")
    for name in (f"._{stem(1)}.JPEG", ".hidden.png", "Thumbs.db", ".DS_Store"):
        (root / "val" / name).write_bytes(b"not a picture")
    assert read(root) == right(range(1, 11))
    (root / "val").rename(root / "Val")
    assert read(root) == right(range(1, 11))


def test_pictures_of_two_layouts(root):
    val_list(root, range(1, 11))
    kaggle = root / "ILSVRC/Data/CLS-LOC/val"
    kaggle.mkdir(parents=True)
    for number in (1, 2, 3):
        shutil.move(root / f"val/{stem(number)}.JPEG", kaggle)
    assert read(root) == right(range(1, 11))
    shutil.copy(kaggle / f"{stem(2)}.JPEG", root / "val")
    refused(root, r"CLS-LOC/val \(3 images\) and .*/val \(8\) both hold ILSVRC2012_val_00000002")
    shutil.rmtree(root / "val")
    (root / "val").symlink_to(kaggle)
    assert read(root) == right((1, 2, 3))


XML = "<annotation><filename>{}</filename><object><name>{}</name><bndbox>{}</bndbox></object>{}"


def annotate(root, folder, number, name="", corners=None):
    x0, y0, x1, y1 = corners or box(number)
    text = f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
    text = XML.format(name or stem(number), WNIDS[place(number)], text, "</annotation>")
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / f"{stem(number)}.xml").write_text(text, "utf-8")


def test_annotations_may_lie_in_several_places(root):
    (root / "val_box.mat").unlink()
    for number in range(1, 11):
        folder = ("val", "Annotations", "annotations/val")[number % 3]
        annotate(root, folder, number)
        if number == 4:
            annotate(root, "val", number)
    (root / f"val/._{stem(2)}.xml").write_bytes(b"\0\5")
    assert read(root) == right(range(1, 11))
    annotate(root, "Annotations", 4, corners=(1, 1, 5, 5))
    refused(root, r"says something else of the same image")
    annotate(root, "Annotations", 4)
    annotate(root, "Annotations", 1, name=stem(2))
    refused(root, r"00000001\.xml: the annotation is of another image, ILSVRC2012_val_00000002")
    (root / f"Annotations/{stem(1)}.xml").unlink()
    refused(root, r"00000001\.xml: missing annotation; .* 9 of 10 have one")


def test_an_annotation_in_any_encoding_that_it_names(root):
    keep(root, (1,))
    annotate(root, "Annotations", 1)
    path = root / f"Annotations/{stem(1)}.xml"
    text = path.read_text()
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text(
            f'<?xml version="1.0" encoding="{encoding[:6].rstrip("-")}"?>{text}', encoding
        )
        assert read(root) == right((1,))


@pytest.mark.parametrize(
    ("corners", "word"),
    [
        ("9 2 3 4", "turned inside out"),
        ("2 9 3 4", "turned inside out"),
        ("3 2 3 4", "of no size"),
        ("3 2 4.4 1.6", "of no size"),
        ("1 2 nan 4", "not four finite numbers"),
        ("1 2 inf 4", "not four finite numbers"),
        ("-inf 2 3 4", "not four finite numbers"),
        ("-9 -9 -2 4", "lies outside the picture"),
    ],
)
def test_boxes_that_enclose_nothing(root, corners, word):
    """Alike from XML, CSV and a reader of one's own."""
    keep(root, (1,))
    (root / "val_box.mat").unlink()
    annotate(root, "Annotations", 1, corners=corners.split())
    refused(root, rf"00000001\.xml: not an ILSVRC annotation: box \({corners.split()[0]}, .*{word}")
    shutil.rmtree(root / "Annotations")
    text = f"ImageId,PredictionString\n{stem(1)},{WNIDS[0]} {corners} \n"
    (root / "LOC_val_solution.csv").write_text(text)
    refused(root, rf"LOC_val_solution\.csv: boxes of {stem(1)}: box .*{word}")


def test_boxes_of_val_box_that_enclose_nothing(root):
    val_list(root, range(1, 11))
    content = scipy.io.loadmat(root / "val_box.mat")
    content["rec"][0, 3]["objects"][0, 0]["bbox"] = np.array([[5, 5, 5, 9]])
    scipy.io.savemat(root / "val_box.mat", {"rec": content["rec"]})
    refused(root, r"val_box\.mat: image 4: box \(5, 5, 5, 9\) is of no size")


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\0" * 999]
)
def test_a_damaged_val_box(root, damage):
    val_list(root, range(1, 11))
    content = (root / "val_box.mat").read_bytes()
    (root / "val_box.mat").write_bytes(damage(content))
    refused(root, "val_box.mat: not the devkit's val_box.mat")
    scipy.io.savemat(root / "val_box.mat", {"rec": np.zeros((1, 10))})
    refused(root, "val_box.mat: not the devkit's val_box.mat")


def test_a_mapping_with_a_byte_order_mark_shifts_no_label(root):
    val_list(root, range(1, 11), place)
    wnids = sorted(WNIDS)
    text = "".join(f"{wnid} thing {i}\r\n" for i, wnid in enumerate(wnids))
    val_list(root, range(1, 11), lambda n: wnids.index(WNIDS[place(n)]))
    (root / "LOC_synset_mapping.txt").write_text(text, "utf-8-sig", newline="")
    expected = {n: (wnids.index(WNIDS[place(n)]), (box(n),)) for n in range(1, 11)}
    assert read(root) == expected
    (root / "LOC_synset_mapping.txt").write_text(text.replace("\r\n", "\r"), newline="")
    assert read(root) == expected
    (root / "LOC_synset_mapping.txt").write_text(text, "utf-16")
    refused(root, r"LOC_synset_mapping\.txt: not a list of classes in UTF-8: it is in UTF-16")


def test_a_solution_that_lists_an_image_twice(root):
    (root / "val_box.mat").unlink()
    row = f"{stem(1)},{WNIDS[place(1)]} 1 1 21 31\n"
    keep(root, (1,))
    (root / "LOC_val_solution.csv").write_text(f"ImageId,PredictionString\n{row}", "utf-8-sig")
    assert read(root) == right((1,))
    (root / "LOC_val_solution.csv").write_text(f"ImageId,PredictionString\n{row}{row}")
    refused(root, r"LOC_val_solution\.csv, line 3: ILSVRC2012_val_00000001 is listed twice")


def test_a_blacklist_is_of_validation_numbers(root):
    """1 and 3 are not the first and the third of images 6 to 10; what is not here is no error."""
    val_list(root, range(1, 11))
    keep(root, range(6, 11))
    dataset = datasets.load(str(root))
    blacklist = root / "blacklist.txt"
    for text, left in [
        ("1\n3\n", [6, 7, 8, 9, 10]),
        ("1\n7\n50000\n", [6, 8, 9, 10]),
        (f"{stem(8)}.JPEG\r{stem(9)}\rval/{stem(10)}.JPEG\r{stem(11)}\r", [6, 7]),
    ]:
        blacklist.write_text(text)
        samples = datasets.without(dataset, blacklist).samples
        assert [boxes.number_of(s.image_id) for s in samples] == left
    for nonsense in ("0", "50001", "7.0", "cat", f"{stem(60000)}.JPEG"):
        blacklist.write_text(nonsense)
        with pytest.raises(ValueError, match=rf"line 1: '{nonsense}' names no image"):
            datasets.without(dataset, blacklist)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["val/x.JPEG", "val_list.txt", "LOC_synset_mapping.txt"])
def test_pipes_are_refused_not_opened(root, name):
    val_list(root, range(1, 11))
    (root / name).unlink(missing_ok=True)
    os.mkfifo(root / name)
    refused(root, rf"{name}: no such .*, but a named pipe; expected a file")
