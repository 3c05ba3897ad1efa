"""Defect data as factories and mirrors bring it."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.tasks.defects import masks

QUARTERS = {("train", 0): 3, ("train", 1): 3, ("test", 0): 3, ("test", 1): 3}


def parts(dataset):
    return Counter((s.split, s.label) for s in dataset.samples)


def names(dataset):
    return [s.image_id for s in dataset.samples]


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
    dataset = datasets.load(str(official), "defects")
    assert (dataset.name, dataset.model) == ("dagm", "resnet50")
    assert dataset.classes == ("good", "defective")
    assert parts(dataset) == QUARTERS
    first = ["Train/0003", "Train/0004", "Test/0001", "Test/0002"]
    assert names(dataset)[:4] == [f"Class1/{name}" for name in first]
    assert dataset.samples[-1].group == "Class10"  # after Class2
    defective = dataset.samples[1]
    assert masks.truth(defective, (8, 6)).sum() == 6


def test_the_current_folder(official, monkeypatch):
    monkeypatch.chdir(official)
    assert parts(datasets.load(".", "defects")) == QUARTERS
    monkeypatch.chdir(official / "Class2")
    assert len(datasets.load(".", "defects").samples) == 4


def test_names_are_stems_where_they_can_be(official):
    dataset = datasets.load(str(official / "Class1"), "defects")
    assert names(dataset) == ["0003", "0004", "0001", "0002"]


def test_a_mask_without_its_image(official):
    picture(official / "Class1/Test/Label/0009_label.PNG")
    word = r"0009_label\.PNG: a mask without its image; expected .*0009\.PNG"
    with pytest.raises(ValueError, match=word):
        datasets.load(str(official), "defects")


def masked(dataset):
    return {s.image_id: s.mask is not None for s in dataset.samples}


def test_names_of_folders_and_suffixes_in_any_case(official):
    """A class with ``label/`` has its defects all the same, as have those of other spellings."""
    before = masked(datasets.load(str(official), "defects"))
    (official / "Class1/Train/Label").rename(official / "Class1/Train/label")
    (official / "Class2/Test").rename(official / "Class2/TEST")
    (official / "Class10/Test").rename(official / "Class10/test")
    (official / "Class10/test/Label").rename(official / "Class10/test/LABEL")
    mask = official / "Class10/test/LABEL/0002_label.PNG"
    mask.rename(mask.with_name("0002_LABEL.png"))
    dataset = datasets.load(str(official), "defects")
    assert parts(dataset) == QUARTERS
    assert list(masked(dataset).values()) == list(before.values())


def test_parts_of_two_spellings_are_read_together(official):
    half = official / "Class1/Train"
    (half / "label").mkdir()
    (official / "Class1/train/Label").mkdir(parents=True)
    picture(half / "0006.PNG")
    picture(half / "label/0006_label.PNG", value=255)
    picture(official / "Class1/train/0008.PNG")
    picture(official / "Class1/train/Label/0008_label.PNG", value=255)
    dataset = datasets.load(str(official), "defects")
    assert parts(dataset) == {**QUARTERS, ("train", 1): 5}


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("Class1/Train/Label", "Class1/Train/Labels", "Labels: 1 pictures that are neither images"),
        (
            "Class1/Train/Label",
            "gone",
            "Class1: none of its 2 images of train has a mask .*but 2 of",
        ),
        (
            "Class1/Train/Label/0004_label.PNG",
            "Class1/Train/0004_label.PNG",
            r"0004_label\.PNG: a mask beside its image; expected it in .*/Train/Label",
        ),
    ],
)
def test_masks_that_lie_elsewhere_make_no_good_image(official, old, new, word):
    (official / old).rename(official / new)
    with pytest.raises(ValueError, match=word):
        datasets.load(str(official), "defects")


def test_dot_files_are_nobody_s(official):
    before = datasets.load(str(official), "defects")
    for name in ("Class1/Train/._0003.PNG", "Class1/Train/Label/._0003_label.PNG"):
        (official / name).write_bytes(b"\0")
    (official / "Class1/Test/Thumbs.db").write_bytes(b"\0")
    for name in (".Trash", "__MACOSX"):
        picture(official / name / "Train/0001.PNG")
    assert datasets.load(str(official), "defects") == before


def test_a_class_of_neither_layout(official):
    picture(official / "Class7/1.png")
    with pytest.raises(ValueError, match=r"Class7: 1 pictures, but it has no Train or Test, nor"):
        datasets.load(str(official), "defects")


def test_two_files_of_one_image(official):
    picture(official / "Class1/Test/0001.jpg")
    with pytest.raises(ValueError, match=r"stands beside it for the same image"):
        datasets.load(str(official), "defects")


def test_an_empty_folder_and_one_of_another_task(tmp_path, official):
    (tmp_path / "empty").mkdir()
    word = r"empty is no data set for defects that camx knows: expected one of dagm, good-bad, "
    with pytest.raises(ValueError, match=word):
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
    ellipses = tmp_path / "Class1_def/labels.txt"
    ellipses.write_text("1\t10\t5\t0.0\t30\t20\n2.\t8 4 1.5708 40 24\n\n", "utf-8-sig")
    dataset = datasets.load(str(tmp_path), "defects")
    assert parts(dataset) == {("train", 0): 3, ("train", 1): 1, ("test", 0): 3, ("test", 1): 1}
    defective = sorted((s for s in dataset.samples if s.label), key=lambda s: s.path)
    first, second = (masks.truth(sample, (64, 48)) for sample in defective)
    assert first[20, 40]
    assert not first[20, 41]
    assert first.sum() == pytest.approx(np.pi * 50, rel=0.05)
    assert second[31, 40]
    assert not second[24, 46]
    ellipses.write_text("1 10 5 0 300 20\n2 8 4 0 40 24\n")
    (outside,) = (
        s for s in datasets.load(str(tmp_path), "defects").samples if s.path.stem == "1" and s.label
    )
    with pytest.raises(
        ValueError, match=r"1\.png: its defect, Ellipse\(x=300.* outside the picture, 64"
    ):
        masks.truth(outside, (64, 48))
    ellipses.write_text("1 10 5 0 30\n")
    with pytest.raises(ValueError, match=r"labels\.txt: line 1 is '1 10 5 0 30'; expected"):
        datasets.load(str(tmp_path), "defects")
    for line in ("1 10 5 0 inf 20", "1 10 0 0 30 20", "1 nan 5 0 30 20", "1 10 -5 0 30 20"):
        ellipses.write_text(f"2 8 4 0 40 24\n{line}\n")
        with pytest.raises(ValueError, match=rf"labels\.txt: line 2 is '{line}'; expected"):
            datasets.load(str(tmp_path), "defects")
    ellipses.write_text("1 10 5 0 30 20\n1. 10 5 0 30 21\n")
    with pytest.raises(ValueError, match=r"labels\.txt: line 2: image 1 is listed twice"):
        datasets.load(str(tmp_path), "defects")
    ellipses.write_text("1 10 5 0 30 20\n")
    with pytest.raises(ValueError, match=r"2\.png: .*labels\.txt has no line for it"):
        datasets.load(str(tmp_path), "defects")
    ellipses.unlink()
    with pytest.raises(FileNotFoundError, match="no such list of where the defects are"):
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
    (folder / "mine.csv").write_text(text, "utf-8")
    return datasets.load(str(folder / "mine.csv"), "defects")


def test_a_manifest(factory):
    lines = ["pics/good.png,0,,train", "pics/bad.jpg,1,masks/bad.png,test"]
    dataset = manifest(factory, HEAD + "\n".join([*lines, "pics/worse.png,yes,,Train"]))
    assert [(s.image_id, s.label, s.split, bool(s.mask)) for s in dataset.samples] == [
        ("good", 0, "train", False), ("bad", 1, "test", True), ("worse", 1, "train", False),
    ]  # fmt: skip
    assert dataset.name == "mine"
    text = "\ufeffmask, image, split, defective, note\n,pics/good.png, test, good, x\n"
    assert manifest(factory, text).samples[0].split == "test"
    (factory / "mine.csv").write_text(HEAD + "pics/à.png,0,,train\n", "latin-1")
    with pytest.raises(ValueError, match=r"mine\.csv: not a manifest in UTF-8"):
        datasets.load(str(factory / "mine.csv"), "defects")


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ("pics/none.png,0,,train\n", r"line 2: no such image .*none\.png"),
        (
            "pics/good.png,0,,train\npics/../pics/good.png,0,,test\n",
            r"line 3: pics/\.\./pics/good\.png is listed twice, first in line 2",
        ),
        ("pics/good.png,maybe,,train\n", "line 2: defective is 'maybe'; accepted: 0"),
        ("pics/good.png,0,,dev\n", "line 2: split is 'dev'; accepted: train, test"),
        ("pics/bad.jpg,1,masks/none.png,test\n", r"line 2: no such mask .*none\.png"),
        ("pics/bad.jpg,0,masks/bad.png,test\n", "line 2: a good image has the mask"),
        ("", "lists no image"),
        ("pics/good.png,0\n", "line 2: 2 values, but the header names 4; expected image,defective"),
        ("pics/good.png,0,\n", "line 2: 3 values, but the header names 4"),
        ("pics/good.png,0,,train,x\n", "line 2: 5 values, but the header names 4"),
        ('pics/good.png,0,"a"b,train\n', "line 2: not a CSV file"),
    ],
)
def test_what_is_wrong_in_a_manifest(factory, lines, word):
    with pytest.raises((ValueError, FileNotFoundError), match=word):
        manifest(factory, HEAD + lines)


def test_a_manifest_needs_its_columns(factory):
    word = r"column 'defective' is missing; expected image,defective\[,mask\]\[,split\]"
    with pytest.raises(ValueError, match=word):
        manifest(factory, "image,mask,split\n")


@pytest.fixture
def lines(factory):
    """Of ten images four are defective; their masks."""
    for number in range(10):
        picture(factory / f"n/{number}.png")
        picture(factory / f"m/{number}.png", value=255)
    return [f"n/{number}.png,{int(number < 4)}" for number in range(10)]


HALVES = {("train", 0): 3, ("train", 1): 2, ("test", 0): 3, ("test", 1): 2}


def test_a_manifest_without_a_split_is_halved(factory, lines):
    dataset = manifest(factory, "\n".join(["image,defective", *lines]))
    assert parts(dataset) == HALVES
    assert names(dataset) == [str(number) for number in range(10)]
    assert not any(sample.mask for sample in dataset.samples)
    marked = [f"{line},m/{n}.png" if n < 4 else f"{line}," for n, line in enumerate(lines)]
    dataset = manifest(factory, "\n".join(["image,defective,mask", *marked]))
    assert parts(dataset) == HALVES
    assert [sample.mask for sample in dataset.samples if sample.mask] == [
        factory / f"m/{number}.png" for number in range(4)
    ]
    again = manifest(factory, "\n".join([HEAD.strip(), *(f"{line}," for line in marked)]))
    assert again.samples == dataset.samples  # an empty column is none


def test_a_manifest_without_masks(factory, lines):
    text = "\n".join(["image,defective,split", f"{lines[0]},train", f"{lines[5]},Test"])
    assert [(s.label, s.split, s.mask) for s in manifest(factory, text).samples] == [
        (1, "train", None), (0, "test", None),
    ]  # fmt: skip


def test_without_a_split_every_defect_has_a_mask_or_none(factory, lines):
    lines[1] += ",m/1.png"
    rows = [line if line.count(",") == 2 else f"{line}," for line in lines]
    word = (
        r"mine\.csv: 3 of 4 defective images have no mask, .*n/0\.png the first; expected one for"
    )
    with pytest.raises(ValueError, match=word):
        manifest(factory, "\n".join(["image,defective,mask", *rows]))


def test_some_lines_of_a_manifest_have_a_split(factory, lines):
    text = "\n".join(["image,defective,split", f"{lines[0]},train", f"{lines[5]},"])
    with pytest.raises(ValueError, match=r"line 3: split is ''; accepted: train, test"):
        manifest(factory, text)


@pytest.mark.parametrize("column", ["Split", "splits", "Mask", "masks"])
def test_a_column_that_is_nearly_called_so(factory, column):
    word = rf"column '{column}' is not read; expected image,defective.*, or another name"
    with pytest.raises(ValueError, match=word):
        manifest(factory, f"image,defective,{column}\n")


def test_a_manifest_that_is_too_short_to_be_halved(factory):
    with pytest.raises(ValueError, match=r"mine\.csv: 1 images to be halved, .* at least two"):
        manifest(factory, "image,defective\npics/good.png,0\n")


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ("image;defective;mask;split\n", "column 'image' is missing; .* separated by ';'"),
        ("image,image,defective,mask,split\n", "column 'image' stands twice"),
        ("image,defective,mask,split,mask\n", "column 'mask' stands twice"),
        ("", "column 'image' is missing"),
    ],
)
def test_a_header_of_another_form(factory, header, word):
    with pytest.raises(ValueError, match=rf"mine\.csv: {word}"):
        manifest(factory, header)


def test_a_trailing_comma_and_old_line_ends(factory):
    for text in (
        "image,defective,mask,split,\npics/good.png,0,,train,\n",
        HEAD + "pics/good.png,0,,train,\n\n,,,\n",
        "\ufeff" + HEAD.replace("\n", "\r") + "pics/good.png,0,,train\r",
    ):
        (factory / "mine.csv").write_text(text, "utf-8", newline="")
        (sample,) = datasets.load(str(factory / "mine.csv"), "defects").samples
        assert (sample.image_id, sample.label, sample.split) == ("good", 0, "train")
    (factory / "mine.csv").write_text(HEAD, "utf-16")
    with pytest.raises(ValueError, match=r"mine\.csv: not a manifest in UTF-8: it is in UTF-16"):
        datasets.load(str(factory / "mine.csv"), "defects")
