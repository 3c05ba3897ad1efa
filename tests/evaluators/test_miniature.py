"""The embedded miniature: drawn, rendered whole or not at all, and read as real data."""

import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import datasets, voc_masks
from camx.evaluators.datasets import dagm, ilsvrc, mini, voc
from camx.evaluators.miniature import dagm as textures
from camx.evaluators.miniature import drawing, whole
from camx.evaluators.miniature import ilsvrc as objects
from camx.evaluators.miniature import voc as scenes
from camx.evaluators.tasks.defects import masks

SIDES = set(range(128, 161))


def names(dataset):
    return [s.image_id for s in dataset.samples]


def test_boxes_and_masks_agree_and_drawing_repeats():
    a, b = objects.draw(7), objects.draw(7)
    assert np.array_equal(a.image, b.image)
    for mask in a.masks:
        x0, y0, x1, y1 = drawing.box_of(mask)
        assert mask[y0:y1, x0:x1].sum() == mask.sum()
        assert all(edge.any() for edge in (mask[y0], mask[y1 - 1], mask[:, x0], mask[:, x1 - 1]))
    assert not np.array_equal(a.image[:64, :64], objects.draw(8).image[:64, :64])


def test_objects_do_not_touch():
    for index in range(30):
        assert np.sum(objects.draw(index).masks, 0).max() <= 1


def test_outlines_are_void():
    """No object touches the background or another; what is neither void nor background is one."""
    scene = scenes.draw(3)
    indices = scenes.mask_of(scene)
    assert np.array_equal(scenes.draw(3).image, scene.image)
    assert len(set(scene.labels)) == len(scene.labels) > 1
    for label, mask in zip(scene.labels, scene.masks):
        assert mask[indices == label + 1].all()
        assert (indices[mask] == label + 1).mean() > 0.5
    for one, other in ((indices[1:], indices[:-1]), (indices[:, 1:], indices[:, :-1])):
        assert ((one == 255) | (other == 255))[one != other].all()


@pytest.mark.parametrize("kind", range(10))
def test_only_a_defect_has_a_mask(kind):
    good, nothing = textures.draw(kind, False, np.random.default_rng(1))
    bad, mask = textures.draw(kind, True, np.random.default_rng(1))
    assert nothing is None
    assert mask.sum() >= 30
    moved = np.abs(good.astype(int) - bad)  # the same texture with a defect in it
    assert moved[mask].mean() > 10 * moved[~mask].mean()


@pytest.mark.parametrize(
    ("part", "counts"),
    [
        (objects, {"images": 3}),
        (scenes, {"train": 2, "val": 1}),
        (textures, {"train": 1, "test": 1}),
    ],
    ids=["ilsvrc", "voc", "dagm"],
)
def test_two_processes_may_render_at_once(tmp_path, part, counts):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: part.write(tmp_path / "d", **counts), range(2)))
    assert {p.name for p in tmp_path.iterdir()} == {"d", ".d.lock"}


def test_a_rendering_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "annotation", lambda stem, drawing: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scenes.write(tmp_path / "d", train=2, val=1)
    assert [path.name for path in tmp_path.iterdir()] == [".d.lock"]


def test_annotations_hold_the_boxes_drawn(tmp_path):
    """ILSVRC's end outside the box, VOC's count from 1 and end in it."""
    objects.write(tmp_path / "ilsvrc", images=2)
    for index, sample in enumerate(ilsvrc.read(tmp_path / "ilsvrc").samples):
        assert list(sample.boxes) == [drawing.box_of(mask) for mask in objects.draw(index).masks]
    scene = scenes.draw(0)
    x0, y0, x1, y1 = drawing.box_of(scene.masks[0])
    corners = f"<xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
    assert corners in scenes.annotation("a", scene)


def test_the_cache_is_where_camx_home_says(camx_home):
    assert mini.cache() == camx_home


def test_the_part_for_localization():
    dataset = datasets.load("mini")
    assert (len(dataset.samples), len(dataset.classes)) == (400, 10)
    assert dataset.model == "mini-vgg"
    assert {side for s in dataset.samples for side in Image.open(s.path).size} <= SIDES
    assert {len(s.boxes) for s in dataset.samples} == {1, 2, 3}
    assert len({s.label for s in dataset.samples}) == 10


def test_the_part_for_defects():
    dataset = datasets.load("mini", "defects")
    assert (dataset.name, dataset.model) == ("mini", "mini-defects")
    split = {"train": 300, "test": 100}
    expected = {(part, label): n for part, n in split.items() for label in (0, 1)}
    assert Counter((s.split, s.label) for s in dataset.samples) == expected
    assert len({s.group for s in dataset.samples}) == 10
    assert all(masks.truth(s, (128, 128)).sum() >= 30 for s in dataset.samples if s.label)


