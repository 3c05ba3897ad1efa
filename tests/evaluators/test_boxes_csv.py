"""A CSV file of boxes: every column, what labels may be, and each line that is refused."""

import pytest
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.datasets import boxes_csv, ilsvrc

HEAD = "image,label,x0,y0,x1,y1\n"
SPLIT = "image,label,x0,y0,x1,y1,split\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png", "sub/a.png", "sub/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 10), (len(name), 0, 0)).save(tmp_path / name)
    return tmp_path


def load(folder, text, split="", truth=True):
    (folder / "mine.csv").write_text(text, "utf-8")
    return datasets.load(str(folder / "mine.csv"), "localization", split, truth)


def told(dataset):
    return [(s.image_id, s.label, s.boxes, s.split, s.present) for s in dataset.samples]


def test_boxes_of_an_image_and_of_each_of_its_classes(folder):
    lines = ["b.png,dog,0,0,20,10", "a.png,cat,1,2,3,4", "b.png,cat/lynx,5,5,6.4,7.6",
             "b.png,dog,1,1,2,2", "a.png,cat,1,2,3,5"]  # fmt: skip
    dataset = load(folder, HEAD + "\n".join(lines))
    assert (dataset.name, dataset.classes) == ("mine.csv", ("cat", "cat/lynx", "dog"))
    assert dataset.root == folder / "mine.csv"
    assert told(dataset) == [
        ("b/cat_lynx", 1, ((5, 5, 6, 8),), "", 2),
        ("b/dog", 2, ((0, 0, 20, 10), (1, 1, 2, 2)), "", 2),
        ("a", 0, ((1, 2, 3, 4), (1, 2, 3, 5)), "", 1),
    ]
    assert [s.path.name for s in dataset.samples] == ["b.png", "b.png", "a.png"]


def test_images_of_one_stem_are_called_by_their_paths(folder):
    dataset = load(folder, HEAD + "a.png,x,0,0,1,1\nsub/a.png,x,0,0,1,1\n./b.png,y,0,0,1,1\n")
    assert [s.image_id for s in dataset.samples] == ["a", "sub/a", "b"]


def test_whole_numbers_are_indices(folder):
    dataset = load(folder, HEAD + "a.png,3,0,0,1,1\nb.png,0,0,0,1,1\n")
    assert dataset.classes == ("0", "1", "2", "3")
    assert [s.label for s in dataset.samples] == [3, 0]
    dataset = load(folder, HEAD + "a.png,10,0,0,1,1\nb.png,9a,0,0,1,1\n")
    assert (dataset.classes, dataset.samples[0].label) == (("10", "9a"), 0)


def test_wnids_are_those_of_ilsvrc(folder):
    dataset = load(folder, HEAD + "a.png,n02085620,0,0,1,1\nb.png,n01443537,0,0,1,1\n")
    classes = ilsvrc.read_classes(folder)
    assert (len(dataset.classes), dataset.classes[1]) == (1000, "goldfish")
    assert [s.label for s in dataset.samples] == [classes["n02085620"][0], 1]
    with pytest.raises(ValueError, match="line 2: label 'n99999999' is not one of the data set's"):
        load(folder, HEAD + "a.png,n99999999,0,0,1,1\n")


def test_a_list_of_classes_beside_it(folder):
    (folder / "classes.txt").write_text("dog\n\ncat\nbird\n")
    dataset = load(folder, HEAD + "a.png,cat,0,0,1,1\n")
    assert (dataset.classes, dataset.samples[0].label) == (("dog", "cat", "bird"), 1)
    assert load(folder, HEAD + "a.png,2,0,0,1,1\n").samples[0].label == 2
    for label in ("3", "fish"):
        with pytest.raises(ValueError, match=rf"line 2: label '{label}' is not one of .*classes"):
            load(folder, HEAD + f"a.png,{label},0,0,1,1\n")
    (folder / "classes.txt").write_text("7\n3\n")  # names of digits are names
    assert load(folder, HEAD + "a.png,3,0,0,1,1\n").samples[0].label == 1
    (folder / "classes.txt").write_text("7\n3\n7\n")
    with pytest.raises(ValueError, match=r"classes\.txt, line 3: '7' stands in line 1 already"):
        load(folder, HEAD + "a.png,3,0,0,1,1\n")
    (folder / "classes.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"classes\.txt: names no class"):
        load(folder, HEAD + "a.png,3,0,0,1,1\n")


def test_splits(folder):
    text = SPLIT + "a.png,x,0,0,1,1,train\nb.png,y,0,0,1,1,test\nsub/c.jpg,x,0,0,1,1,val\n"
    assert [(s.image_id, s.split) for s in load(folder, text).samples] == [("b", "test")]
    assert [s.image_id for s in load(folder, text, "train").samples] == ["a"]
    assert load(folder, text, "train").classes == ("x", "y")
    with pytest.raises(ValueError, match=r"split is 'dev'; there are: train, test, val$"):
        load(folder, text, "dev")
    without = text.replace(",test", ",other")
    assert [s.image_id for s in load(folder, without).samples] == ["c"]
    neither = without.replace(",val", ",more")
    assert [s.image_id for s in load(folder, neither).samples] == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"split is 'test'; there are: none$"):
        load(folder, HEAD + "a.png,x,0,0,1,1\n", "test")


