"""Maps of cells on the image's grid, against the authors' steps and the network itself."""

import dataclasses

import numpy as np
import pytest
import torch

from camx.camcore import networks, views
from camx.evaluators import datasets, grids, loop, protocols
from camx.evaluators.tasks import localize
from camx.evaluators.types import Cell


@pytest.fixture(scope="module")
def network():
    return networks.load("mini-vgg")


def samples(count):
    return datasets.load("mini").samples[:count]


def planned(network, *cells, protocol="paper", **overrides):
    loaded = protocols.load(protocol, "localize", localize.Protocol, overrides)
    return grids.plan(network, loaded, cells, workers=2)


def squashed(plan, chosen):
    return loop.stacked([loop.decode(sample, (plan.view.grid,)) for sample in chosen])


def test_maps_are_the_authors_protocol_step_by_step(network):
    """LayerCAM at S4 of one image, each step written as layercam_loc does it, crop by crop."""
    from PIL import Image
    from torchvision.transforms.functional import ten_crop

    sample = samples(1)[0]
    image = Image.open(sample.path).convert("RGB").resize((128, 128), Image.Resampling.BILINEAR)
    form = network.preprocessing
    crops = torch.stack(
        [
            form(torch.from_numpy(np.array(c)).permute(2, 0, 1)[None])[0]
            for c in ten_crop(image, [112, 112])
        ]
    )
    features = network.module.features
    target = features[:23](crops).detach().requires_grad_()
    pool = features[23](target)
    pool.retain_grad()
    logits = network.module.classifier(features[24:](pool).flatten(1)).sum(0)
    logits[sample.label].backward()
    up = torch.nn.functional.interpolate
    grad = up(pool.grad, (14, 14), mode="bilinear", align_corners=True)
    cam = torch.relu(target.detach() * grad).sum(1, keepdim=True)
    cam = up(cam, (112, 112), mode="bilinear", align_corners=True).detach()[:, 0]
    total = torch.zeros(128, 128)
    pads = [(0, 16, 0, 16), (16, 0, 0, 16), (0, 16, 16, 0), (16, 0, 16, 0), (8, 8, 8, 8)]
    for i, pad in enumerate(pads * 2):
        padded = torch.nn.functional.pad(cam[i], pad)
        total += padded.flip(1) if i >= 5 else padded
    expected = np.uint8((total / (total.max() + 1e-8)).numpy() * 255)

    plan = planned(network, Cell.of("layercam", "S4"))
    found, summed = grids.image_maps(
        plan, squashed(plan, [sample]), torch.tensor([sample.label]), plan.cells
    )
    difference = np.abs(found[plan.cells[0]][0].astype(int) - expected.astype(int))
    assert (difference <= 1).mean() >= 0.99
    assert difference.max() <= 8
    assert localize.top5(summed[0]) == logits.topk(5).indices.tolist()


@pytest.mark.parametrize("protocol", ["single", "paper"])
def test_other_fusions(network, protocol):
    """Of the same maps as the cells of single layers; importances are added over the crops."""
    from camx.camcore import fusion, taps, winsor

    layers = ("S4", "S3", "S2", "S1")
    single = [Cell.of("layercam", y) for y in layers]
    others = [Cell.of("layercam", "+".join(layers), f"fusion={f}") for f in ("product", "winsor")]
    plan = planned(network, *single, *others, protocol=protocol)
    images, targets = squashed(plan, samples(5)), torch.tensor([s.label for s in samples(5)])
    made, _ = grids.grids(plan, images, targets, plan.cells, 5)
    inputs = network.preprocessing(views.cut(images, plan.view))
    classes = targets.repeat_interleave(plan.view.crops)
    paths = [network.layer(y) for y in layers]
    tapped = taps.tap(network.module, inputs, classes, paths, "next")
    importances = {y: tapped[y].grads.mean((1, 2, 3)).unflatten(0, (5, -1)).sum(1) for y in layers}
    weights = winsor.weights(torch.stack([*importances.values()]))
    assert len(weights.unique()) > 2  # or the sum would be of equals
    maps = {y: made[cell] for y, cell in zip(layers, single)}
    for cell in others:
        expected = fusion.fuse(maps, cell.variant, importances)
        assert torch.allclose(made[cell], expected, atol=1e-4)
    alone, _ = grids.grids(plan, images, targets, others[1:], 5)
    assert torch.equal(alone[others[1]], made[others[1]])


def test_ten_crops_share_one_decision(network):
    """The crops' logits are summed, not their probabilities."""
    plan = planned(network, Cell.of("gradcam", "S5"))
    images = squashed(plan, samples(2))
    _, summed = grids.image_maps(plan, images, torch.tensor([0, 0]))
    with torch.no_grad():
        cut = network.prepare(views.cut(images, plan.view))
        logits = network.module(cut).reshape(2, 10, -1).sum(1)
    assert [localize.top5(row) for row in summed] == logits.topk(5).indices.tolist()


def test_the_normalisation_is_that_of_fused_cells_too(network):
    one = Cell.of("layercam", "S4+S3", "gamma=2")
    first, second = (
        planned(network, one, protocol="single", normalisation=name) for name in ("minmax", "max")
    )
    images = squashed(first, samples(1))
    found = [grids.image_maps(p, images, torch.tensor([0]))[0][one] for p in (first, second)]
    assert not np.array_equal(*found)


def test_fewer_than_five_classes(network):
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.classifier = network.module.features, network.module.classifier

        def forward(self, images):
            return self.classifier(self.features(images).flatten(1))[:, :2]

    two = dataclasses.replace(network, module=Two())
    plan = planned(two, Cell.of("layercam", "S4"), protocol="single")
    _, summed = grids.image_maps(plan, squashed(plan, samples(1)), torch.tensor([0]))
    assert sorted(localize.top5(summed[0])) == [-1, -1, -1, 0, 1]


def test_a_plan_s_cells_are_maps_each_once(network):
    hole = Cell.of("layercam", "S5", "area=0.1")
    plan = planned(network, hole, hole.map, dataclasses.replace(hole, random=True))
    assert plan.cells == (Cell.of("layercam", "S5"),)
    assert (plan.batch, dataclasses.replace(plan, batch_size=4).batch) == (2, 1)  # of ten views
    with pytest.raises(
        ValueError, match=r"unknown method 'wide'; known: ablationcam, .*or --method FILE"
    ):
        planned(network, Cell.of("wide", "S5"))
