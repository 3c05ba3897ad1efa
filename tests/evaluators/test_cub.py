"""CUB-200-2011 as it is published: lists by number, images by class, masks apart."""

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.datasets import cub
from camx.evaluators.datasets._luminance import Luminance
from camx.evaluators.types import Sample

CLASSES = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross")
NAMES = (
    f"{CLASSES[0]}/Black_Footed_Albatross_0046_18.jpg",
    f"{CLASSES[0]}/Black_Footed_Albatross_0009_34.jpg",
    f"{CLASSES[1]}/Laysan_Albatross_0002_1027.jpg",
    f"{CLASSES[2]}/Sooty_Albatross_0001_796375.jpg",
)
LISTS = {
    "images": "".join(f"{i} {name}\n" for i, name in enumerate(NAMES, 1)),
    "image_class_labels": "1 1\n2 1\n3 2\n4 3\n",
    "classes": "".join(f"{i} {name}\n" for i, name in enumerate(CLASSES, 1)),
    "train_test_split": "1 0\n2 1\n3 1\n4 0\n",
    "bounding_boxes": "1 2.0 3.0 5.0 7.0\n2 1.4 1.6 4.0 4.0\n3 1 1 4 4\n4 0.6 0.0 9.0 8.0\n",
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "CUB_200_2011"
    for name in NAMES:
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 10)).save(path)
    for name, text in LISTS.items():
        (root / f"{name}.txt").write_text(text)
    return root


def drawn(place, names=NAMES):
    """Masks of grey values: how many of several annotators marked a pixel."""
    for name in names:
        path = (place / name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array([[0, 51, 127], [128, 204, 255]], np.uint8)).save(path)


def path_of(folder, place):
    return folder / "images" / NAMES[place]


def test_the_published_layout(folder):
    for root in (folder, folder.parent):
        assert cub.accepts(root)
        dataset = cub.read(root)
        assert (dataset.name, dataset.root, dataset.classes) == ("cub", root, CLASSES)
        first, last = path_of(folder, 0), path_of(folder, 3)
        assert dataset.samples == (
            Sample(first.stem, first, 0, ((2, 3, 7, 10),), split="test"),
            Sample(last.stem, last, 2, ((1, 0, 10, 8),), split="test"),
        )
        train = cub.read(root, "train").samples
        assert [(s.label, s.boxes, s.split) for s in train] == [
            (0, ((1, 2, 5, 6),), "train"), (1, ((1, 1, 5, 5),), "train"),
        ]  # fmt: skip
    loaded = datasets.load(str(folder.parent))
    assert loaded.samples == cub.read(folder.parent).samples
    assert loaded.fingerprint != cub.read(folder, "train").fingerprint


def test_order_is_that_of_numbers_whatever_the_lists_say(folder):
    expected = cub.read(folder).samples
    for name, text in LISTS.items():
        lines = reversed(text.splitlines())
        (folder / f"{name}.txt").write_text("\r\n".join(lines), newline="")
    assert cub.read(folder).samples == expected


@pytest.mark.parametrize("beside", [False, True])
def test_masks_inside_or_beside(folder, beside):
    place = (folder.parent if beside else folder) / "segmentations"
    drawn(place)
    sample = cub.read(folder).samples[1]
    path = (place / NAMES[3]).with_suffix(".png")
    assert sample.mask == Luminance((path,), 127)
    assert sample.mask.read((3, 2)).tolist() == [[0, 0, 0], [1, 1, 1]]
    assert sample.boxes == ((1, 0, 10, 8),)  # the list's, not the mask's


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_masks_saved_in_other_ways(folder, mode):
    drawn(folder / "segmentations")
    path = (folder / "segmentations" / NAMES[0]).with_suffix(".png")
    Image.open(path).convert(mode).save(path)
    assert cub.read(folder).samples[0].mask.read((3, 2)).tolist() == [[0, 0, 0], [1, 1, 1]]


def test_masks_of_half_the_images(folder):
    drawn(folder / "segmentations", NAMES[:1])
    word = r"0001_796375\.png: no such mask; 1 of the 2 that split test of .*images\.txt names"
    with pytest.raises(FileNotFoundError, match=word):
        cub.read(folder)
    drawn(folder.parent / "segmentations")
    with pytest.raises(ValueError, match="segmentations are both there; keep one"):
        cub.read(folder)


def test_a_damaged_or_lossy_mask(folder):
    drawn(folder / "segmentations")
    path = (folder / "segmentations" / NAMES[0]).with_suffix(".png")
    mask = cub.read(folder).samples[0].mask
    for kind, mode, word in (
        ("JPEG", "L", "changes values"), ("TIFF", "F", "mode F; accepted: 1, L"),
    ):  # fmt: skip
        Image.new(mode, (3, 2)).save(path, kind)
        with pytest.raises(ValueError, match=rf"0046_18\.png: .*{word}"):
            mask.read((3, 2))
    path.write_bytes(b"no png")
    with pytest.raises(ValueError, match=r"0046_18\.png: not a readable mask"):
        mask.read((3, 2))