def test_the_part_for_segmentation():
    val = datasets.load("mini", "segmentation", "val")
    assert (val.name, val.model) == ("mini", "mini-vgg-voc")
    assert (len(val.samples), len(val.classes)) == (100, 10)
    assert {label for s in val.samples for label in s.labels} == set(range(10))
    train = datasets.load("mini", "segmentation")
    assert (len(train.samples), {s.split for s in train.samples}) == (300, {"train"})


def test_scenes_are_read_as_drawn(tmp_path):
    scenes.write(tmp_path / "d", train=6, val=3)
    train, val, both = (voc.read(tmp_path / "d", split) for split in ("train", "val", "trainval"))
    assert names(both) == names(train) + names(val) == [f"mini_{n:06d}" for n in range(1, 10)]
    assert train.classes == scenes.CLASSES
    for scene in both.samples:
        mask = voc_masks.read_mask(scene.mask, 10)
        assert Image.open(scene.path).size == mask.shape[::-1]
        assert set(mask.shape) <= SIDES
        assert voc_masks.labels(mask) == scene.labels
        assert 1 <= len(scene.labels) <= 3


@pytest.fixture
def small_cache(tmp_path, monkeypatch):
    """A cache of its own, in which the part for localization has three images."""
    monkeypatch.setenv("CAMX_HOME", str(tmp_path))
    write, renderings = objects.write, []

    def few(root):
        renderings.append(root)
        write(root, images=3)

    monkeypatch.setattr(objects, "write", few)
    return renderings


PICTURES = "ILSVRC/Data/CLS-LOC/val"


@pytest.mark.parametrize(
    "damage",
    [
        lambda root: (root / f"{PICTURES}/mini_val_00000002.JPEG").unlink(),
        lambda root: (root / f"{PICTURES}/mini_val_00000002.JPEG").write_bytes(b"\xff\xd8"),
        lambda root: (root / f"{PICTURES}/mini_val_00000002.JPEG").write_bytes(
            bytes((root / f"{PICTURES}/mini_val_00000002.JPEG").stat().st_size)
        ),
        lambda root: (root / f"{PICTURES}/another.JPEG").write_bytes(b"\xff\xd8"),
        lambda root: (root / "LOC_synset_mapping.txt").unlink(),
        lambda root: shutil.rmtree(root / "ILSVRC/Data"),
        lambda root: (root / ".rendered").unlink(),
        lambda root: (root / ".rendered").write_bytes(b"\xff"),
    ],
    ids=["missing", "cut", "zeros", "more", "text", "folder", "old", "binary"],
)
def test_a_damaged_rendering_is_rendered_again(small_cache, tmp_path, damage):
    before = datasets.load("mini")
    assert len(before.samples) == 3
    assert datasets.load("mini") == before
    assert len(small_cache) == 1
    damage(before.root)
    assert datasets.load("mini") == before
    assert len(small_cache) == 2
    assert datasets.load("mini") == before
    assert len(small_cache) == 2
    assert {p.name for p in before.root.parent.iterdir()} == {"ilsvrc", ".ilsvrc.lock"}


def test_what_systems_leave_behind_is_no_damage(small_cache):
    root = datasets.load("mini").root
    for name in (".DS_Store", f"{PICTURES}/._mini_val_00000001.JPEG", f"{PICTURES}/Thumbs.db"):
        (root / name).write_bytes(b"\0")
    assert len(datasets.load("mini").samples) == 3
    assert len(small_cache) == 1


def test_two_processes_may_mend_at_once(tmp_path):
    """And who reads meanwhile finds what was there all the time."""
    objects.write(tmp_path / "d", images=3)
    kept = tmp_path / f"d/{PICTURES}/mini_val_00000001.JPEG"
    (tmp_path / f"d/{PICTURES}/mini_val_00000002.JPEG").unlink()
    content, seen, done = kept.read_bytes(), [], threading.Event()

    def watch():
        while not done.is_set():
            seen.append(kept.read_bytes() == content)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: objects.write(tmp_path / "d", images=3), range(2)))
    finally:
        done.set()
        watcher.join()
    assert seen
    assert all(seen)
    assert whole(tmp_path / "d")
    assert {p.name for p in tmp_path.iterdir()} == {"d", ".d.lock"}


def test_renderings_have_one_fingerprint(tmp_path):
    """Wherever and whenever they were made, so that their numbers are of one data set."""
    prints = set()
    for place in ("a", "b"):
        objects.write(tmp_path / place / "d", images=2)
        textures.write(tmp_path / place / "t", train=2, test=2)
        parts = ilsvrc.read(tmp_path / place / "d"), dagm.read(tmp_path / place / "t")
        prints.add(tuple(part.fingerprint for part in parts))
    assert len(prints) == 1
