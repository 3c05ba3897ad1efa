"""How a data set is chosen: by its layout, by a reader's name and a folder, by a file."""

import re
import sys

import pytest
from PIL import Image

from camx.evaluators import datasets, tasks
from camx.evaluators.datasets import (
    _readers,
    coco,
    cub,
    glas,
    ilsvrc,
    image_folder,
    imagenet_s,
    mini,
    neu_det,
    voc_boxes,
    wsol,
    yolo,
)  # fmt: skip
from camx.evaluators.miniature import ilsvrc as objects

OWN = """
from pathlib import Path
from camx.evaluators.datasets import fingerprint
from camx.evaluators.types import Dataset, Sample

def read({0}):
    samples = tuple(
        Sample(path.stem, path, 0, ((0, 0, 1, 1),)) for path in sorted(Path({1}).glob("*.png"))
    )
    return Dataset("own", Path({1}), ("a",), samples, fingerprint(samples))

other = read
"""


@pytest.fixture
def root(tmp_path):
    objects.write(tmp_path / "d", images=3)
    return tmp_path / "d"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two folders of pictures, and the current folder they are in."""
    for name in ("one/1.png", "two/2.png", "two/3.png", "a:b/4.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def ids(data, task="localization", split=""):
    return [sample.image_id for sample in datasets.load(data, task, split).samples]


def test_a_reader_and_its_folder(root, folder):
    expected = ids(str(root))
    assert len(expected) == 3
    for data in (f"ilsvrc:{root}", "ilsvrc:d", "ILSVRC:d"):
        assert ids(data) == expected
    (folder / "ilsvrc:d").mkdir()  # a folder of the whole name is itself
    with pytest.raises(ValueError, match="ilsvrc:d is no data set for localization"):
        datasets.load("ilsvrc:d")


@pytest.mark.parametrize(
    ("parts", "layouts"),
    [
        (["annotations"], [coco]),
        (["metadata", "train"], [wsol, image_folder]),
        (["images.txt", "classes.txt", "segmentations"], [cub]),
        (["JPEGImages", "Annotations", "annotations"], [voc_boxes]),
        (["labels"], [yolo]),
        (["ANNOTATIONS"], [neu_det]),
        (["validation-segmentation"], [imagenet_s]),
        (["LOC_synset_mapping.txt"], [ilsvrc]),
        (["train_1_anno.bmp"], [glas]),
    ],
)
def test_a_part_of_a_layout_tells_which_is_meant(tmp_path, parts, layouts):
    for part in parts:
        (tmp_path / part).mkdir()
    with pytest.raises(ValueError, match="is no data set for localization that camx kn") as error:
        datasets.load(str(tmp_path))
    expected = "; or ".join(sorted(reader.LAYOUT for reader in layouts))
    assert str(error.value).endswith(f"knows: expected {expected}")


def test_without_a_part_the_readers_are_named(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "file").write_text("")
    names = "boxes-csv, coco, cub, glas, ilsvrc, image-folder, imagenet-s, neu-det, voc-boxes, wsol"
    names = re.escape(f"{names}, yolo (`camx list datasets` shows what each expects)")
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(ValueError, match=f"{place} is no .*: expected one of {names}$"):
            datasets.load(str(place))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ("ilsvrc:nowhere", "nowhere: no such folder or file for ilsvrc to read"),
        ("ilsvrc:/no/where", "/no/where: no such folder or file for ilsvrc to read"),
        ("ilsvrc:", "ilsvrc:: no folder stands behind the colon; expected ilsvrc:FOLDER"),
        ("mine.py:", r"mine\.py:: no folder stands behind the colon; expected mine\.py:FOLDER"),
        ("mini:one", "mini:one: mini reads no folder; expected --data mini"),
        ("dagm:one", "dagm reads data for defects, not for localization"),
        ("by-class:one", "by-class reads data for classification, not for localization"),
        ("ilsvrc:one", "one is not what ilsvrc reads: expected ILSVRC/Data/CLS-LOC/val"),
        ("ilsvrc", r"ilsvrc needs a folder: --data ilsvrc:FOLDER .*, which holds ILSVRC/Data"),
        ("ilsvrcc:/no/where", "unknown dataset 'ilsvrcc'; known: .*Did you mean 'ilsvrc'"),
        ("no/where:one", "no/where:one: no such data folder or file"),
        ("none.py:one", r"none\.py: no such plug-in file"),
        ("none.yaml", r"none\.yaml: no such data folder or file"),
    ],
)
def test_what_names_nothing(folder, data, word):
    with pytest.raises((ValueError, FileNotFoundError), match=word) as error:
        datasets.load(data)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore::camx.camcore.plugins.ForeignCode")
def test_a_file_of_one_s_own_and_its_folder(folder):
    (folder / "mine.py").write_text(OWN.format("root", "root"))
    assert ids("mine.py:one") == ["1"]
    assert ids(f"{folder}/mine.py:{folder}/two") == ["2", "3"]
    assert ids("mine.py:a:b") == ["4"]  # all behind the first colon
    with pytest.raises(ValueError, match=r"mine\.py needs a folder: --data mine\.py:FOLDER$"):
        datasets.load("mine.py")
    with pytest.raises(FileNotFoundError, match=r"none: no such folder or file for .*mine\.py to"):
        datasets.load("mine.py:none")
    with pytest.raises(ValueError, match=r"split is 'val', but .*mine\.py reads no splits for"):
        datasets.load("mine.py:one", split="val")
    (folder / "mine.py").write_text("TASK = 'defects'\n" + OWN.format("root", "root"))
    with pytest.raises(ValueError, match=r"mine\.py reads data for defects, not for localization"):
        datasets.load("mine.py:one")
    (folder / "mine.py").write_text("LAYOUT = 'pictures'\n" + OWN.format("root", "root"))
    with pytest.raises(ValueError, match=r"mine\.py:FOLDER, which holds pictures$"):
        datasets.load("mine.py")


@pytest.mark.filterwarnings("ignore::camx.camcore.plugins.ForeignCode")
@pytest.mark.parametrize("parameters", ["", "*, split='two'", "split='two'"])
def test_a_file_that_takes_no_folder(folder, parameters):
    place = "split" if parameters else "'two'"
    (folder / "mine.py").write_text(OWN.format(parameters, place))
    assert ids("mine.py") == ["2", "3"]
    with pytest.raises(ValueError, match=r"mine\.py reads no folder: its read\(\) takes no f"):
        datasets.load("mine.py:one")
    if parameters:
        assert ids("mine.py", split="one") == ["1"]


@pytest.mark.filterwarnings("ignore::camx.camcore.plugins.ForeignCode")
def test_a_folder_with_a_default_and_splits(folder):
    (folder / "mine.py").write_text(OWN.format("root='two', split='.'", "root, split"))
    assert (ids("mine.py"), ids("mine.py:one")) == (["2", "3"], ["1"])
    assert ids("mine.py:.", split="one") == ["1"]
    (folder / "mine.py").write_text("def read(root):\n    return 1 / 0\n")
    with pytest.raises(ValueError, match=r"mine\.py: its read\(\) failed: ZeroDivisionError"):
        datasets.load("mine.py:one")


@pytest.mark.filterwarnings("ignore::camx.camcore.plugins.ForeignCode")
def test_a_function_of_a_module_and_its_folder(folder, monkeypatch):
    (folder / "my_reader.py").write_text(OWN.format("root='two'", "root"))
    monkeypatch.delitem(sys.modules, "my_reader", raising=False)
    assert ids("my_reader:read") == ["2", "3"]
    assert ids("my_reader:other:one") == ["1"]
    assert ids(f"my_reader:other:{folder}/a:b") == ["4"]
    monkeypatch.delitem(sys.modules, "my_reader")


def test_what_a_name_and_a_folder_are():
    assert _readers.parsed("mini") == ("mini", None)
    for data in ("mini", "voc:/x", "boxes_csv:/x.csv"):
        assert datasets.shipped(data)
    for data in ("mine.py", "mine.py:/x", "module:function", "module:function:/x", "/x", "voc/x"):
        assert not datasets.shipped(data)


class Reader:
    """A reader as `plugins.load` gives it."""

    TASK, LAYOUT = "localization", "anything"

    def __init__(self, name, last=False, task=TASK):
        self.name, self.LAST, self.TASK = name, last, task

    def accepts(self, root):
        return True

    def read(self, root):
        return self.name


def asked(monkeypatch, *readers):
    by_name = {reader.name: reader for reader in readers}
    monkeypatch.setattr(_readers.plugins, "names", lambda _: sorted(by_name))
    load = lambda _, hook, name: type("P", (), {"module": by_name[name]})  # noqa: E731
    monkeypatch.setattr(_readers.plugins, "load", load)


def test_general_readers_are_asked_last(tmp_path, monkeypatch):
    asked(monkeypatch, Reader("any", True), Reader("birds"), Reader("zoo", task="defects"))
    assert _readers.read(str(tmp_path), "localization", "") == "birds"
    asked(monkeypatch, Reader("any", True), Reader("zoo", task="defects"))
    assert _readers.read(str(tmp_path), "localization", "") == "any"


@pytest.mark.parametrize("last", [False, True])
def test_two_readers_of_one_folder(tmp_path, monkeypatch, last):
    asked(monkeypatch, Reader("birds", last), Reader("cats", last))
    how = f"--data birds:{tmp_path} or --data cats:{tmp_path}"
    with pytest.raises(ValueError, match=f"birds and cats both read it; .*READER:FOLDER: {how}"):
        _readers.read(str(tmp_path), "localization", "")


def test_the_miniature_has_splits_of_its_scenes_alone():
    for task in ("localization", "defects", "classification"):
        with pytest.raises(ValueError, match=f"'val', but mini reads no splits for {task}"):
            datasets.load("mini", task, "val")
    train = mini.read("segmentation", "train").samples
    assert mini.read("segmentation").samples == train
    assert datasets.load("mini", "segmentation", "val").samples != train


def test_a_reader_without_splits(root):
    with pytest.raises(ValueError, match="split is 'val', but ilsvrc reads no splits for local"):
        datasets.load(str(root), split="val")


@pytest.mark.filterwarnings("ignore::camx.camcore.plugins.ForeignCode")
@pytest.mark.parametrize("name", ["occlude", "values"])
def test_tasks_hand_the_split_on(folder, name):
    (folder / "mine.py").write_text(OWN.format("root, split='two'", "root, split"))
    task = tasks.load(name)
    for options, expected in ({}, ["2", "3"]), ({"split": "one"}, ["1"]):
        samples = task.read("mine.py:.", task.options(**options), 0).samples
        assert [sample.image_id for sample in samples] == expected


@pytest.mark.parametrize(
    ("option", "name", "code"),
    [
        ("data", "voc-boxes:/data/VOCdevkit", False),
        ("data", "mini", False),
        ("data", "mine.py:/data", True),
        ("data", "module:function:/data", True),
        ("model", "voc-boxes:/data/VOCdevkit", True),
        ("model", "timm:resnet50", False),
    ],
)
def test_what_a_run_names_is_not_taken_for_code(option, name, code):
    from camx.evaluators.drawings import sources

    if code:
        with pytest.raises(ValueError, match="which is not run because a file names it"):
            sources.unasked(option, name)
    else:
        sources.unasked(option, name)


def test_a_general_reader_s_error_tells_what_else_may_be_meant(tmp_path):
    (tmp_path / "val2017").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "val2017/1.png")
    (tmp_path / "annotations").mkdir()
    word = "annotations: no image of the class; .*; or is it meant as annotations/instances_<split"
    with pytest.raises(FileNotFoundError, match=word):
        datasets.load(str(tmp_path))
    (tmp_path / "annotations").rename(tmp_path / "pictures")
    (tmp_path / "val2017").rename(tmp_path / "birds")
    with pytest.raises(FileNotFoundError, match=r"pictures: no image of the class; [^;]*$"):
        datasets.load(str(tmp_path))
