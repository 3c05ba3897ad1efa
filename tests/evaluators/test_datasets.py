import re
import shutil

import numpy as np
import pytest
import scipy.io

from camx.evaluators import datasets
from camx.evaluators.miniature import ilsvrc as objects


@pytest.fixture
def root(tmp_path):
    objects.write(tmp_path / "d", images=4)
    return tmp_path / "d"


def test_labels_come_from_the_annotation(root):
    dataset = datasets.load(str(root))
    pictures = root / "ILSVRC/Data/CLS-LOC/val"
    annotations = root / "ILSVRC/Annotations/CLS-LOC/val"
    first = dataset.samples[0]
    (pictures / f"{first.image_id}.JPEG").rename(pictures / "n90000001_any.name.JPEG")
    (annotations / f"{first.image_id}.xml").rename(annotations / "n90000001_any.name.xml")
    renamed = {s.image_id: s for s in datasets.load(str(root)).samples}["n90000001_any.name"]
    assert (renamed.label, renamed.boxes) == (first.label, first.boxes)


def test_the_fingerprint_follows_every_change(root):
    before = datasets.load(str(root)).fingerprint
    assert datasets.load(str(root)).fingerprint == before
    xml = next((root / "ILSVRC/Annotations/CLS-LOC/val").iterdir())
    text = xml.read_text()
    xml.write_text(text.replace("<xmin>", "<xmin>1"))
    if "<xmin>1" in text:
        pytest.fail("the drawing already had such a box")
    try:
        assert datasets.load(str(root)).fingerprint != before
    except ValueError:  # the box may have been turned inside out
        xml.write_text(text)


def moved(root, name):
    """Pictures flat below `name`, the XML files apart."""
    flat = root.parent / name
    shutil.copytree(root / "ILSVRC/Data/CLS-LOC/val", flat / "val")
    shutil.copy(root / "LOC_synset_mapping.txt", flat)
    return flat


def plain(dataset):
    return [(s.image_id, s.label, s.boxes) for s in dataset.samples]


def test_every_layout_reads_the_same(root):
    expected = datasets.load(str(root))
    assert plain(datasets.load(str(root / "ILSVRC/.."))) == plain(expected)
    names = ("beside", "apart", "nested", "solution")
    beside, apart, nested, solution = (moved(root, name) for name in names)
    for xml in (root / "ILSVRC/Annotations/CLS-LOC/val").iterdir():
        shutil.copy(xml, beside / "val")
        (apart / "Annotations").mkdir(exist_ok=True)
        shutil.copy(xml, apart / "Annotations")
        (nested / "bbox/val").mkdir(parents=True, exist_ok=True)
        shutil.copy(xml, nested / "bbox/val")
    # What the folder says is not what the annotation says: the annotation counts.
    (nested / "val/n90000000").mkdir()
    for sample in expected.samples:
        name = f"{sample.image_id}.JPEG"
        (nested / "val" / name).rename(nested / "val/n90000000" / name)
    shutil.copy(root / "LOC_val_solution.csv", solution)
    for other in (beside, apart, nested, solution):
        assert plain(datasets.load(str(other))) == plain(expected)


def val_box(path, samples):
    """A file as the devkit has it: unsigned boxes, devkit ids that are not the labels."""
    objects = np.empty((1, len(samples)), [("objects", "O")])
    for i, sample in enumerate(samples):
        boxes = np.empty((1, len(sample.boxes)), [("label", "O"), ("bbox", "O")])
        for j, box in enumerate(sample.boxes):
            boxes[0, j] = (np.array([[900 - sample.label]], np.uint16), np.array([box], np.uint8))
        objects[0, i] = (boxes,)
    scipy.io.savemat(path, {"rec": objects})


