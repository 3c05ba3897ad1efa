"""COCO's instances: one sample for each class on an image, regions as pycocotools draws them."""

import itertools
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as runs

from camx.evaluators import datasets
from camx.evaluators.datasets import _regions, coco
from camx.evaluators.datasets._regions import Region, Regions

SIZE = (12, 10)  # of every image
CORNERS = [1.0, 1.0, 5.0, 1.0, 5.0, 4.0, 1.0, 4.0]
REGION = Region((tuple(CORNERS),))


def image(number, name="", **other):
    name = name or f"COCO_val2014_{number:012d}.jpg"
    return {"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1], **other}


def annotation(number, of, category, bbox=(1, 1, 4, 3), segmentation=(CORNERS,), **other):
    told = segmentation if isinstance(segmentation, dict) else list(segmentation)
    entry = {"id": number, "image_id": of, "category_id": category, "bbox": list(bbox)}
    return {**entry, "segmentation": told, "iscrowd": 0, "area": 12.0, **other}


CATEGORIES = [
    {"id": 90, "name": "toothbrush", "supercategory": "indoor"},
    {"id": 1, "name": "person", "supercategory": "person"},
    {"id": 3, "name": "car/van", "supercategory": "vehicle"},
]


def write(root, annotations, images=None, categories=CATEGORIES, split="val2014", folder=""):
    """A split's file, and the images that it names."""
    images = [image(42), image(7)] if images is None else images
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = root / f"annotations/instances_{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    for entry in images:
        path = root / (folder or split) / str(entry.get("file_name"))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE).save(path, "JPEG")
    return root


def refused(root, word, split=""):
    with pytest.raises((ValueError, FileNotFoundError), match=word) as error:
        coco.read(root, split)
    assert "\n" not in str(error.value)


def test_a_sample_for_each_class_on_an_image(tmp_path):
    """Images in the file's order, classes in that of their ids; an image that shows nothing lacks
    even as a file."""
    objects = [
        annotation(1, 7, 90, (0.6, 1.4, 4.0, 3.2)),
        annotation(2, 42, 3),
        annotation(3, 7, 1, (2.5, 3.5, 2.0, 2.0)),
        annotation(4, 7, 90, (6, 6, 2, 2)),
    ]
    root = write(tmp_path, objects, [image(42), image(8), image(7)])
    (root / "val2014/COCO_val2014_000000000008.jpg").unlink()
    dataset = coco.read(root)
    assert coco.accepts(root)
    assert (dataset.name, dataset.root) == ("coco", root)
    assert dataset.classes == ("person", "car/van", "toothbrush")
    seen = [(s.image_id, s.label, s.boxes, s.present) for s in dataset.samples]
    assert seen == [
        ("COCO_val2014_000000000042", 1, ((1, 1, 5, 4),), 1),
        ("COCO_val2014_000000000007/person", 0, ((2, 4, 4, 6),), 2),
        ("COCO_val2014_000000000007/toothbrush", 2, ((1, 1, 5, 5), (6, 6, 8, 8)), 2),
    ]
    assert [s.path.name[-6:] for s in dataset.samples] == ["42.jpg", "07.jpg", "07.jpg"]
    assert {s.split for s in dataset.samples} == {"val2014"}
    assert dataset.samples[2].mask == Regions(SIZE, (REGION, REGION))
    assert not any(s.difficult for s in dataset.samples)
    assert datasets.load(str(root)).samples == dataset.samples


def test_an_image_may_be_a_pixel(tmp_path):
    entry = image(7, width=1, height=1)
    (picture,) = coco.read_pictures({"images": [entry]}, tmp_path).values()
    assert picture == coco.Picture(entry["file_name"], (1, 1))


def test_slashes_in_names_of_classes(tmp_path):
    root = write(tmp_path, [annotation(1, 7, 3), annotation(2, 7, 1)])
    assert [s.image_id[-9:] for s in coco.read(root).samples] == ["07/person", "7/car_van"]


def test_images_of_one_stem_are_called_by_their_paths(tmp_path):
    images = [image(1, "a/x.jpg"), image(2, "b/x.jpg")]
    root = write(tmp_path, [annotation(1, 1, 1), annotation(2, 2, 1), annotation(3, 2, 3)], images)
    names = [s.image_id for s in coco.read(root).samples]
    assert names == ["a/x", "b/x/person", "b/x/car_van"]
    images = [image(1, "a/x.jpg"), image(2, "b/y.jpg")]
    root = write(tmp_path, [annotation(1, 1, 1), annotation(2, 2, 1)], images)
    assert [s.image_id for s in coco.read(root).samples] == ["x", "y"]


