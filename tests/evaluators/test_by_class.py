"""Images by class: ILSVRC's training layout, and anybody's folders."""

import os
import time

import pytest
from PIL import Image

from camx.evaluators import datasets, fingerprints
from camx.evaluators.datasets import ilsvrc
from camx.evaluators.miniature import ilsvrc as drawn


def picture(path, colour=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (colour, 0, 0)).save(path, "PNG" if path.suffix == ".png" else None)


def load(folder):
    return datasets.load(str(folder), "classification")


def told(data):
    return [(s.image_id, s.label, s.split) for s in data.samples]


@pytest.fixture
def folders(tmp_path):
    """Two classes of two images each; nobody's data beside them."""
    for name in ("cat/1.JPG", "cat/2.png", "Dog/1.jpg", "Dog/1.png"):
        picture(tmp_path / "pets" / name)
    (tmp_path / "pets/.hidden").mkdir()
    (tmp_path / "pets/notes.txt").write_text("")
    (tmp_path / "pets/cat/Thumbs.db").write_text("")
    (tmp_path / "pets/cat/notes.txt").write_text("")
    return tmp_path / "pets"


def test_classes_are_the_sorted_folders(folders):
    data = load(folders)
    assert (data.name, data.classes) == ("pets", ("Dog", "cat"))
    assert told(data) == [
        ("Dog/1.jpg", 0, "train"), ("Dog/1.png", 0, "train"), ("cat/1.JPG", 1, "train"),
        ("cat/2.png", 1, "train"),
    ]  # fmt: skip


def test_classes_are_those_of_torchvision(folders):
    from torchvision.datasets import ImageFolder

    (folders / ".hidden").rmdir()  # which it takes for a class
    theirs = ImageFolder(str(folders))
    data = load(folders)
    assert theirs.classes == list(data.classes)
    assert theirs.imgs == [(str(s.path), s.label) for s in data.samples]


def test_val_is_judged_by(folders, tmp_path):
    root = tmp_path / "split"
    root.mkdir()
    folders.rename(root / "Train")
    picture(root / "val/cat/1.JPG")
    data = load(root)
    assert data.name == "split"
    assert told(data)[-1] == ("val/cat/1.JPG", 1, "val")
    assert [split for *_, split in told(data)] == ["train"] * 4 + ["val"]
    picture(root / "val/bird/1.jpg")
    with pytest.raises(ValueError, match=r"val/bird: the folder is of none of the 2 classes \(Dog"):
        load(root)


@pytest.mark.parametrize("layout", ["ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train", "train"])
def test_ilsvrc_s_labels_are_those_that_are_measured(tmp_path, layout):
    """Of a part of its classes, and whatever validation images there are."""
    for wnid in ("n01443537", "n02085620"):
        picture(tmp_path / layout / wnid / f"{wnid}_10.JPEG")
    data = load(tmp_path)
    classes = ilsvrc.read_classes(tmp_path)
    assert (data.name, len(data.classes)) == ("ilsvrc", 1000)
    assert [s.label for s in data.samples] == [classes["n01443537"][0], classes["n02085620"][0]]
    assert data.classes[data.samples[0].label].startswith("goldfish")
    assert told(data)[0][0] == "n01443537/n01443537_10.JPEG"
    picture(tmp_path / layout / "n99999999/1.JPEG")
    with pytest.raises(ValueError, match="n99999999: the folder is of none of the 1000 classes"):
        load(tmp_path)


def test_ilsvrc_s_validation_images_are_those_that_are_measured(tmp_path):
    drawn.write(tmp_path / "root", images=4)
    drawn.write_train(tmp_path / "part", images=30)
    train = "ILSVRC/Data/CLS-LOC/train"
    (tmp_path / "part" / train).rename(tmp_path / "root" / train)
    for folder in (tmp_path / "root" / train).iterdir():
        if not any(folder.iterdir()):  # so few images leave a class without any
            folder.rmdir()
    data, measured = load(tmp_path / "root"), datasets.load(str(tmp_path / "root"))
    val = [s for s in data.samples if s.split == "val"]
    assert [(s.image_id, s.label) for s in val] == [(s.image_id, s.label) for s in measured.samples]
    assert len(data.samples) == 34
    for sample in data.samples[:30]:
        number = int(sample.path.stem.partition("_")[2])
        assert drawn.draw(number - 1, drawn.TRAIN_SEED).labels[0] == sample.label
    assert data.classes == measured.classes


def test_the_miniature_learns_from_further_images():
    data, measured = datasets.load("mini", "classification"), datasets.load("mini")
    train, val = ([s for s in data.samples if s.split == split] for split in ("train", "val"))
    assert (len(train), len(val)) == (drawn.TRAIN_IMAGES, drawn.IMAGES)
    assert [(s.image_id, s.label) for s in val] == [(s.image_id, s.label) for s in measured.samples]
    assert (data.name, data.model, data.classes) == ("mini", "mini-vgg-gap", measured.classes)
    assert {s.label for s in train} == set(range(10))
    contents = [{s.path.read_bytes() for s in part} for part in (train, val)]
    assert not contents[0] & contents[1]


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda root: (root / "empty").mkdir(), "empty: no image of the class; expected .bmp"),
        (lambda root: os.mkfifo(root / "cat/3.png"), "3.png: no such image, but a named pipe"),
        (lambda root: (root / "cat/3.png").symlink_to("none"), "3.png: no such image, but a link"),
        (lambda root: (root / "cat/3.png").mkdir(), "3.png: no such image, but a folder"),
        (
            lambda root: [p.unlink() for p in (root / "Dog").iterdir()] and (root / "Dog").rmdir(),
            "pets: 1 class; expected a folder for each of two or more",
        ),
    ],
)
def test_bad_folders_are_named(folders, spoil, word):
    spoil(folders)
    with pytest.raises((ValueError, FileNotFoundError)) as refused:
        load(folders)
    assert word in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_holds_no_folder_is_no_data_set(tmp_path):
    picture(tmp_path / "1.png")
    with pytest.raises(ValueError, match="no data set for classification that camx knows"):
        load(tmp_path)


def test_the_fingerprint_is_of_names_labels_and_sizes(folders):
    before = load(folders)
    assert load(folders).fingerprint == before.fingerprint
    path = folders / "cat/2.png"
    os.utime(path, (time.time() - 999, time.time() - 999))
    assert load(folders).fingerprint == before.fingerprint
    path.write_bytes(path.read_bytes() + b"x")
    assert load(folders).fingerprint != before.fingerprint
    path.rename(folders / "cat/3.png")
    assert fingerprints.listed(load(folders).samples) != before.fingerprint
    assert fingerprints.listed(before.samples[:1]) != fingerprints.listed(before.samples[1:2])


def test_a_sample_of_another_split_is_refused(tmp_path):
    picture(tmp_path / "1.png")
    (tmp_path / "mine.py").write_text(
        "from pathlib import Path\n"
        "from camx.evaluators.types import Dataset, Sample\n"
        "def read():\n"
        f"    path = Path({str(tmp_path / '1.png')!r})\n"
        "    sample = Sample('1', path, 1, split='test')\n"
        "    return Dataset('m', path.parent, ('a', 'b'), (sample,), 'f')\n"
    )
    with pytest.raises(ValueError, match="split is 'test'; accepted: train, val"):
        datasets.load(str(tmp_path / "mine.py"), "classification")