def test_val_box_mat_with_its_list_and_in_wnid_folders(root):
    expected = datasets.load(str(root))
    flat, nested = moved(root, "flat"), moved(root, "nested")
    val_box(flat / "val_box.mat", expected.samples)
    lines = "".join(f"{s.image_id}.JPEG {s.label}\n" for s in expected.samples)
    (flat / "val_list.txt").write_text(lines)
    assert plain(datasets.load(str(flat))) == plain(expected)
    shutil.copy(flat / "val_box.mat", nested)
    wnids = sorted(objects.CLASSES)
    for sample in expected.samples:
        folder = nested / "val" / wnids[sample.label]
        folder.mkdir(exist_ok=True)
        (nested / f"val/{sample.image_id}.JPEG").rename(folder / f"{sample.image_id}.JPEG")
    assert sorted(plain(datasets.load(str(nested)))) == plain(expected)
    (flat / "val_list.txt").write_text("x y\n")
    with pytest.raises(ValueError, match=r"line 1 is 'x y'"):
        datasets.load(str(flat))
    (flat / "val_list.txt").unlink()
    with pytest.raises(ValueError, match=r"val_list\.txt"):
        datasets.load(str(flat))
    (flat / "val_box.mat").write_bytes(b"no mat file")
    with pytest.raises(ValueError, match=r"not the devkit's val_box\.mat"):
        datasets.load(str(flat))


def test_the_thousand_classes_need_no_mapping_file(root):
    (root / "LOC_synset_mapping.txt").unlink()
    for xml in (root / "ILSVRC/Annotations/CLS-LOC/val").iterdir():
        xml.write_text(re.sub("n9000000.", "n01443537", xml.read_text()))
    dataset = datasets.load(str(root))
    assert len(dataset.classes) == 1000
    assert {s.label for s in dataset.samples} == {1}
    assert dataset.classes[1] == "goldfish"


def test_a_name_twice_is_refused(root):
    nested = moved(root, "nested")
    xml = next((root / "ILSVRC/Annotations/CLS-LOC/val").iterdir())
    for wnid in ("n90000000", "n90000001"):
        (nested / "val" / wnid).mkdir()
        shutil.move(next(nested.glob("val/*.JPEG")), nested / "val" / wnid / "same.JPEG")
        shutil.copy(xml, nested / "val" / wnid / "same.xml")
    for picture in nested.glob("val/*.JPEG"):
        picture.unlink()
    with pytest.raises(ValueError, match="another image has the same name"):
        datasets.load(str(nested))


def test_a_reader_of_folders_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="ilsvrc needs a folder"):
        datasets.load("ilsvrc")
    (tmp_path / "mini").mkdir()
    assert datasets.load("mini").name == "mini"  # the name wins over a folder of that name


def test_a_blacklist_leaves_images_out(root, tmp_path):
    dataset = datasets.load(str(root))
    (tmp_path / "black.txt").write_text("2\nmini_val_00000004.JPEG\n")
    left = datasets.without(dataset, tmp_path / "black.txt")
    assert [s.image_id[-1] for s in left.samples] == ["1", "3"]
    assert left.fingerprint == dataset.fingerprint
    for nonsense in ("0", "50001", "-3", "2.5", "cat", "mini_val_00050001", ".", "../x"):
        (tmp_path / "black.txt").write_text(f"1\n{nonsense}\n")
        with pytest.raises(ValueError, match=r"black\.txt: line 2: '.*' names no image; expected"):
            datasets.without(dataset, tmp_path / "black.txt")
    (tmp_path / "black.txt").write_text("1\n2\n3\n4\n")
    with pytest.raises(ValueError, match="lists every image"):
        datasets.without(dataset, tmp_path / "black.txt")
    with pytest.raises(FileNotFoundError, match="no such blacklist"):
        datasets.without(dataset, tmp_path / "nothing.txt")
    scenes = datasets.load("mini", "segmentation", "val")
    (tmp_path / "black.txt").write_text(f"{scenes.samples[0].image_id}.jpg\n")
    assert datasets.without(scenes, tmp_path / "black.txt").samples == scenes.samples[1:]


