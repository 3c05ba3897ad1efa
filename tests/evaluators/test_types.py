"""What a reader of one's own may hand over, and what is refused by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets, loop
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Ellipse, Sample, Scene
from camx.evaluators.values import as_box, whole_of


def test_texts_and_numpy_are_taken():
    boxes = [np.array([1, 2, 200, 250], np.uint8), [1.4, 2.6, 5, 7]]
    sample = Sample("a", "x/a.png", np.int64(3), boxes, "m.png")
    assert sample == Sample(
        "a", Path("x/a.png"), 3, ((1, 2, 200, 250), (1, 3, 5, 7)), Path("m.png")
    )
    assert type(sample.label) is int
    assert Sample("a", "a.png", np.bool_(True), mask=Ellipse(1, 2, 3, 4, 0)).label == 1
    scene = Scene("a", "a.png", np.array([0, 3]), "m.png")
    assert scene == Scene("a", Path("a.png"), (0, 3), Path("m.png"))
    assert Scene("a", "a.png").mask is None
    assert as_box(["-3", "0.4", "8.6", "9"]) == (-3, 0, 9, 9)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"path": None}, "'a': path is None; expected a path"),
        ({"path": 3}, "'a': path is 3; expected a path"),
        ({"label": 1.0}, r"a\.png: label is 1\.0; expected a whole number"),
        ({"label": "1"}, r"a\.png: label is '1'; expected a whole number"),
        ({"boxes": 5}, r"a\.png: boxes are 5; expected \(x0, y0, x1, y1\)"),
        ({"boxes": (1, 2, 3, 4)}, r"a\.png: boxes are \(1, 2, 3, 4\); expected"),
        ({"boxes": ((1, 2, 3),)}, r"a\.png: box \(1, 2, 3\) is not four finite numbers"),
        ({"boxes": ((1, 2, 3, None),)}, r"a\.png: box \(1, 2, 3, None\) is not four numbers"),
        ({"boxes": ((1, 2, float("inf"), 4),)}, r"box \(1, 2, inf, 4\) is not four finite"),
        ({"boxes": ((9, 2, 3, 4),)}, r"box \(9, 2, 3, 4\) is turned inside out"),
        ({"boxes": ((3, 2, 3, 4),)}, r"box \(3, 2, 3, 4\) is of no size"),
        ({"boxes": ((-9, 2, 0, 4),)}, "lies outside the picture"),
        ({"mask": 7}, r"a\.png: mask is 7; expected a path"),
    ],
)
def test_a_sample_of_wrong_types_is_named(values, word):
    with pytest.raises(ValueError, match=word):
        Sample(**{"image_id": "a", "path": "a.png", "label": 0, **values})


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"path": None}, "'a': path is None"),
        ({"labels": 3}, r"a\.png: labels are 3; expected indices such as \(0, 3\)"),
        ({"labels": (0.5,)}, r"a\.png: a label is 0\.5; expected a whole number"),
        ({"mask": 7}, r"a\.png: mask is 7; expected a path"),
    ],
)
def test_a_scene_of_wrong_types_is_named(values, word):
    with pytest.raises(ValueError, match=word):
        Scene(**{"image_id": "a", "path": "a.png", **values})


def test_boxes_are_cut_at_the_picture_s_edges():
    """As a true box that ends a pixel outside is meant; one of another picture is not."""
    inside = Sample("a", "a.png", 0, ((0, 0, 40, 30), (39, 29, 40, 30)))
    assert inside.within((40, 30)) is inside
    sample = Sample("a", "a.png", 0, ((-1, -2, 41, 31), (20, 0, 50, 30)))
    assert sample.within((40, 30)).boxes == ((0, 0, 40, 30), (20, 0, 40, 30))
    for box in ((40, 0, 50, 20), (0, 0, 80, 60), (20, 0, 61, 30), (500, 400, 510, 410)):
        with pytest.raises(
            ValueError, match=r"a\.png: of box \(.*\) less than half lies in the pic"
        ):
            Sample("a", "a.png", 0, (box,)).within((40, 30))


def test_boxes_are_cut_where_the_picture_is_read(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    sample = Sample("a", tmp_path / "a.png", 0, ((-1, 0, 41, 31),))
    assert loop.decode(sample, (8,)).sample.boxes == ((0, 0, 40, 30),)
    with pytest.raises(ValueError, match="less than half lies in the picture, 40 x 30"):
        loop.decode(Sample("a", tmp_path / "a.png", 0, ((100, 100, 120, 120),)), (8,))


READER = """
from camx.evaluators.datasets import fingerprint
from camx.evaluators.types import Dataset, Sample

