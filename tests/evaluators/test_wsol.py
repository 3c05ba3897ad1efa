"""wsolevaluation's layout: CUB and ILSVRC with boxes, OpenImages with masks, each with splits."""

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets
from camx.evaluators.datasets import ilsvrc, wsol
from camx.evaluators.types import Sample

BIRD, GULL = "001.Black_footed_Albatross", "002.Laysan_Albatross"


class Kit:
    """A folder to fill with the lists of data sets, and with their images."""

    def __init__(self, root):
        self.root = root

    def split(self, name, split, images, labels, truth=None, sizes=None):
        """A split of images, 12 x 10 unless told, and whatever lines say where objects are."""
        for image in images:
            picture(self.images(name) / image)
        sizes = [f"{image},12,10" for image in images] if sizes is None else sizes
        self.write(name, split, "image_ids", images)
        self.write(name, split, "class_labels", [f"{i},{k}" for i, k in zip(images, labels)])
        self.write(name, split, "image_sizes", sizes)
        self.write(name, split, "localization", truth or [])

    def write(self, name, split, kind, lines):
        path = self.metadata(name) / split / f"{kind}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))

    def metadata(self, name):
        return self.root / "metadata" / name

    def images(self, name):
        return self.root / "dataset" / name


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), (value,) * 3).save(path)


@pytest.fixture
def kit(tmp_path):
    return Kit(tmp_path)


@pytest.fixture
def cub(kit):
    images = [f"{BIRD}/Black_Footed_Albatross_0046_18.jpg", f"{GULL}/Laysan_Albatross_0001_545.jpg"]
    lines = [f"{images[0]},2,3,7,10", f"{images[1]},0,0,12,10"]
    kit.split("CUB", "test", images, (0, 1), lines)
    kit.split("CUB", "val", [f"{GULL}/30107316117.jpg"], (1,), [f"{GULL}/30107316117.jpg,1,2,3,4"])
    train = [f"{BIRD}/Black_Footed_Albatross_0009_34.jpg"]
    kit.split("CUB", "train", train, (0,), [f"{train[0]},1,1,5,5"])
    return kit


@pytest.fixture
def ilsvrc_kit(kit):
    test = [f"val/ILSVRC2012_val_0000000{n}.JPEG" for n in (1, 2)]
    boxes = [f"{test[1]},2,2,4,4", f"{test[0]},1,1,5,5", f"{test[1]},2,2,4,4"]
    kit.split("ILSVRC", "test", test, (65, 970), boxes)
    val = ["val2/0/0.jpeg", "val2/1/0.jpeg"]
    kit.split("ILSVRC", "val", val, (0, 1), [f"{image},1,2,3,4" for image in val])
    train = ["train/n01440764/n01440764_10026.JPEG"]
    kit.split("ILSVRC", "train", train, (0,), sizes=[])
    return kit


MASKS = [
    "test/01226z/7a.jpg,test/01226z/7a_m01226z_65.png,test/01226z/7a_ignore.png",
    "test/01226z/7a.jpg,test/01226z/7a_m01226z_88.png,",
    "test/0138tl/97.jpg,test/0138tl/97_m0138tl_9a.png,test/0138tl/97_ignore.png",
]


@pytest.fixture
def openimages(kit):
    images = ["test/01226z/7a.jpg", "test/0138tl/97.jpg"]
    kit.split("OpenImages", "test", images, (0, 1), MASKS, sizes=[])
    kit.split("OpenImages", "train", ["train/0c2jj/1f.jpg"], (2,), sizes=[])
    for line in MASKS:
        for name in filter(None, line.split(",")[1:]):
            picture(kit.images("OpenImages") / name)
    return kit