def test_numbers_that_several_images_have_are_places(root, tmp_path):
    dataset = datasets.load(str(root))
    for old, new in (
        ("mini_val_00000003", "cat_val_00000001"),
        ("mini_val_00000004", "cat_val_00000002"),
    ):
        for folder, suffix in (("Data", ".JPEG"), ("Annotations", ".xml")):
            path = root / f"ILSVRC/{folder}/CLS-LOC/val/{old}{suffix}"
            path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
            path.rename(path.with_name(new + suffix))
    dataset = datasets.load(str(root))
    assert [s.image_id[:4] for s in dataset.samples] == ["cat_", "cat_", "mini", "mini"]
    (tmp_path / "black.txt").write_text("4\n")
    left = datasets.without(dataset, tmp_path / "black.txt").samples
    assert [s.image_id for s in left] == [s.image_id for s in dataset.samples[:3]]


def test_texts_are_utf_8_with_or_without_a_mark(root, tmp_path):
    """Excel writes the mark; another program's encoding is named, and the file."""
    expected = datasets.load(str(root))
    mapping = root / "LOC_synset_mapping.txt"
    mapping.write_text(mapping.read_text().replace("arrow", "flèche"), "utf-8-sig")
    flat = moved(root, "flat")
    (flat / "LOC_val_solution.csv").write_text(
        (root / "LOC_val_solution.csv").read_text(), "utf-8-sig"
    )
    assert plain(datasets.load(str(flat))) == plain(expected)
    assert datasets.load(str(flat)).classes[0] == "flèche"
    (tmp_path / "black.txt").write_text("1\n", "utf-8-sig")
    assert len(datasets.without(expected, tmp_path / "black.txt").samples) == 3
    text = (flat / "LOC_synset_mapping.txt").read_text("utf-8-sig")
    (flat / "LOC_synset_mapping.txt").write_text(text, "latin-1")
    with pytest.raises(
        ValueError, match=r"LOC_synset_mapping\.txt: not a list of classes in UTF-8"
    ):
        datasets.load(str(flat))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Image,Boxes\n", "column 'ImageId' is missing; expected ImageId,PredictionString"),
        ("ImageId,PredictionString\n", "no boxes for mini_val_00000001; expected 'wnid x0 y0 x1"),
        ("{id},n90000000 1 2 3\n", "no boxes for mini_val_00000001"),
        (
            "{id},n90000000 1 2 x 4\n",
            r"boxes of mini_val_00000001: box \(1, 2, x, 4\) is not four numbers",
        ),
        ("{id},n90000000 9 2 3 4\n", r"boxes of mini_val_00000001: box \(9, 2, 3, 4\)"),
    ],
)
def test_what_is_wrong_in_a_solution(root, text, word):
    flat = moved(root, "flat")
    text = text.replace("{id}", "ImageId,PredictionString\nmini_val_00000001")
    (flat / "LOC_val_solution.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"LOC_val_solution\.csv: {word}"):
        datasets.load(str(flat))


def test_bad_folders_are_one_clear_line(root, tmp_path):
    def refused(word, data=root):
        with pytest.raises((ValueError, FileNotFoundError), match=word) as error:
            datasets.load(str(data))
        assert "\n" not in str(error.value)

    refused("no such data folder", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    refused("expected one of .*ilsvrc.*`camx list datasets`", tmp_path / "empty")
    refused("unknown dataset 'imagenet'; known: .*by-class, .*dagm, .*ilsvrc, .*voc", "imagenet")
    xml = sorted((root / "ILSVRC/Annotations/CLS-LOC/val").iterdir())[1]
    text = xml.read_text()
    for bad, word in [
        ("<annotation>", "not an ILSVRC annotation"),
        ("<annotation></annotation>", "names no object"),
        (text.replace("n9", "n8"), "is not one of the data set's 10"),
        (text.replace("<xmin>", "<xmin>x"), "not an ILSVRC annotation"),
        (text.replace("<xmin>", "<xmin>9"), "inside out"),
        (text.replace("xmin", "left"), "no bndbox"),
    ]:
        xml.write_text(bad)
        refused(f"{xml.name}.*{word}")
    xml.unlink()
    refused(f"{xml.name}: missing annotation")
    shutil.rmtree(root / "ILSVRC/Annotations")
    (root / "LOC_val_solution.csv").unlink()
    refused("images but no boxes")
    shutil.rmtree(root / "ILSVRC/Data/CLS-LOC/val")
    (root / "ILSVRC/Data/CLS-LOC/val").mkdir()
    refused("no image")