def packed(pixels):
    """A mask as COCO's compressed runs."""
    told = runs.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return {"size": told["size"], "counts": told["counts"].decode()}


def plain(pixels):
    """A mask as COCO's runs, column by column, of what is outside first."""
    flat = [False, *pixels.T.ravel().tolist()]
    counts = [0]
    for before, now in itertools.pairwise(flat):
        if now != before:
            counts.append(0)
        counts[-1] += 1
    return {"size": list(pixels.shape), "counts": counts}


def test_regions_are_drawn_as_pycocotools_does():
    """Polygons, several of one object too, and runs in both forms, by its own functions."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        width, height = rng.integers(1, 40, 2).tolist()
        rings = [(rng.random(8) * 1.2 * max(width, height)).round(2).tolist() for _ in range(2)]
        rings = [np.minimum(ring, 1.5 * min(width, height)).tolist() for ring in rings]
        drawn = runs.decode(runs.merge(runs.frPyObjects(rings, height, width)))
        region = _regions.read_region(rings, (width, height))
        assert (region.drawn((width, height)) == drawn.astype(bool)).all()
        pixels = rng.random((height, width)) < rng.random()
        for told in (plain(pixels), packed(pixels)):
            region = _regions.read_region(told, (width, height))
            assert (region.drawn((width, height)) == pixels).all()
            assert list(region.runs) == plain(pixels)["counts"]
    long = np.zeros((400, 300), bool)
    long[17, 250] = long[3, 4] = True  # runs of several characters, and differences below 0
    region = _regions.read_region(packed(long), (300, 400))
    assert (region.drawn((300, 400)) == long).all()


def test_polygons_may_be_triangles_and_overshoot():
    for corners in ([1, 1, 5, 1, 5, 4], [-12, -10, 24, -10, 24, 20]):
        region = _regions.read_region([corners], SIZE)
        assert region.polygons == (tuple(corners),)
        assert region.drawn(SIZE).any()


def test_masks_and_their_parts():
    pixels = np.zeros(SIZE[::-1], bool)
    pixels[6:8, 9:11] = True
    crowd = _regions.read_region(plain(pixels), SIZE)
    mask = Regions(SIZE, (REGION, crowd))
    first, second = mask.parts(SIZE)
    assert first[1:4, 1:5].all()
    assert first.sum() == 12
    assert (second == pixels).all()
    assert mask.read(SIZE).sum() == 16
    assert mask.boxes(SIZE) == ((1, 1, 5, 4), (9, 6, 11, 8))
    assert mask.read((24, 20)).sum() == 4 * 16
    assert mask.files == ()
    others = [
        Regions(SIZE, (REGION,)),
        Regions(SIZE, (crowd, REGION)),
        Regions((10, 12), (REGION,)),
    ]
    assert len({mask.rule, *(other.rule for other in others)}) == 4


def test_crowds_are_of_the_mask_and_no_boxes(tmp_path):
    """But where a class is nothing else."""
    pixels = np.zeros(SIZE[::-1], bool)
    pixels[6:8, 9:11] = True
    crowd = {"bbox": (9, 6, 2, 2), "segmentation": plain(pixels), "iscrowd": 1}
    objects = [annotation(1, 7, 1), annotation(2, 7, 1, **crowd), annotation(3, 7, 3, **crowd)]
    del objects[0]["iscrowd"]  # as many leave it out
    person, car = coco.read(write(tmp_path, objects)).samples
    assert person.boxes == ((1, 1, 5, 4),)
    assert person.mask.read(SIZE).sum() == 16
    assert car.boxes == ((9, 6, 11, 8),)
    assert car.mask.read(SIZE).sum() == 4


def test_annotations_of_no_size_are_left_out(tmp_path):
    """As train2017 has two; a class of only such ones is not there."""
    thin = [2.5, 3.0, 2.5, 3.0, 6.0, 3.0, 6.0, 3.0]
    objects = [
        annotation(1, 7, 1), annotation(2, 7, 1, (2.5, 3.0, 3.5, 0.0), [thin]),
        annotation(3, 7, 3, (2.5, 3.0, 0, 4)), annotation(4, 7, 90, (2.5, 3.0, 0.0, 0.0)),
    ]  # fmt: skip
    (sample,) = coco.read(write(tmp_path, objects)).samples
    assert (sample.image_id[-2:], sample.boxes, sample.present) == ("07", ((1, 1, 5, 4),), 1)
    assert len(sample.mask.regions) == 1


@pytest.mark.parametrize(
    ("bbox", "box"),
    [
        ((2.1, 3.1, 0.2, 0.3), (2, 3, 3, 4)),
        ((2.0, 3.0, 0.2, 4.0), (2, 3, 3, 7)),
        ((2.6, 3.6, 0.3, 0.6), (2, 3, 3, 5)),
        ((2.4, 3.0, 0.2, 4.0), (2, 3, 3, 7)),
        ((2.0, 3.0, 1e-20, 4.0), (2, 3, 3, 7)),
        ((2.5, 3.5, 1.0, 1.0), (2, 3, 4, 5)),
        ((2.4, 3.4, 1.0, 1.0), (2, 3, 3, 4)),
        ((0, 0, 12, 10), (0, 0, 12, 10)),
    ],
)
def test_boxes_are_rounded_and_have_a_pixel(bbox, box):
    assert coco.read_box(list(bbox)) == box


def test_without_regions_boxes_are_all(tmp_path):
    objects = [annotation(1, 7, 1, segmentation=()), annotation(2, 7, 3)]
    del objects[1]["segmentation"]
    samples = coco.read(write(tmp_path, objects)).samples
    assert [(s.boxes, s.mask) for s in samples] == [(((1, 1, 5, 4),), None)] * 2
    objects[1] = annotation(2, 7, 3)
    word = r"annotation 1: no segmentation, but 1 of 2 have one; expected all of them, or none"
    refused(write(tmp_path, objects), word)


def test_where_images_may_lie(tmp_path):
    for folder in ("val2014", "images/val2014", "images"):
        root = write(tmp_path / folder.replace("/", "-"), [annotation(1, 7, 1)], folder=folder)
        expected = root / folder / "COCO_val2014_000000000007.jpg"
        file = root / "annotations/instances_val2014.json"
        for place in (root, file):
            assert coco.accepts(place)
            assert [s.path for s in coco.read(place).samples] == [expected]


@pytest.mark.parametrize("place", ["", "images", "train"])
def test_a_file_of_one_s_own(tmp_path, place):
    root = write(tmp_path / "x", [annotation(1, 7, 1)], folder="pictures")
    file = tmp_path / "train.json"
    (root / "annotations/instances_val2014.json").rename(file)
    pictures = (root / "pictures").rename(tmp_path / (place or "y"))
    if not place:
        for path in pictures.iterdir():
            path.rename(tmp_path / path.name)
    (sample,) = coco.read(file).samples
    assert sample.path == tmp_path / place / "COCO_val2014_000000000007.jpg"
    assert sample.split == "train"
    assert coco.read(file, "train").samples == (sample,)
    refused(file, r"split is 'val'; accepted: train \(of .*train\.json\)", "val")


def test_images_that_lack(tmp_path):
    root = write(tmp_path, [annotation(1, 7, 1), annotation(2, 42, 1)])
    (root / "val2014/COCO_val2014_000000000042.jpg").unlink()
    word = r"val2014/COCO_val2014_0+42\.jpg: no such image; 1 of the 2 that .*val2014\.json names"
    refused(root, word)


def test_splits(tmp_path):
    for split in ("train2017", "val2017", "minival"):
        write(tmp_path, [annotation(1, 7, 1)], split=split)
    assert coco.read(tmp_path).samples[0].split == "val2017"
    assert coco.read(tmp_path, "minival").samples[0].split == "minival"
    refused(tmp_path, r"split is 'val'; accepted: minival, train2017, val2017 \(of ", "val")
    write(tmp_path, [annotation(1, 7, 1)], split="val2014")
    refused(tmp_path, r"it has the splits val2014, val2017; expected one .*: --split val2014")
    for split in ("val2014", "val2017"):
        (tmp_path / f"annotations/instances_{split}.json").unlink()
    refused(tmp_path, "it has the splits minival, train2017; expected one of them: --split minival")
    (tmp_path / "annotations/instances_minival.json").unlink()
    assert coco.read(tmp_path).samples[0].split == "train2017"
    (tmp_path / "annotations/captions_val2014.json").write_text("{}")
    assert coco.read(tmp_path).samples[0].split == "train2017"
    (tmp_path / "annotations/instances_train2017.json").unlink()
    assert not coco.accepts(tmp_path)
    refused(tmp_path, "no annotations/instances_<split>.json; expected annotations/instances_")


RUNS = {"size": [10, 12], "counts": [13, 3, 104]}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"id": 1}, "annotation 1: the id stands twice"),
        ({"id": "2"}, r"annotations\[1\] has the id '2'; expected a mapping with a whole number"),
        ({"image_id": 43}, "annotation 2: image_id 43 is not one of the 2 images"),
        ({"image_id": [7]}, r"annotation 2: image_id \[7\] is not one of the 2 images"),
        ({"category_id": 2}, "annotation 2: category_id 2 is not one of the 3 categories"),
        ({"category_id": None}, "annotation 2: category_id None is not one of the 3 categories"),
        ({"iscrowd": 2}, "annotation 2: iscrowd is 2; accepted: 0, 1"),
        ({"bbox": [1, 1, 4]}, r"annotation 2: bbox is \[1, 1, 4\]; expected \[x, y, width, height"),
        ({"bbox": None}, r"annotation 2: bbox is None; expected \[x, y, width, height\]"),
        ({"bbox": [1, 1, "4", 3]}, r"annotation 2: bbox is \[1, 1, '4', 3\]; expected \[x, y, w"),
        ({"bbox": [1, 1, -4, 3]}, "annotation 2: bbox is .*; expected pixels, a width and"),
        ({"bbox": [1, 1, 4, -0.5]}, "annotation 2: bbox is .*; expected pixels, a width and"),
        ({"bbox": [1, float("nan"), 4, 3]}, "annotation 2: bbox is .*; expected pixels, a width"),
        ({"bbox": [10**400, 1, 4, 3]}, "annotation 2: bbox is .*; expected pixels, a width and a"),
        ({"bbox": [1, 1, 1e9, 3]}, r"annotation 2: bbox is .*; expected pixels, a width and a he"),
        ({"bbox": [-9, 1, 4, 3]}, "annotation 2: box .* lies outside the picture"),
        ({"segmentation": "x"}, "annotation 2: segmentation of size 'x'; expected polygons, or ru"),
        ({"segmentation": [CORNERS[:4]]}, "annotation 2: a polygon of 4 numbers; expected x, y of"),
        ({"segmentation": [CORNERS[:5]]}, "annotation 2: a polygon of 5 numbers; expected x, y of"),
        ({"segmentation": [CORNERS[:7]]}, "annotation 2: a polygon of 7 numbers; expected x, y of"),
        ({"segmentation": [CORNERS, []]}, "annotation 2: a polygon of 0 numbers; expected x, y of"),
        ({"segmentation": CORNERS}, r"annotation 2: polygon 1\.0; expected numbers x, y"),
        ({"segmentation": [["1"] * 6]}, r"annotation 2: polygon \['1', .*; expected numbers x, y"),
        ({"segmentation": [[24.5, *CORNERS[1:]]]}, r"2: a polygon from x 1\.0 to 24\.5, but .* 12"),
        ({"segmentation": [[-12.5, *CORNERS[1:]]]}, r"2: a polygon from x -12\.5 to 5\.0, but"),
        ({"segmentation": [[1, 20.5, *CORNERS[2:]]]}, r"a polygon from y 1\.0 to 20\.5, but .* 10"),
        ({"segmentation": [[10**400, *CORNERS[1:]]]}, "2: a polygon from x 1.0 to 1000.*, but the"),
        ({"segmentation": [[float("nan"), *CORNERS[1:]]]}, "2: a polygon from x .*, but the image"),
        ({"segmentation": {**RUNS, "size": [12, 10]}}, r"2: segmentation of size \[12, 10\]; .*\["),
        ({"segmentation": {"counts": [120]}}, r"annotation 2: segmentation of size None; expected"),
        ({"segmentation": {**RUNS, "counts": [13, 3]}}, "2: counts of 16 pixels; expected 120, th"),
        ({"segmentation": {**RUNS, "counts": [13, 3, 105]}}, "2: counts of 121 pixels; expected 1"),
        ({"segmentation": {**RUNS, "counts": [-1, 121]}}, r"2: counts '\[-1, 121\]' are no runs;"),
        ({"segmentation": {**RUNS, "counts": [1.5, 118.5]}}, r"2: counts '\[1\.5, .*' are no runs"),
        ({"segmentation": {**RUNS, "counts": None}}, "2: counts 'None' are no runs; expected COCO"),
        ({"segmentation": {**RUNS, "counts": "!x"}}, "2: counts '!x' are no runs; expected COCO's"),
        ({"segmentation": {**RUNS, "counts": "S1P"}}, "2: counts 'S1P' are no runs; expected COCO"),
        ({"segmentation": {**RUNS, "counts": "S1p"}}, "2: counts 'S1p' are no runs; expected COCO"),
        ({"segmentation": {**RUNS, "counts": ""}}, "2: counts of 0 pixels; expected 120, those of"),
        ({"segmentation": {**RUNS, "counts": "S1"}}, "2: counts of 35 pixels; expected 120, those"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_an_annotation(tmp_path, change, word):
    objects = [annotation(1, 7, 1), {**annotation(2, 42, 1), **change}]
    refused(write(tmp_path, objects), rf"instances_val2014\.json: .*{word}")


@pytest.mark.parametrize(
    ("images", "categories", "word"),
    [
        ([image(7), image(7, "x.jpg")], CATEGORIES, "image 7: the id stands twice"),
        ([image(7), image(8, image(7)["file_name"])], CATEGORIES, "image 8: .* is that of .*image"),
        ([image(7, width=0)], CATEGORIES, r"image 7: width and height are \(0, 10\); expected who"),
        ([image(7, height=None)], CATEGORIES, r"image 7: width and height are \(12, None\)"),
        ([image(7, file_name=3)], CATEGORIES, "image 7: file_name is 3; expected a path below"),
        ([image(7, width=10**400)], CATEGORIES, "image 7: width and height .* at most 268435456"),
        ([image(7, width=1 << 14, height=(1 << 14) + 1)], CATEGORIES, "image 7: .* at most 268"),
        ([image(7, file_name="../x.jpg")], CATEGORIES, r"image 7: path '\.\./x\.jpg' leaves the f"),
        ([image(7)], [*CATEGORIES, CATEGORIES[1]], "category 1: the id stands twice"),
        ([image(7)], [*CATEGORIES, {"id": 4, "name": "person"}], "category 4: its name is 'person"),
        ([image(7)], [*CATEGORIES, {"id": 4, "name": " "}], "category 4: its name is ' '; expecte"),
        ([image(7)], [*CATEGORIES, {"id": 4}], "category 4: its name is None; expected one of its"),
        ([image(7)], [*CATEGORIES, 5], r"categories\[3\] has the id None; expected a mapping"),
        ([image(7)], {"id": 1}, "no list of categories; expected images, annotations, categories"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_images_and_categories(tmp_path, images, categories, word):
    root = write(tmp_path / "a/b", [annotation(1, 7, 1)], images, categories)
    refused(root, rf"instances_val2014\.json: {word}")


def test_files_that_are_none_of_coco_s(tmp_path):
    path = tmp_path / "x.json"
    assert not coco.accepts(tmp_path / "x.json")
    for name in ("x.txt", "y.json/z"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert not coco.accepts(tmp_path / "x.txt")
    assert not coco.accepts(tmp_path / "y.json")
    for text, word in (
        ("[", r"x\.json: not JSON"), ("[]", r"x\.json: no list of categories; expected images, an"),
        ('{"categories": [], "images": []}', r"x\.json: no list of annotations; expected"),
    ):  # fmt: skip
        path.write_text(text)
        refused(path, word)


def test_the_fingerprint_follows_every_change(tmp_path):
    before = coco.read(write(tmp_path, [annotation(1, 7, 1)])).fingerprint
    assert coco.read(write(tmp_path, [annotation(9, 7, 1)])).fingerprint == before
    other = [0.5, *CORNERS[1:]]
    for change in (
        annotation(1, 7, 1, segmentation=[other]), annotation(1, 7, 3),
        annotation(1, 7, 1, (1, 1, 4, 4)),
    ):  # fmt: skip
        assert coco.read(write(tmp_path, [change])).fingerprint != before


def test_backslashes_separate_folders(tmp_path):
    expected = coco.read(write(tmp_path, [annotation(1, 7, 1)], [image(7, "a/b.jpg")])).samples
    path = tmp_path / "annotations/instances_val2014.json"
    path.write_text(path.read_text().replace("a/b.jpg", r"a\\b.jpg"))
    assert coco.read(tmp_path).samples == expected
    two = [image(7, "a/b.jpg"), image(8, r"a\b.jpg")]
    refused(write(tmp_path, [], two), r"image 8: a\\b\.jpg is that of .*image 7 already")