def test_every_way_to_name_a_data_set(cub):
    """The only one, its lists, or its images."""
    folder = cub.images("CUB")
    paths = [folder / f"{BIRD}/Black_Footed_Albatross_0046_18.jpg"]
    paths += [folder / f"{GULL}/Laysan_Albatross_0001_545.jpg"]
    for root in (cub.root, cub.metadata("CUB"), folder):
        assert wsol.accepts(root)
        dataset = wsol.read(root)
        assert (dataset.name, dataset.root, dataset.images) == ("wsol-cub", root, folder)
        assert dataset.classes == (BIRD, GULL)
        assert dataset.samples == (
            Sample(paths[0].stem, paths[0], 0, ((2, 3, 7, 10),), split="test"),
            Sample(paths[1].stem, paths[1], 1, ((0, 0, 12, 10),), split="test"),
        )
        assert datasets.load(str(root)).samples == dataset.samples
    (val,) = wsol.read(cub.root, "val").samples
    assert (val.image_id, val.label, val.boxes) == ("30107316117", 1, ((1, 2, 3, 4),))
    (train,) = wsol.read(cub.root, "train").samples
    assert (train.label, train.boxes, train.split) == (0, ((1, 1, 5, 5),), "train")


def test_classes_are_those_of_all_splits(cub):
    """Else a network of two classes would meet a data set of one."""
    assert wsol.read(cub.root, "train").classes == (BIRD, GULL)


def test_ilsvrc_s_splits(ilsvrc_kit):
    """A box that stands twice is two, as four are in the published list."""
    root = ilsvrc_kit.root
    dataset = wsol.read(root)
    assert len(dataset.classes) == 1000
    assert dataset.classes[1] == "goldfish"
    assert [(s.image_id, s.label, s.boxes) for s in dataset.samples] == [
        ("ILSVRC2012_val_00000001", 65, ((1, 1, 5, 5),)),
        ("ILSVRC2012_val_00000002", 970, ((2, 2, 4, 4), (2, 2, 4, 4))),
    ]
    val = wsol.read(root, "val").samples
    assert [(s.image_id, s.label) for s in val] == [("val2/0/0", 0), ("val2/1/0", 1)]
    (train,) = wsol.read(root, "train").samples
    assert (train.label, train.boxes, train.mask) == (0, (), None)
    for place in (root, ilsvrc_kit.metadata("ILSVRC"), ilsvrc_kit.images("ILSVRC")):
        assert not ilsvrc.accepts(place)
        assert datasets.load(str(place)).name == "wsol-ilsvrc"
    ilsvrc_kit.write("ILSVRC", "val", "class_labels", ["val2/0/0.jpeg,0", "val2/1/0.jpeg,1000"])
    with pytest.raises(ValueError, match=r"class_labels\.txt: label 1000 of .*0\.\.999"):
        wsol.read(root, "val")


def test_openimages_masks(openimages):
    """Of whatever form their files are, as the published ones differ."""
    folder = openimages.images("OpenImages") / "test"
    dataset = wsol.read(openimages.root)
    assert dataset.classes == ("01226z", "0138tl", "0c2jj")
    first, second = dataset.samples
    assert (first.image_id, first.label, first.boxes) == ("7a", 0, ())
    names = ("7a_m01226z_65.png", "7a_m01226z_88.png")
    assert first.mask.paths == tuple(folder / "01226z" / name for name in names)
    assert first.mask.ignore == folder / "01226z/7a_ignore.png"
    assert len(second.mask.paths) == 1
    marks = np.zeros((3, 2, 3), bool)
    marks[0, 0, 0] = marks[1, 1, 1] = marks[2, 0, 0] = marks[2, 0, 2] = True
    for path, mark, mode in zip(first.mask.files, marks, ("1", "RGBA", "RGB")):
        Image.fromarray(mark).convert(mode).save(path)
    assert first.mask.read((3, 2)).tolist() == [[1, 0, 255], [0, 1, 0]]
    assert first.within((3, 2)).boxes == ((0, 0, 1, 1), (1, 1, 2, 2))
    (train,) = wsol.read(openimages.root, "train").samples
    assert (train.label, train.mask) == (2, None)
    dark = Image.fromarray(np.array([[1, 0]], np.uint8))
    dark.save(second.mask.paths[0])
    Image.new("L", (2, 1)).save(second.mask.ignore)
    assert second.mask.read((2, 1)).tolist() == [[1, 0]]  # any value above 0


def test_a_data_set_of_one_s_own(kit):
    """Of names that tell nothing of classes: these are their numbers."""
    kit.split("mine", "test", ["a.jpg", "b.jpg"], (0, 2), ["a.jpg,1,1,2,2", "b.jpg,1,1,2,2"])
    assert wsol.read(kit.root).classes == ("0", "1", "2")
    kit.split(
        "mine", "test", ["x/a.jpg", "y/b.jpg"], (0, 2), ["x/a.jpg,1,1,2,2", "y/b.jpg,1,1,2,2"]
    )
    assert wsol.read(kit.root).classes == ("x", "1", "y")


