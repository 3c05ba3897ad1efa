"""Images by class without boxes: torchvision's labels, splits, ILSVRC's wnids; asked last."""

import pytest
from PIL import Image

from camx.evaluators import datasets, kinds
from camx.evaluators.datasets import ilsvrc, image_folder


def picture(path, colour=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (colour, 0, 0)).save(path)


def load(root, split=""):
    return datasets.load(str(root), "localization", split, truth=False)


def told(dataset):
    return [(s.image_id, s.label, s.split) for s in dataset.samples]


@pytest.fixture
def pets(tmp_path):
    for name in ("cat/1.jpg", "cat/2.png", "Dog/1.jpg"):
        picture(tmp_path / "pets" / name)
    (tmp_path / "pets/.hidden").mkdir()
    (tmp_path / "pets/cat/notes.txt").write_text("")
    return tmp_path / "pets"


def test_labels_are_those_of_torchvision(pets):
    from torchvision.datasets import ImageFolder

    (pets / ".hidden").rmdir()  # which it takes for a class
    dataset, theirs = load(pets), ImageFolder(str(pets))
    assert (dataset.name, list(dataset.classes)) == ("pets", theirs.classes)
    assert theirs.imgs == [(str(s.path), s.label) for s in dataset.samples]
    assert told(dataset) == [("Dog/1", 0, ""), ("cat/1", 1, ""), ("cat/2", 1, "")]
    (pets / "Dog/1.jpg").rename(pets / "Dog/3.jpg")
    assert told(load(pets)) == [("3", 0, ""), ("1", 1, ""), ("2", 1, "")]


def test_localize_says_what_would_give_it_boxes(pets):
    word = r"1\.jpg: nothing says where the object is; .*FILE\.csv of image,label,x0,y0,x1,y1"
    with pytest.raises(ValueError, match=word):
        datasets.load(str(pets))


def test_splits_have_the_classes_of_train(pets, tmp_path):
    root = tmp_path / "split"
    root.mkdir()
    pets.rename(root / "Train")
    picture(root / "val/cat/9.jpg")
    assert told(load(root)) == [("9", 1, "val")]
    assert load(root).classes == ("Dog", "cat")
    assert [split for *_, split in told(load(root, "train"))] == ["train"] * 3
    picture(root / "test/7.jpg")  # without labels
    assert told(load(root)) == [("9", 1, "val")]
    (root / "test/7.jpg").unlink()
    picture(root / "test/cat/7.jpg")
    assert told(load(root)) == [("7", 1, "test")]
    with pytest.raises(ValueError, match="split is 'dev'; there are: train, test, val"):
        load(root, "dev")
    picture(root / "test/bird/1.jpg")
    with pytest.raises(ValueError, match="bird: the folder is of none of the 2 classes"):
        load(root)


def test_train_alone_is_asked_for_by_name(pets, tmp_path):
    pets.rename(tmp_path / "train")
    word = "no split is called test or val or valid or validation; there are: train"
    with pytest.raises(ValueError, match=word):
        load(tmp_path)
    assert len(load(tmp_path, "train").samples) == 3
    with pytest.raises(ValueError, match="split is 'val'; there are: none"):
        load(tmp_path / "train", "val")


def test_wnids_have_ilsvrc_s_labels_and_its_kind(tmp_path):
    for wnid, number in (("n01443537", 7), ("n02085620", 9)):
        picture(tmp_path / f"val/{wnid}/ILSVRC2012_val_{number:08}.JPEG")
    dataset, classes = load(tmp_path), ilsvrc.read_classes(tmp_path)
    assert (dataset.name, len(dataset.classes)) == ("ilsvrc", 1000)
    assert told(dataset) == [
        ("ILSVRC2012_val_00000007", classes["n01443537"][0], "val"),
        ("ILSVRC2012_val_00000009", classes["n02085620"][0], "val"),
    ]
    assert kinds.kind(dataset) == "ilsvrc"
    (tmp_path / "val/n02085620").rename(tmp_path / "val/dog")
    (tmp_path / "ilsvrc").mkdir()
    (tmp_path / "val").rename(tmp_path / "ilsvrc/val")
    assert (load(tmp_path / "ilsvrc").name, kinds.kind(load(tmp_path / "ilsvrc"))) == (
        "ilsvrc",
        "own",
    )


def test_ilsvrc_is_read_where_its_boxes_are(tmp_path):
    path = tmp_path / "val/n01443537/ILSVRC2012_val_00000007.JPEG"
    picture(path)
    assert not ilsvrc.accepts(tmp_path)
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
    text = f"<annotation><object><name>n01443537</name>{box}</object></annotation>"
    for place in (path.with_suffix(".xml"), tmp_path / "Annotations/ILSVRC2012_val_00000007.xml"):
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
        assert [s.boxes for s in datasets.load(str(tmp_path)).samples] == [((1, 2, 3, 4),)]
        place.unlink()
    (tmp_path / "LOC_val_solution.csv").write_text(
        "ImageId,PredictionString\nILSVRC2012_val_00000007,n01443537 1 2 3 5\n"
    )
    assert [s.boxes for s in datasets.load(str(tmp_path)).samples] == [((1, 2, 3, 5),)]
    assert load(tmp_path).samples[0].boxes
    (tmp_path / "LOC_val_solution.csv").rename(tmp_path / "val_box.mat")
    with pytest.raises(ValueError, match="not the devkit's val_box"):
        load(tmp_path)


@pytest.mark.parametrize(
    "name", ["JPEGImages/1.jpg", "a/b/1.jpg", "1.jpg", "val/1.jpg", "train/good/sub/1.jpg"]
)
def test_what_is_no_such_folder(tmp_path, name):
    picture(tmp_path / "d" / name)
    (tmp_path / "d/Annotations").mkdir()
    (tmp_path / "d/Annotations/1.xml").write_text("")
    assert not image_folder.accepts(tmp_path / "d")
    assert not image_folder.accepts(tmp_path / "d" / name)


def test_splits_without_classes_are_none(tmp_path):
    """But a train is a class among others."""
    for name in ("train/1.jpg", "test/2.jpg"):
        picture(tmp_path / name)
    assert not image_folder.accepts(tmp_path)
    picture(tmp_path / "bird/3.jpg")
    assert load(tmp_path).classes == ("bird", "test", "train")


def test_a_class_without_images_is_named(pets):
    (pets / "empty").mkdir()
    (pets / "empty/.DS_Store").write_text("")
    with pytest.raises(FileNotFoundError, match="empty: no image of the class"):
        load(pets)
    (pets / "empty/notes.txt").write_text("")
    with pytest.raises(ValueError, match="is no data set for localization that camx knows"):
        load(pets)


def test_two_files_of_one_name_are_refused(pets):
    picture(pets / "cat/1.png")
    with pytest.raises(ValueError, match="another image has the same name"):
        load(pets)