def read():
    samples = [Sample({image_id}, {path}, 0, [[1, 2, 3, 4]])]
    {line}
    return Dataset("mine", ".", ("a", "b"), samples, fingerprint(samples))
"""


def load(tmp_path, image_id="'a'", path="'a.png'", line="pass"):
    (tmp_path / "mine.py").write_text(READER.format(image_id=image_id, path=path, line=line))
    return datasets.load(str(tmp_path / "mine.py"))


def test_a_reader_of_texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (6, 4)).save("a.png")
    dataset = load(tmp_path)
    assert (dataset.root, dataset.samples[0].path) == (Path("."), Path("a.png"))
    assert dataset.fingerprint == fingerprint(dataset.samples)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"path": "'b.png'"}, "b.png: no such image"),
        ({"path": "None"}, "'a': path is None"),
        ({"path": "'.'"}, "no such image, but a folder; expected a file"),
        ({"path": "'a\\0.png'"}, "no such image"),
        ({"line": "samples[0].label = 1"}, r"mine\.py: its read\(\) failed: FrozenInstanceError"),
        ({"line": "{}['x']"}, r"mine\.py: its read\(\) failed: KeyError: 'x'"),
        ({"line": "samples = 3"}, r"mine\.py: its read\(\) failed: TypeError"),
        ({"line": "samples = []"}, "the data set holds no image"),
        ({"line": "return 3"}, "must return evaluators.types.Dataset, not int"),
        ({"line": "return Dataset('x', '.', 'ab', samples, 'f')"}, "classes are 'ab'; expected"),
        ({"line": "return Dataset('x', '.', ('a', 3), samples, 'f')"}, "classes are .* expected"),
        ({"line": "return Dataset('x', 7, ('a',), samples, 'f')"}, "root is 7; expected a path"),
        ({"line": "return Dataset('x', '.', ('a',), [3], 'f')"}, "samples are .*, not 3"),
        ({"line": "return Dataset('x', '.', ('a',), 3, 'f')"}, "samples are 3; expected"),
        ({"line": "return Dataset('x', '.', ('a',), samples, None)"}, "fingerprint is None"),
    ],
)
def test_a_reader_s_fault_is_named(tmp_path, monkeypatch, change, word):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (6, 4)).save("a.png")
    with pytest.raises((ValueError, FileNotFoundError), match=word) as error:
        load(tmp_path, **change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["Class1/Train/0001", "a b", "n01.any.name", "ä", "10:30:59"])
def test_names_may_have_folders(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (6, 4)).save("a.png")
    assert load(tmp_path, repr(name)).samples[0].image_id == name


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", "../a", "a/../../b", "/etc/a", "a//b", "a/", "a/./b", "a\\..\\..\\b",
     "C:\\a", "a\0b", "a\nb", ".hidden", "a/._b", "\udcff", 3, None],
)  # fmt: skip
def test_names_that_leave_the_folder_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (6, 4)).save("a.png")
    with pytest.raises(ValueError, match=r"a\.png: image_id is "):
        load(tmp_path, repr(name))


def test_a_data_set_s_values_are_settled():
    dataset = Dataset("x", "there", ["a"], [Sample("a", "a.png", 0)], "f")
    assert (dataset.root, dataset.classes) == (Path("there"), ("a",))
    assert isinstance(dataset.samples, tuple)


def test_whole_numbers_of_files():
    expected = {"0": 0, "012": 12, "9" * 18: 10**18 - 1, "9" * 19: -1, "9" * 5000: -1}
    expected |= dict.fromkeys(["", "-1", "1.0", "x", "\u00b2", "1_0", "+1"], -1)
    assert {word: whole_of(word) for word in expected} == expected
