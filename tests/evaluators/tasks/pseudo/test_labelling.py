"""Maps of an image's own classes, and the labels made of them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from camx.camcore import networks
from camx.evaluators import datasets, grids, loop, protocols, records, tasks, voc_masks
from camx.evaluators import plan as cells
from camx.evaluators.tasks import pseudo
from camx.evaluators.tasks.pseudo import labelling, labels, superpixels
from camx.evaluators.types import Cell

CELLS = [
    Cell.of("layercam", "S5"),
    Cell.of("gradcam", "S4"),
    Cell.of("layercam", "S5+S3", "gamma=2"),
]


@pytest.fixture(scope="module")
def network():
    return networks.load("mini-vgg-voc")


def scenes(count):
    return datasets.load("mini", "segmentation", "train").samples[:count]


def make(network, overrides=None, out=Path("unused"), cells=CELLS, **options):
    overrides = {"superpixels": "none", **(overrides or {})}
    protocol = protocols.load("paper", "pseudo", pseudo.Protocol, overrides)
    plan = grids.plan(network, protocol, cells, **{"batch_size": 4, "workers": 2, **options})
    data = datasets.load("mini", "segmentation", "train")
    return loop.Measurement(
        out, data, data.samples, tuple(cells), protocol, pseudo.Options(), 0, plan
    )


def decoded(job, scene):
    return loop.decode(scene, labelling.sides(job))


@pytest.mark.parametrize("target", ["logit", "finer"])
def test_each_class_s_map_is_that_of_its_own_score(network, target):
    """A batch of images with several classes against one image and class at a time."""
    cells = [*CELLS, Cell.of("layercam", "S4+S3+S2", "fusion=winsor")]
    job = make(network, {"target": target}, cells=cells)
    pictures = [decoded(job, s) for s in scenes(4)]
    found = labelling.class_maps(job, pictures, cells, 4)
    row = 0
    for picture in pictures:
        for label in picture.sample.labels:
            images = torch.from_numpy(picture.squashed[0])[None].expand(4, -1, -1, -1)
            alone, _ = grids.grids(job.plan, images, torch.full((4,), label), cells, 1)
            for cell in cells:
                expected = (255 * alone[cell][0].numpy()).astype(int)
                assert np.abs(found[cell][row].astype(int) - expected).max() <= 1
            row += 1
    assert all(len(m) == row for m in found.values())


def test_scales_and_mirrors_are_averaged(network):
    once, both = make(network), make(network, {"scales": [1.0], "flip": True})
    picture = decoded(once, scenes(1)[0])
    mirrored = loop.Picture(
        picture.sample, picture.pixels, (picture.squashed[0][..., ::-1].copy(),)
    )

    def first(job, picture):
        return labelling.class_maps(job, [picture] * 4, CELLS[:1], 1)[CELLS[0]]

    straight, turned = first(both, picture), first(both, mirrored)[..., ::-1]
    # A mirror image's labels are mirrored.
    assert np.abs(straight.astype(int) - turned.astype(int)).max() <= 1
    assert not np.array_equal(straight, first(once, picture))
    two = make(network, {"scales": [0.5, 1.0]})
    assert [s.shape[-1] for s in decoded(two, scenes(1)[0]).squashed] == [56, 112]
    assert first(two, decoded(two, scenes(1)[0])).shape[1:] == (112, 112)


def measured(job, chosen):
    with records.Writer(job.out / "records") as writer:
        missing = {s.image_id: set(CELLS) for s in chosen}
        labelling.measure(job, chosen, missing, writer, lambda: None)
    return records.read(job.out)


@pytest.mark.usefixtures("two_threads")
def test_neighbours_workers_and_order_change_nothing(network, tmp_path):
    whole = measured(make(network, out=tmp_path / "whole"), scenes(6))
    back = measured(make(network, out=tmp_path / "back", workers=1), scenes(6)[::-1])
    assert whole.equals(back)
    assert len(whole) == 6 * len(CELLS)
    for path in (tmp_path / "whole/labels").rglob("*.png"):
        again = tmp_path / "back" / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == again.read_bytes()


def test_labels_are_eq_10_of_the_maps(network, tmp_path):
    job = make(network, {"superpixels": "slic"}, tmp_path)
    (scene,) = scenes(1)
    measured(job, [scene])
    picture = decoded(job, scene)
    maps_of = labelling.class_maps(job, [picture] * 4, CELLS, 1)
    regions = superpixels.slic(picture.pixels)
    for cell, folder in zip(CELLS, ("layercam_S5", "gradcam_S4", "layercam_S5+S3")):
        maps = labels.on_image(maps_of[cell], picture.pixels.shape[1::-1])
        expected = np.zeros(picture.pixels.shape[:2], int)
        for region in range(regions.max() + 1):
            means = [m[regions == region].mean() / 255 for m in maps]
            if max(means) >= 0.3:
                expected[regions == region] = scene.labels[int(np.argmax(means))] + 1
        path = tmp_path / "labels" / folder / f"{scene.image_id}.png"
        assert np.array_equal(voc_masks.read_mask(path, 10), expected)


def test_labels_that_are_gone_are_written_again_and_recorded_once(network, tmp_path):
    job, chosen = make(network, out=tmp_path), scenes(2)
    measured(job, chosen)
    path = labelling.label_folder(tmp_path, CELLS[1]) / f"{chosen[0].image_id}.png"
    before = path.read_bytes()
    path.unlink()
    lacking = labelling.unsaved(job)
    assert [lacking[s.image_id] for s in chosen] == [{CELLS[1]}, set()]
    with records.Writer(tmp_path / "records") as writer:
        nothing = {s.image_id: set() for s in chosen}
        labelling.measure(job, chosen[:1], nothing, writer, lambda: None)
        assert not any(writer.rows.values())
    assert path.read_bytes() == before


def test_the_shipped_classifier_knows_its_layers(network):
    assert list(network.layers) == ["S5", "S4", "S3", "S2", "S1", "conv6"]
    assert network.classes == 10
    job = make(network, cells=[Cell.of("cam", "conv6")], batch_size=2)
    pictures = [decoded(job, s) for s in scenes(2)]
    found = labelling.class_maps(job, pictures, job.cells, 2)[job.cells[0]]
    assert found.max() > 200  # CAM has its linear weights
    assert len(cells.of_tables((), ("XIII",), tasks.load("pseudo"), network)[0]) == 10
