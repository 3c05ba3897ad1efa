"""VOC's boxes as the devkit has them: corners from 1, inclusive; difficult objects; lists."""

import pytest
from PIL import Image

from camx.evaluators import datasets, kinds
from camx.evaluators.datasets import voc, voc_boxes


def thing(name, corners=(1, 1, 6, 4), difficult=0, extra=""):
    keys = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, corners))
    hard = "" if difficult is None else f"<difficult>{difficult}</difficult>"
    return f"<object><name>{name}</name>{extra}{hard}<bndbox>{box}</bndbox></object>"


class Kit:
    """A VOC20NN folder to fill: pictures with their XML, and lists of them."""

    def __init__(self, folder):
        self.folder = folder

    def image(self, name, *objects, filename=""):
        text = f"<filename>{filename or name}.jpg</filename>{''.join(objects)}"
        Image.new("RGB", (9, 6)).save(self.place(f"JPEGImages/{name}.jpg"))
        self.place(f"Annotations/{name}.xml").write_text(f"<annotation>{text}</annotation>")

    def list(self, name, text):
        self.place(f"ImageSets/Main/{name}.txt").write_text(text)

    def place(self, name):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@pytest.fixture
def kit(tmp_path):
    made = Kit(tmp_path / "VOCdevkit/VOC2012")
    head = "<part><name>head</name><bndbox><xmin>2</xmin></bndbox></part>"
    made.image("2008_000001", thing("person", (2, 3, 9, 6), extra=head))
    made.image(
        "2008_000002", thing("dog", (1, 1, 1, 1), 1), thing("cat", (5, 2, 6, 3)),
        thing("dog", ("2.6", 2, "4.4", 4)), thing("cat", difficult=1),
    )  # fmt: skip
    made.image("2008_000003", thing("tvmonitor", difficult=1))
    made.list("train", "2008_000001\n")
    made.list("val", "2008_000002\n2008_000003\n")
    made.list("trainval", "2008_000001\n2008_000002\n2008_000003\n")
    made.list("dog_val", "2008_000002  1\n2008_000003 -1\n")
    return made


def load(kit, split=""):
    return datasets.load(str(kit.folder), "localization", split)


def told(dataset):
    names = dataset.classes
    return [(s.image_id, names[s.label], s.boxes, s.difficult, s.present) for s in dataset.samples]


def test_boxes_are_counted_from_zero_and_end_behind_the_last_pixel(kit):
    """A box of one pixel is one; fractions are rounded, as some files hold them."""
    assert told(load(kit)) == [
        ("2008_000002/cat", "cat", ((4, 1, 6, 3), (0, 0, 6, 4)), False, 2),
        ("2008_000002/dog", "dog", ((0, 0, 1, 1), (2, 1, 4, 4)), False, 2),
        ("2008_000003", "tvmonitor", ((0, 0, 6, 4),), True, 1),
    ]
    (first,) = load(kit, "train").samples
    assert (first.boxes, first.split, first.label) == (((1, 2, 9, 6),), "train", 14)


@pytest.mark.parametrize("up", [0, 1, 2])
@pytest.mark.parametrize("year", ["VOC2012", "VOC2007"])
def test_every_root_reads_the_same(kit, up, year):
    folder = kit.folder.rename(kit.folder.with_name(year))
    root = (folder, *folder.parents)[up]
    dataset = datasets.load(str(root))
    assert (dataset.name, dataset.root, dataset.model) == ("voc-boxes", root, "vgg16")
    assert (dataset.classes, len(dataset.samples)) == (voc.CLASSES, 3)
    assert kinds.kind(dataset) == "own"


def test_two_years_in_one_folder(kit):
    other = Kit(kit.folder.with_name("VOC2007"))
    other.image("000001", thing("dog"))
    other.list("test", "000001\n")
    with pytest.raises(ValueError, match=r"expected one folder of .* there is: .*VOC2007 and .*2"):
        datasets.load(str(kit.folder.parent))
    assert [s.image_id for s in load(other).samples] == ["000001"]  # test before val
    assert load(other).samples[0].split == "test"