def test_several_data_sets(cub):
    """Lists come together; the images that are there say which is meant, or nothing does."""
    cub.write("ILSVRC", "test", "image_ids", ["val/ILSVRC2012_val_00000001.JPEG"])
    assert wsol.read(cub.root).name == "wsol-cub"
    cub.images("ILSVRC").mkdir()
    word = r"several data sets, CUB, ILSVRC; expected one of them: --data .*metadata/CUB"
    with pytest.raises(ValueError, match=word):
        wsol.read(cub.root)
    assert wsol.read(cub.metadata("CUB")).name == "wsol-cub"
    cub.write("mine", "test", "image_ids", ["a.jpg"])
    with pytest.raises(FileNotFoundError, match="dataset/mine: no such folder of images"):
        wsol.read(cub.metadata("mine"))


def test_splits_are_those_that_are_there(cub, tmp_path):
    word = r"split is 'dev'; accepted: test, train, val \(of .*metadata/CUB\)"
    with pytest.raises(ValueError, match=word):
        wsol.read(cub.root, "dev")
    (tmp_path / "empty").mkdir()
    assert not wsol.accepts(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"no metadata/<NAME>/<split>/image_ids\.txt"):
        wsol.read(tmp_path / "empty")


A, B = f"{BIRD}/Black_Footed_Albatross_0046_18.jpg", f"{GULL}/Laysan_Albatross_0001_545.jpg"


