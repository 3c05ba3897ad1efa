"""ImageNet-S: images and masks in a folder a class, a mask's colour the number of a class."""

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.datasets import ilsvrc, imagenet_s
from camx.evaluators.datasets.imagenet_s import ClassMask
from camx.evaluators.types import Sample

THOUSAND = ilsvrc.read_classes(imagenet_s.Path("nowhere"))
WNIDS = sorted(THOUSAND)[1::20]  # fifty of them: numbers 1 to 50
FIRST, LAST = WNIDS[0], WNIDS[49]
LIST = "ImageNetS_categories_im50.txt"


def mask(path, ids):
    """A mask of numbers, as they are stored: red is the remainder by 256, green the rest."""
    ids = np.array(ids)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack([ids % 256, ids // 256, 0 * ids], -1).astype(np.uint8)).save(path)


def add(root, wnid, stem, ids, split="validation"):
    path = root / split / wnid / f"{stem}.JPEG"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (3, 2)).save(path)
    mask(root / f"{split}-segmentation" / wnid / f"{stem}.png", ids)
    return path


@pytest.fixture
def root(tmp_path):
    """Three validation images and one to train on; the list is in no order, as none is promised."""
    root = tmp_path / "ImageNetS50"
    add(root, LAST, "ILSVRC2012_val_00000003", [[50, 50, 1000], [0, 1, 50]])
    add(root, FIRST, "ILSVRC2012_val_00000002", [[1, 0, 0], [0, 0, 1]])
    add(root, FIRST, "ILSVRC2012_val_00000001", [[0, 1, 2], [1000, 1, 2]])
    add(root, LAST, f"{LAST}_17661", [[50, 0, 0], [0, 0, 0]], "train-semi")
    (root / "test" / FIRST).mkdir(parents=True)  # its masks are not public
    (root / LIST).write_text("\n".join(reversed(WNIDS)))
    return root


def test_the_published_layout(root):
    """Labels are those of the thousand classes, numbers in masks those of the fifty."""
    for place in (root, root.parent):
        assert imagenet_s.accepts(place)
        dataset = imagenet_s.read(place)
        assert (dataset.name, dataset.root) == ("imagenet-s50", place)
        assert dataset.classes == tuple(words for _, words in THOUSAND.values())
        names = [f"ILSVRC2012_val_0000000{n}" for n in (1, 2, 3)]
        labels = (1, 1, 981)
        assert labels == (*[THOUSAND[FIRST][0]] * 2, THOUSAND[LAST][0])
        expected = []
        for name, wnid, label, number in zip(names, (FIRST, FIRST, LAST), labels, (1, 1, 50)):
            drawn = ClassMask(root / f"validation-segmentation/{wnid}/{name}.png", number, 50)
            path = root / f"validation/{wnid}/{name}.JPEG"
            expected.append(Sample(name, path, label, mask=drawn, split="validation"))
        assert list(dataset.samples) == expected
    assert datasets.load(str(root)).samples == dataset.samples
    (train,) = imagenet_s.read(root, "train-semi").samples
    assert (train.image_id, train.label, train.split) == (f"{LAST}_17661", 981, "train-semi")


def test_masks(root):
    """Of one class; of others' objects nothing is told apart from the background."""
    first, second, third = imagenet_s.read(root).samples
    assert first.mask.read((3, 2)).tolist() == [[0, 1, 0], [255, 1, 0]]
    assert second.mask.read((3, 2)).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert third.mask.read((3, 2)).tolist() == [[1, 1, 255], [0, 0, 1]]
    assert len(second.mask.parts((3, 2))) == 1
    assert second.within((3, 2)).boxes == ((0, 0, 3, 2),)
    assert first.within((3, 2)).boxes == ((1, 0, 2, 2),)
    assert third.mask.read((6, 4))[0].tolist() == [1, 1, 1, 1, 255, 255]


def test_numbers_above_255(tmp_path):
    mask(tmp_path / "x.png", [[919, 407, 151, 1000]])
    drawn = ClassMask(tmp_path / "x.png", 919, 919)
    assert drawn.read((4, 1)).tolist() == [[1, 0, 0, 255]]
    assert drawn.rule != ClassMask(tmp_path / "x.png", 407, 919).rule
    assert ClassMask(tmp_path / "x.png", 407, 919).read((4, 1)).tolist() == [[0, 1, 0, 255]]


@pytest.mark.parametrize(
    ("pixels", "word"),
    [
        ([[[51, 0, 0], [1, 0, 0]]], r"number 51 \(red .* blue\); accepted: 0 to 50 and 1000"),
        ([[[231, 3, 0]]], r"number 999 \(.*; accepted: 0 to 50 and 1000"),
        ([[[1, 0, 1]]], r"number 65537 \("),
        (
            [[[2, 0, 0], [0, 0, 0]]],
            "nothing is of the folder's class, number 1; the mask holds 0, 2",
        ),
        ([[1, 0]], "a mask without colours; expected RGB"),
    ],
)
def test_masks_that_are_none(root, pixels, word):
    sample = imagenet_s.read(root).samples[0]
    Image.fromarray(np.array(pixels, np.uint8)).save(sample.mask.path)
    with pytest.raises(ValueError, match=rf"00000001\.png: .*{word}"):
        sample.mask.read((3, 2))
    for number in (50, 1000):  # the last that there is, and what is ignored
        mask(sample.mask.path, [[1, number]])
        assert sample.mask.read((2, 1)).tolist() == [[1, 255 if number == 1000 else 0]]


def test_without_a_list_all_folders_must_be_there(root):
    """Each that lacks would shift the numbers of those behind it."""
    expected = imagenet_s.read(root).samples
    (root / LIST).unlink()
    for wnid in WNIDS[:-1]:
        (root / "validation" / wnid).mkdir(exist_ok=True)
    assert imagenet_s.read(root).samples == expected
    (root / "validation" / WNIDS[7]).rmdir()
    word = (
        r"ImageNetS50/validation: 49 folders do not say the numbers .*; expected 50, or ImageNetS"
    )
    with pytest.raises(ValueError, match=word):
        imagenet_s.read(root)
    other = root.rename(root.with_name("imagenet-s"))
    with pytest.raises(ValueError, match=r"49 folders .*; expected 919, 300 or 50, or ImageNetS"):
        imagenet_s.read(other)
    (other / "validation" / WNIDS[7]).mkdir()
    assert [s.label for s in imagenet_s.read(other).samples] == [s.label for s in expected]


def test_lists_beside(root):
    """That of its number is the folder's own."""
    expected = imagenet_s.read(root).samples
    (root / LIST).rename(root.parent / LIST)
    (root.parent / "ImageNetS_categories_im300.txt").write_text("n00000001\n")
    assert imagenet_s.read(root).samples == expected
    other = root.rename(root.with_name("mine"))
    with pytest.raises(ValueError, match=r"mine: which of ImageNetS_categories_im300\.txt, .*im50"):
        imagenet_s.read(other)


@pytest.mark.parametrize("lines", [WNIDS[:-1], [*WNIDS[:-1], FIRST], [*WNIDS, "n99999999"]])
def test_a_list_of_another_length(root, lines):
    (root / LIST).write_text("\n".join(lines))
    word = rf"im50\.txt: {len(lines)} categories, {len(set(lines))} of them .*; expected 50, one a"
    with pytest.raises(ValueError, match=word):
        imagenet_s.read(root)


def test_classes_that_are_not_ilsvrc_s(root):
    wnids = [*WNIDS[:49], "n99999999"]
    (root / LIST).write_text("\n".join(wnids))
    for part in ("validation", "validation-segmentation"):
        (root / part / LAST).rename(root / part / wnids[49])
    dataset = imagenet_s.read(root)
    assert dataset.classes == tuple(wnids)
    assert [s.label for s in dataset.samples] == [0, 0, 49]


def test_folders_of_no_category(root):
    """As that of a synset which was merged into another."""
    other = sorted(THOUSAND)[0]
    for part in ("validation", "validation-segmentation"):
        (root / part / LAST).rename(root / part / other)
    word = rf"validation/{other}: the folder is of none of the 50 categories \(\S+50\.txt: {FIRST},"
    with pytest.raises(ValueError, match=word):
        imagenet_s.read(root)


def test_images_without_masks_and_masks_without_images(root):
    name = "ILSVRC2012_val_00000002"
    path = root / f"validation-segmentation/{FIRST}/{name}.png"
    content = path.read_bytes()
    path.unlink()
    word = rf"{name}\.png: no such mask; in .*/validation/{FIRST} 1 of 2 images have a mask"
    with pytest.raises(FileNotFoundError, match=word):
        imagenet_s.read(root)
    path.write_bytes(content)
    (root / f"validation/{FIRST}/{name}.JPEG").unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"{name}\.JPEG: no such image of the mask .*\.png"
    ):
        imagenet_s.read(root)


def test_images_of_one_name(root):
    """Names of different folders are told apart by these."""
    add(root, LAST, "ILSVRC2012_val_00000001", [[50]])
    names = [s.image_id for s in imagenet_s.read(root).samples]
    assert names[0] == f"{FIRST}/ILSVRC2012_val_00000001"
    assert names[2] == f"{LAST}/ILSVRC2012_val_00000001"


def test_splits_and_data_sets_that_are_there(root, tmp_path):
    word = r"split is 'test'; accepted, having masks in .*ImageNetS50: train-semi, validation"
    with pytest.raises(ValueError, match=word):
        imagenet_s.read(root, "test")
    add(root.with_name("ImageNetS300"), FIRST, "x", [[1]])
    word = r"several data sets, ImageNetS300, ImageNetS50; expected one: --data .*ImageNetS300"
    with pytest.raises(ValueError, match=word):
        imagenet_s.read(root.parent)
    (tmp_path / "empty").mkdir()
    assert not imagenet_s.accepts(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="expected ImageNetS919/"):
        imagenet_s.read(tmp_path / "empty")