def test_images_without_boxes_are_for_what_asks_for_none(folder):
    text = HEAD + "a.png,x,,,,\nb.png,x,0,0,1,1\n"
    assert [s.boxes for s in load(folder, text, truth=False).samples] == [(), ((0, 0, 1, 1),)]
    with pytest.raises(ValueError, match=r"a\.png: nothing says where the object is; .*FILE\.csv"):
        load(folder, text)


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ("none.png,x,0,0,1,1\n", r"none\.png: no such image, though .*, line 2 names it"),
        (f"{'x' * 300},x,0,0,1,1\n", "xxx': no such image, though .*, line 2 names it: .*too long"),
        ("../a.png,x,0,0,1,1\n", r"line 2: path '\.\./a\.png' leaves the folder"),
        ("sub/../a.png,x,0,0,1,1\n", r"line 2: path 'sub/\.\./a\.png' leaves the folder"),
        ("/a.png,x,0,0,1,1\n", r"line 2: path '/a\.png' leaves the folder"),
        (r"C:\a.png,x,0,0,1,1", r"line 2: path 'C:\\\\a\.png' leaves the folder"),
        (",x,0,0,1,1\n", "line 2: path '' leaves the folder"),
        ("a.png,,0,0,1,1\n", "line 2: no label"),
        ("a.png,x,0,0,1\n", "line 2: 5 values, but the header names 6"),
        ("a.png,x,0,0,1,\n", r"line 2: box \(0, 0, 1, \) is not four numbers"),
        ("a.png,x,0,0,one,1\n", "line 2: box .* is not four numbers"),
        ("a.png,x,3,0,3,1\n", "line 2: box .* is of no size"),
        ("a.png,x,4,0,3,1\n", "line 2: box .* is turned inside out"),
        ("a.png,x,0,0,1,1\na.png,x,0,0,1,1\n", "line 3: is line 2 once more"),
        ("a.png,x,,,,\na.png,x,0,0,1,1\n", "line 3: of the image of line 2, one of them without"),
        ("a.png,x,0,0,1,1\na.png,y,,,,\n", "line 3: of the image of line 2, one of them without"),
        ("a.png,100000,0,0,1,1\n", "line 2: label is 100000; expected .* below 100000"),
        ("a.png,9999999999999,0,0,1,1\n", "line 2: label is 9999999999999"),
        ("", "lists no image; expected lines of image,label,x0"),
    ],
)
def test_what_is_wrong_in_a_line(folder, lines, word):
    with pytest.raises((ValueError, FileNotFoundError), match=word) as error:
        load(folder, HEAD + lines)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ("a.png,x,0,0,1,1,test\na.png,x,0,0,2,2,val\n", "line 3: split is 'val', but 'test' in"),
        ("a.png,x,0,0,1,1,\n", "line 2: no split"),
    ],
)
def test_what_is_wrong_in_a_split(folder, lines, word):
    with pytest.raises(ValueError, match=word):
        load(folder, SPLIT + lines)


def test_the_largest_index(folder):
    assert len(load(folder, HEAD + "a.png,99999,0,0,1,1\n").classes) == 100_000


def test_it_is_told_from_a_manifest_by_its_columns(folder):
    (folder / "boxes.csv").write_text("y1,x1,y0,x0,label,image,note\n1,2,0,0,x,a.png,\n")
    assert boxes_csv.accepts(folder / "boxes.csv")
    assert datasets.load(str(folder / "boxes.csv")).samples[0].boxes == ((0, 0, 2, 1),)
    (folder / "defects.csv").write_text("image,defective,mask,split\na.png,0,,test\n")
    assert not boxes_csv.accepts(folder / "defects.csv")
    both = r"expected a FILE\.csv with .*x0,y0,x1,y1.* \(localization\); or a manifest FILE\.csv "
    both += r".*image,defective.* \(defects\)"
    for text in ("image,defective,mask,split\n", "image,label,x0,y0,x1\n", ""):
        (folder / "other.csv").write_text(text)
        with pytest.raises(ValueError, match=rf"other\.csv is no data set for .*: {both}"):
            datasets.load(str(folder / "other.csv"))
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such data folder or file"):
        datasets.load("none.csv")
    assert not boxes_csv.accepts(folder)


def test_the_fingerprint_follows_every_change(folder):
    before = load(folder, HEAD + "a.png,x,0,0,1,1\n").fingerprint
    assert load(folder, HEAD + "a.png,x,0,0,1,1\n").fingerprint == before
    for text in ("a.png,x,0,0,1,2\n", "b.png,x,0,0,1,1\n", "a.png,1,0,0,1,1\n"):
        assert load(folder, HEAD + text).fingerprint != before