@pytest.mark.parametrize(
    ("kind", "lines", "word"),
    [
        ("image_ids", [A, B, A], r"ids\.txt, line 3: .*is listed twice, first in .*line 1"),
        ("image_ids", [], r"ids\.txt: lists no image"),
        ("image_ids", [A, B, "../x.jpg"], r"labels\.txt: no line for \.\./x\.jpg \(.*line 3\); 2"),
        ("class_labels", [f"{A},0"], r"labels\.txt: no line for .*545\.jpg \(.*line 2\); 1 of 2"),
        ("class_labels", [f"{A},0", f"{B},x"], r"labels\.txt, line 2: label 'x'; expected a whole"),
        ("class_labels", [f"{A},{'9' * 5000}", f"{B},1"], r"labels\.txt, line 1: label '9+'; exp"),
        ("class_labels", [f"{A},-1", f"{B},1"], r"labels\.txt, line 1: label '-1'; expected"),
        ("class_labels", [f"{A},0", B], r"labels\.txt, line 2: '.*'; expected path,label"),
        ("class_labels", [f"{A},0", f"{A},0"], r"labels\.txt, line 2: .*has a label already, 0"),
        ("class_labels", [f"{A},0", "c.jpg,0"], r"line 2: 'c\.jpg' is not an image of image_ids"),
        ("class_labels", [f"{A},1", f"{B},1"], r"545\.jpg has label 1, but label 1 is that of fol"),
        ("class_labels", [f"{A},0", f"{B},0"], r"545\.jpg has label 0, but label 0 is that of fol"),
        ("image_sizes", [f"{A},12,10"], r"localization\.txt, line 2: .*has no size in image_sizes"),
        ("image_sizes", [f"{A},12,10", f"{B},12"], r"sizes\.txt, line 2: .*; expected path,width,"),
        ("image_sizes", [f"{A},12,10", f"{B},0,10"], r"sizes\.txt, line 2: size 0,10; expected"),
        ("image_sizes", [f"{A},12,10", f"{A},12,10"], r"line 2: .*has a size already, \(12, 10\)"),
        ("localization", [f"{A},1,1,2,2"], r"localization\.txt: no line for .*545\.jpg .*1 of 2"),
        ("localization", ["c.jpg,1,1,2,2"], r"localization\.txt, line 1: 'c\.jpg' is not an image"),
        ("localization", [f"{A},1,1,2"], r"localization\.txt, line 1: .*path,x0,y0,x1,y1 or path,"),
        ("localization", [f"{A},1,1,2,2", f"{B},m.png,"], r"line 2: .*; expected path,x0,y0,x1,y1"),
        ("localization", [f"{A},m.png,", f"{B},1,1,2,2"], r"line 2: .*; expected path,mask\.png,i"),
        ("localization", [f"{A},1,x,2,2"], r"localization\.txt, line 1: box .*not four numbers"),
        ("localization", [f"{A},2,1,2,2"], r"localization\.txt, line 1: box .*no size"),
        ("localization", [f"{A},1,1,13,2"], r"line 1: box \(1, 1, 13, 2\) leaves the .* 12 x 10"),
        ("localization", [f"{A},1,1,2,11"], r"line 1: box \(1, 1, 2, 11\) leaves the picture"),
        ("localization", [f"{A},-1,1,2,2"], r"line 1: box \(-1, 1, 2, 2\) leaves the picture"),
        ("localization", [f"{A},1,-1,2,2"], r"line 1: box \(1, -1, 2, 2\) leaves the picture"),
        ("localization", [], r"localization\.txt: no line; expected path,x0,y0,x1,y1 or path,mask"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_list(cub, kind, lines, word):
    cub.write("CUB", "test", kind, lines)
    with pytest.raises((ValueError, FileNotFoundError), match=word) as error:
        wsol.read(cub.root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/a.jpg", "x/../../a.jpg", "C:a.jpg", "..\\a.jpg", r"\\x\a"]
)
def test_paths_that_leave_the_folder(kit, name):
    kit.split("mine", "test", ["a.jpg"], (0,), ["a.jpg,m.png,"])
    for mask, ignore in ((name, ""), ("m.png", name)):
        kit.write("mine", "test", "localization", [f"a.jpg,{mask},{ignore}"])
        word = r"localization\.txt, line 1: path .* leaves the folder .*dataset/mine"
        with pytest.raises(ValueError, match=word):
            wsol.read(kit.root)
    kit.write("mine", "test", "image_ids", [name])
    kit.write("mine", "test", "image_sizes", [])
    kit.write("mine", "test", "class_labels", [f"{name},0"])
    kit.write("mine", "test", "localization", [f"{name},m.png,"])
    with pytest.raises(ValueError, match=r"image_ids\.txt, line 1: path .* leaves the folder"):
        wsol.read(kit.root)


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ([MASKS[0], f"{MASKS[1]}test/01226z/7a_ignore.png", MASKS[2]],
         r"line 2: ignore mask 'test/01226z/7a_ignore\.png', which .*first line alone"),
        ([f"{MASKS[0].rpartition(',')[0]},", f"{MASKS[1]}i.png", MASKS[2]], "line 2: ignore mask"),
        ([MASKS[0], f"{MASKS[0].rpartition(',')[0]},", MASKS[2]], r"line 2: mask .* stands in .*1"),
        (MASKS[:2], r"localization\.txt: no line for test/0138tl/97\.jpg"),
        ([*MASKS, "test/0138tl/97.jpg,,"], r"line 4: path '' leaves the folder"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_masks(openimages, lines, word):
    openimages.write("OpenImages", "test", "localization", lines)
    with pytest.raises(ValueError, match=word):
        wsol.read(openimages.root)


def test_images_and_masks_that_lack(openimages, cub):
    openimages = openimages.metadata("OpenImages")
    path = openimages.parents[1] / "dataset/OpenImages/test/0138tl/97_ignore.png"
    path.unlink()
    word = r"97_ignore\.png: no such mask; 4 of the 5 that .*localization\.txt names are there"
    with pytest.raises(FileNotFoundError, match=word):
        wsol.read(openimages)
    (cub.images("CUB") / B).unlink()
    word = r"545\.jpg: no such image; 1 of the 2 that .*image_ids\.txt names are there"
    with pytest.raises(FileNotFoundError, match=word):
        wsol.read(cub.metadata("CUB"))
    (cub.metadata("CUB") / "test/localization.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"localization\.txt: no line; expected path,x0"):
        wsol.read(cub.metadata("CUB"))
    (cub.metadata("CUB") / "train/localization.txt").unlink()
    assert wsol.read(cub.metadata("CUB"), "train").samples[0].boxes == ()


def test_backslashes_separate_folders(cub):
    expected = wsol.read(cub.root)
    for path in cub.metadata("CUB").rglob("*.txt"):
        path.write_text(path.read_text().replace("/", "\\"))
    assert wsol.read(cub.root) == expected
