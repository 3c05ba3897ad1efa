import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from evaluators import datasets
from evaluators.datasets import ilsvrc, mini
from evaluators.miniature import drawing
from evaluators.miniature import ilsvrc as drawn


@pytest.fixture
def root(tmp_path):
    drawn.write(tmp_path / "d", images=4)
    return tmp_path / "d"


def test_the_miniature_is_read_from_the_real_layout():
    dataset = datasets.load("mini")
    assert len(dataset.samples) >= 300
    assert len(dataset.classes) == 10
    assert dataset.model == "mini-vgg"
    sizes = [Image.open(s.path).size for s in dataset.samples]
    assert {d for size in sizes for d in size} <= set(range(128, 161))
    assert {len(s.boxes) for s in dataset.samples} == {1, 2, 3}
    assert len({s.label for s in dataset.samples}) == 10


def test_boxes_and_masks_agree_and_rendering_repeats():
    a, b = drawn.draw(7), drawn.draw(7)
    assert np.array_equal(a.image, b.image)
    for mask in a.masks:
        x0, y0, x1, y1 = drawing.box_of(mask)
        assert mask[y0:y1, x0:x1].sum() == mask.sum()
        assert mask[y0].any()
        assert mask[y1 - 1].any()
        assert mask[:, x0].any()
        assert mask[:, x1 - 1].any()
    assert not np.array_equal(a.image[:64, :64], drawn.draw(8).image[:64, :64])


def test_objects_do_not_touch():
    for index in range(30):
        masks = drawn.draw(index).masks
        assert np.sum(masks, 0).max() <= 1


def test_two_processes_may_render_at_once(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: drawn.write(tmp_path / "d", images=3), range(2)))
    assert [p.name for p in tmp_path.iterdir()] == ["d"]
    assert len(ilsvrc.read(tmp_path / "d").samples) == 3


def test_cache_is_where_camx_home_says(camx_home):
    assert mini.cache() == camx_home


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


def test_bad_folders_are_one_clear_line(root, tmp_path):
    def refused(word, data=root):
        with pytest.raises((ValueError, FileNotFoundError), match=word) as error:
            datasets.load(str(data))
        assert "\n" not in str(error.value)

    refused("no such data folder", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    refused("LOC_synset_mapping", tmp_path / "empty")
    with pytest.raises(ValueError, match="unknown dataset 'imagenet'; known: ilsvrc, mini"):
        datasets.load("imagenet")
    xml = sorted((root / "ILSVRC/Annotations/CLS-LOC/val").iterdir())[1]
    text = xml.read_text()
    for bad, word in [
        ("<annotation>", "not an ILSVRC annotation"),
        ("<annotation></annotation>", "names no object"),
        (text.replace("n9", "n8"), "is not in LOC_synset_mapping"),
        (text.replace("<xmin>", "<xmin>x"), "not an ILSVRC annotation"),
        (text.replace("<xmin>", "<xmin>9"), "inside out"),
        (text.replace("xmin", "left"), "no bndbox"),
    ]:
        xml.write_text(bad)
        refused(f"{xml.name}.*{word}")
    xml.unlink()
    refused(f"{xml.name}: missing annotation")
    (root / "LOC_synset_mapping.txt").unlink()
    refused(r"LOC_synset_mapping\.txt")
    shutil.rmtree(root / "ILSVRC/Data/CLS-LOC/val")
    (root / "ILSVRC/Data/CLS-LOC/val").mkdir()
    (root / "LOC_synset_mapping.txt").write_text("n1 a\n")
    refused("no image")
