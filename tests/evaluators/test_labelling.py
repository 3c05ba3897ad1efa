"""Maps of an image's own classes, and the labels made of them."""

import numpy as np
import pytest
import torch

from camcore import networks
from evaluators import cells, datasets, indices, labelling, protocols, pseudo, records, runs, superpixels
from evaluators.types import Cell

CELLS = [Cell("layercam", "S5"), Cell("gradcam", "S4"), Cell("layercam", "S5+S3", "gamma=2")]


@pytest.fixture(scope="module")
def network():
    return networks.load("mini-vgg-voc")


def scenes(count):
    return datasets.load("mini", "segmentation", "train").samples[:count]


def make(network, overrides=None, **options):
    protocol = protocols.load("paper", {"superpixels": "none", **(overrides or {})}, "pseudo")
    return runs.plan(network, protocol, CELLS, **{"batch_size": 4, "workers": 2, **options})


def test_each_class_s_map_is_that_of_its_own_logit(network):
    """A batch of images with several classes against one image and class at a time."""
    plan = make(network)
    pictures = [labelling.decode(plan, s) for s in scenes(4)]
    found = labelling.class_maps(plan, pictures, CELLS, 4)
    row = 0
    for picture in pictures:
        for label in picture.scene.labels:
            images = torch.from_numpy(picture.squashed[0])[None].expand(4, -1, -1, -1)
            alone, _ = runs.grids(plan, images, torch.full((4,), label), CELLS, 1)
            for cell in CELLS:
                expected = (255 * alone[cell][0].numpy()).astype(int)
                assert np.abs(found[cell][row].astype(int) - expected).max() <= 1
            row += 1
    assert all(len(m) == row for m in found.values())


def test_scales_and_mirrors_are_averaged(network):
    once, both = make(network), make(network, {"scales": [1.0], "flip": True})
    picture = labelling.decode(once, scenes(1)[0])
    mirrored = labelling.Picture(picture.scene, picture.pixels, (picture.squashed[0][..., ::-1].copy(),))
    straight = labelling.class_maps(both, [picture] * 4, CELLS[:1], 1)[CELLS[0]]
    turned = labelling.class_maps(both, [mirrored] * 4, CELLS[:1], 1)[CELLS[0]][..., ::-1]
    assert np.abs(straight.astype(int) - turned.astype(int)).max() <= 1  # a mirror image's labels are mirrored
    assert not np.array_equal(straight, labelling.class_maps(once, [picture] * 4, CELLS[:1], 1)[CELLS[0]])
    two = make(network, {"scales": [0.5, 1.0]})
    assert [s.shape[-1] for s in labelling.decode(two, scenes(1)[0]).squashed] == [56, 112]
    assert labelling.class_maps(two, [labelling.decode(two, scenes(1)[0])] * 4, CELLS[:1], 1)[CELLS[0]].shape[1:] == (112, 112)


def measured(plan, chosen, out):
    with records.Writer(out / "records") as writer:
        missing = {s.image_id: set(CELLS) for s in chosen}
        labelling.measure(plan, CELLS, 10, out, chosen, missing, writer, lambda: None)
    return records.read(out)


def test_neighbours_workers_and_order_change_nothing(network, tmp_path):
    whole = measured(make(network), scenes(6), tmp_path / "whole")
    back = measured(make(network, workers=1), scenes(6)[::-1], tmp_path / "back")
    assert whole.equals(back)
    assert len(whole) == 6 * len(CELLS)
    for path in (tmp_path / "whole/labels").rglob("*.png"):
        assert path.read_bytes() == (tmp_path / "back" / path.relative_to(tmp_path / "whole")).read_bytes()


def test_labels_are_eq_10_of_the_maps(network, tmp_path):
    plan = make(network, {"superpixels": "slic"})
    (scene,) = scenes(1)
    measured(plan, [scene], tmp_path)
    picture = labelling.decode(plan, scene)
    grids = labelling.class_maps(plan, [picture] * 4, CELLS, 1)
    regions = superpixels.slic(picture.pixels)
    for cell, folder in zip(CELLS, ("layercam_S5", "gradcam_S4", "layercam_S5+S3")):
        maps = pseudo.on_image(grids[cell], picture.pixels.shape[1::-1])
        expected = np.zeros(picture.pixels.shape[:2], int)
        for region in range(regions.max() + 1):
            means = [m[regions == region].mean() / 255 for m in maps]
            if max(means) >= 0.3:
                expected[regions == region] = scene.labels[int(np.argmax(means))] + 1
        assert np.array_equal(indices.read_mask(tmp_path / "labels" / folder / f"{scene.image_id}.png", 10), expected)


def test_the_shipped_classifier_knows_its_layers(network):
    assert list(network.layers) == ["S5", "S4", "S3", "S2", "S1", "conv6"]
    assert network.classes == 10
    plan = runs.plan(network, protocols.load("paper", command="pseudo"), [Cell("cam", "conv6")], batch_size=2)
    pictures = [labelling.decode(plan, s) for s in scenes(2)]
    assert labelling.class_maps(plan, pictures, plan.cells, 2)[plan.cells[0]].max() > 200  # CAM has its linear weights
    assert len(cells.of_tables((), ("XIII",), "pseudo", network)[0]) == 10