def test_splits_are_lists_of_images(kit):
    assert len(load(kit, "trainval").samples) == 4
    for split in ("test", "dog_val", "../val"):
        word = rf"Main: split is '{split}'; there are: train, trainval, val$"
        with pytest.raises(ValueError, match=word):
            load(kit, split)
    kit.place("ImageSets/Main/val.txt").unlink()
    with pytest.raises(ValueError, match="no split is called test or val; there are: train, train"):
        load(kit)


def test_classes_of_one_s_own(kit):
    kit.place("classes.txt").write_text("tvmonitor\ncat\ndog\nnot/any\n")
    assert [s.label for s in load(kit).samples] == [1, 2, 0]
    with pytest.raises(
        ValueError, match=r"class 'person' is not one of the data set's 4: tvmonitor"
    ):
        load(kit, "train")
    kit.image("2008_000003", thing("dog"), thing("not/any"))
    assert load(kit).samples[-1].image_id == "2008_000003/not_any"


def test_an_image_without_objects_is_left_out(kit):
    kit.image("2008_000003")
    assert [s.image_id for s in load(kit).samples] == ["2008_000002/cat", "2008_000002/dog"]
    kit.image("2008_000002")
    with pytest.raises(ValueError, match="the data set holds no image"):
        load(kit)


@pytest.mark.parametrize(
    ("objects", "word"),
    [
        ([thing("unicorn")], "class 'unicorn' is not one of the data set's 20: aeroplane, "),
        ([thing("dog", difficult=2)], "difficult is '2' of an object dog; accepted: 0, 1"),
        ([thing("dog", ("a", 1, 2, 2))], r"not a VOC annotation: box \(a, 1, 2, 2\) is not four"),
        ([thing("dog", (3, 1, 2, 2))], r"not a VOC annotation: box .* is of no size"),
        ([thing("dog", (4, 1, 2, 2))], r"not a VOC annotation: box .* is turned inside out"),
        ([thing("dog", (1, 1, 2))], "not a VOC annotation: an object with no bndbox of xmin, ymin"),
    ],
)
def test_what_is_wrong_in_an_annotation(kit, objects, word):
    kit.image("2008_000003", *objects)
    with pytest.raises(ValueError, match=rf"Annotations/2008_000003\.xml: {word}") as error:
        load(kit)
    assert "\n" not in str(error.value)


def test_an_object_may_say_nothing_of_difficulty(kit):
    kit.image("2008_000003", thing("dog", difficult=None))
    assert not load(kit).samples[-1].difficult


def test_an_annotation_of_another_image(kit):
    kit.image("2008_000003", thing("dog"), filename="renamed")
    assert len(load(kit).samples) == 3
    kit.image("2008_000003", thing("dog"), filename="2008_000001")
    with pytest.raises(ValueError, match="is of another image, 2008_000001"):
        load(kit)


def test_what_is_missing_is_named(kit):
    kit.place("Annotations/2008_000003.xml").unlink()
    with pytest.raises(FileNotFoundError, match=r"000003\.xml: missing annotation, of .*val\.txt"):
        load(kit)
    kit.place("JPEGImages/2008_000002.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"000002\.jpg: no such image, but .*val\.txt"):
        load(kit)
    kit.list("val", "../../VOC2012/JPEGImages/2008_000001\n")
    assert [s.image_id for s in load(kit).samples] == ["2008_000001"]
    (kit.folder / "Annotations").rename(kit.folder / "XML")
    assert not voc_boxes.accepts(kit.folder)
    with pytest.raises(ValueError, match="is not what voc-boxes reads: expected VOC20NN"):
        datasets.load(f"voc-boxes:{kit.folder}")


def test_the_fingerprint_follows_every_change(kit):
    before = load(kit).fingerprint
    kit.image("2008_000003", thing("tvmonitor", difficult=0))
    assert load(kit).fingerprint != before
    kit.image("2008_000003", thing("tvmonitor", difficult=1))
    assert load(kit).fingerprint == before