def change(folder, name, old, new):
    text = LISTS[name].replace(old, new, 1)
    assert text != LISTS[name]
    (folder / f"{name}.txt").write_text(text)


@pytest.mark.parametrize(
    ("name", "old", "new", "word"),
    [
        ("images", "1 ", "x ", r"images\.txt, line 1: 'x 001.*'; expected id path"),
        ("images", "1 ", f"{'9' * 5000} ", r"images\.txt, line 1: '9+ 001.*'; expected id path"),
        ("images", "2 ", "1 ", r"images\.txt, line 2: number 1 stands in .*images\.txt, line 1"),
        ("images", "2 001", "2 ../001", r"images\.txt, line 2: path '\.\./001.*' leaves the folde"),
        ("images", "2 001", "2 /001", r"images\.txt, line 2: path '/001.*' leaves the folder"),
        ("images", "4 003", "9 003", r"images\.txt, line 4: 003\S* has no line in .*class_labels"),
        ("image_class_labels", "4 3\n", "", r"images\.txt, line 4: .*no line in .*class_labels\.t"),
        ("image_class_labels", "4 3", "4 3\n5 3", r"labels\.txt, line 5: .*has no image 5"),
        ("image_class_labels", "4 3", "4 4", r"line 4: class '4'; accepted: 1 to 3, as in classes"),
        ("image_class_labels", "4 3", f"4 {'9' * 5000}", r"line 4: class '9+'; accepted: 1 to 3"),
        ("image_class_labels", "4 3", "4 0", r"line 4: class '0'; accepted: 1 to 3"),
        ("image_class_labels", "4 3", "4 x", r"line 4: class 'x'; accepted: 1 to 3"),
        ("image_class_labels", "2 1", "2 2", r"line 2: class 2 is 002\.Laysan_Albatross in cla"),
        ("classes", "3 ", "4 ", r"classes\.txt, line 3: class 4; expected class 3 first"),
        ("classes", "1 ", "0 ", r"classes\.txt, line 1: class 0; expected class 1 first"),
        ("train_test_split", "2 1", "2 2", r"split\.txt, line 2: '2'; expected id 1 for training"),
        ("train_test_split", "4 0\n", "", r"images\.txt, line 4: .*no line in .*test_split\.txt"),
        ("bounding_boxes", "4 0.6", "5 0.6", r"images\.txt, line 4: .*no line in .*boxes\.txt"),
        ("bounding_boxes", "2 1.4 1.6 4.0", "2 1.4 1.6", r"boxes\.txt, line 2: .*; expected id x"),
        ("bounding_boxes", "2 1.4 1.6 4.0", "2 1.4 1.6 0.0", r"boxes\.txt, line 2: box .*no size"),
        ("bounding_boxes", "2 1.4 1.6 4.0", "2 1.4 1.6 -4", r"boxes\.txt, line 2: box .*inside ou"),
        ("bounding_boxes", "2 1.4", "2 x", r"boxes\.txt, line 2: could not convert .*expected id"),
        ("bounding_boxes", "2 1.4", "2 nan", r"boxes\.txt, line 2: box .*not four finite numbers"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_list(folder, name, old, new, word):
    """Of whichever split is read."""
    change(folder, name, old, new)
    for split in ("test", "train"):
        with pytest.raises(ValueError, match=word) as error:
            cub.read(folder, split)
        assert "\n" not in str(error.value)


def test_what_is_missing(folder, tmp_path):
    path_of(folder, 0).unlink()
    word = r"0046_18\.jpg: no such image; 1 of the 2 that split test of .*images\.txt names are"
    with pytest.raises(FileNotFoundError, match=word):
        cub.read(folder)
    assert len(cub.read(folder, "train").samples) == 2
    (folder / "bounding_boxes.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"bounding_boxes\.txt: no such list"):
        cub.read(folder)
    (tmp_path / "empty").mkdir()
    assert not cub.accepts(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="expected CUB_200_2011/"):
        cub.read(tmp_path / "empty")
    with pytest.raises(ValueError, match="split is 'val'; accepted: test, train"):
        cub.read(folder, "val")


def test_backslashes_separate_folders(folder):
    drawn(folder / "segmentations")
    expected = cub.read(folder)
    path = folder / "images.txt"
    path.write_text(path.read_text().replace("/", "\\"))
    assert cub.read(folder) == expected
