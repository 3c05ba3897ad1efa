"""The loop: how often the network is asked, and that nothing but the image and the cell moves a record."""

import dataclasses
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from camcore import networks, views
from evaluators import cells, datasets, protocols, records, runs
from evaluators.types import Cell

CAMX = Path(sys.executable).parent / "camx"


@pytest.fixture(scope="module")
def network():
    return networks.load("mini-vgg")


def samples(count):
    return datasets.load("mini").samples[:count]


def gradient_cells(network):
    return cells.of_tables((), ("I", "II", "III", "IV", "XII"), "localize", network)[0]


def make(network, chosen, protocol="paper", **options):
    return runs.plan(network, protocols.load(protocol), chosen, **{"batch_size": 20, "workers": 2, **options})


def localized(plan, chosen, missing, writer, tick, unsaved=None):
    runs.measure(plan, runs.localizer(plan.protocol), chosen, missing, writer, tick, unsaved, any(map(plan.protocol.grabs, plan.cells)))


def measured(plan, chosen, out):
    with records.Writer(out / "records") as writer:
        localized(plan, chosen, {s.image_id: set(plan.cells) for s in chosen}, writer, lambda: None)
    return records.read(out)


def test_one_pass_feeds_every_gradient_cell(network, monkeypatch, tmp_path):
    """Tables I-IV and XII: one forward and one backward per view batch, whatever the number of cells."""
    chosen = gradient_cells(network)
    assert len(chosen) == 59
    forwards, backwards = [], []
    handle = network.module.register_forward_hook(lambda _m, inputs, _o: forwards.append(len(inputs[0])))
    original = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: backwards.append(1) or original(*a, **k))
    try:
        frame = measured(make(network, chosen), samples(5), tmp_path)
    finally:
        handle.remove()
    assert len(frame) == 5 * 59
    assert forwards == [20, 20, 20]  # three batches of two images in ten crops, the last one padded
    assert len(backwards) == 3


@pytest.mark.parametrize("protocol", ["single", "paper"])
def test_neighbours_workers_and_order_change_no_record(network, tmp_path, protocol):
    chosen = gradient_cells(network)
    images = samples(7)
    whole = measured(make(network, chosen, protocol), images, tmp_path / "whole")
    backwards = measured(make(network, chosen, protocol, workers=1), images[::-1], tmp_path / "backwards")
    alone = measured(make(network, chosen, protocol, workers=4), images[3:4], tmp_path / "alone")
    assert whole.equals(backwards)
    assert whole[whole["image_id"] == images[3].image_id].reset_index(drop=True).equals(alone)


def test_a_cell_does_not_depend_on_the_others(network, tmp_path):
    chosen = gradient_cells(network)
    whole = measured(make(network, chosen), samples(2), tmp_path / "whole")
    one = Cell("layercam", "S5+S4+S3", "gamma=3")
    alone = measured(make(network, [one]), samples(2), tmp_path / "alone")
    same = whole[(whole["method"] == one.method) & (whole["layer"] == one.layer) & (whole["variant"] == one.variant)]
    assert same.reset_index(drop=True).equals(alone)


def test_maps_are_the_authors_protocol_step_by_step(network, tmp_path):
    """LayerCAM at S4 of one image, each step written as layercam_loc does it, crop by crop."""
    from PIL import Image
    from torchvision.transforms.functional import ten_crop

    sample = samples(1)[0]
    image = Image.open(sample.path).convert("RGB").resize((128, 128), Image.Resampling.BILINEAR)
    form = network.preprocessing
    crops = torch.stack([form(torch.from_numpy(np.array(c)).permute(2, 0, 1)[None])[0] for c in ten_crop(image, [112, 112])])
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

    plan = make(network, [Cell("layercam", "S4")])
    decoded = runs.decode(plan, sample)
    grids, summed = runs.image_maps(plan, torch.from_numpy(decoded.squashed)[None], torch.tensor([sample.label]))
    difference = np.abs(grids[plan.cells[0]][0].astype(int) - expected.astype(int))
    assert (difference <= 1).mean() >= 0.99
    assert difference.max() <= 8
    assert runs.top5(summed[0]) == logits.topk(5).indices.tolist()


def test_ten_crops_share_one_decision(network):
    """The crops' logits are summed, not their probabilities."""
    plan = make(network, [Cell("gradcam", "S5")])
    images = torch.from_numpy(np.stack([runs.decode(plan, s).squashed for s in samples(2)]))
    _, summed = runs.image_maps(plan, images, torch.tensor([0, 0]))
    with torch.no_grad():
        logits = network.module(network.prepare(views.cut(images, plan.view))).reshape(2, 10, -1).sum(1)
    assert [runs.top5(row) for row in summed] == logits.topk(5).indices.tolist()


def test_a_batch_smaller_than_an_image_s_crops(network, tmp_path):
    chosen = [Cell("layercam", "S4")]
    whole = measured(make(network, chosen, batch_size=10), samples(2), tmp_path / "whole")
    small = measured(make(network, chosen, batch_size=4), samples(2), tmp_path / "small")
    assert (abs(whole[["x0", "y0", "x1", "y1"]] - small[["x0", "y0", "x1", "y1"]]) <= 1).all().all()


def test_maps_can_be_saved(network, tmp_path):
    names = {
        "S4": Cell("layercam", "S4"),
        "S5+S3": Cell("layercam", "S5+S3", "gamma=2"),
        "S5+S3_scale=tan": Cell("layercam", "S5+S3", "scale=tan"),
        "S3": Cell("layercam", "S3"),
        "S3_gamma=2": Cell("layercam", "S3", "gamma=2"),
    }
    plan = make(network, list(names.values()))
    with records.Writer(tmp_path / "records") as writer:
        wanted = {s.image_id: set(plan.cells) for s in samples(1)}
        localized(plan, samples(1), wanted, writer, lambda: None, (tmp_path / "maps", wanted))
    name = samples(1)[0].image_id
    found = {p.name: cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in (tmp_path / "maps").iterdir()}
    assert set(found) == {f"{name}_layercam_{end}.png" for end in names}
    assert runs.unsaved(tmp_path / "maps", samples(2), plan.cells) == {name: set(), samples(2)[1].image_id: set(plan.cells)}
    assert all(m.shape == (128, 128) and m.dtype == np.uint8 and m.max() >= 254 for m in found.values())


def test_padding_costs_no_masked_pass(network, tmp_path):
    """One image in a batch of four: Score-CAM asks the network about that image only."""
    views_shown = []
    handle = network.module.register_forward_hook(lambda _m, inputs, _o: views_shown.append(len(inputs[0])))
    try:
        measured(make(network, [Cell("scorecam", "S5")], "single", batch_size=4), samples(1), tmp_path)
    finally:
        handle.remove()
    assert sum(views_shown) <= 4 + 64


def test_the_normalisation_is_that_of_fused_cells_too(network, tmp_path):
    one = [Cell("layercam", "S4+S3", "gamma=2")]
    minmax = make(network, one, "single")
    minmax = dataclasses.replace(minmax, protocol=dataclasses.replace(minmax.protocol, normalisation="minmax"))
    images = torch.from_numpy(runs.decode(minmax, samples(1)[0]).squashed)[None]
    first, second = (runs.image_maps(p, images, torch.tensor([0]))[0][one[0]] for p in (minmax, make(network, one, "single")))
    assert not np.array_equal(first, second)


def test_fewer_than_five_classes(network, tmp_path):
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.classifier = network.module.features, network.module.classifier

        def forward(self, images):
            return self.classifier(self.features(images).flatten(1))[:, :2]

    plan = make(dataclasses.replace(network, module=Two()), [Cell("layercam", "S4")], "single")
    images = torch.from_numpy(runs.decode(plan, samples(1)[0]).squashed)[None]
    _, summed = runs.image_maps(plan, images, torch.tensor([0]))
    assert sorted(runs.top5(summed[0])) == [-1, -1, -1, 0, 1]


def test_own_gradient_moves_layercam(network, tmp_path):
    one = [Cell("layercam", "S3")]
    own = runs.Plan(**{**vars(make(network, one)), "protocol": dataclasses.replace(protocols.load("paper"), gradient="own")})
    assert not measured(own, samples(3), tmp_path / "own").equals(measured(make(network, one), samples(3), tmp_path / "next"))


@pytest.mark.slow
def test_kill_9_then_the_same_command(tmp_path):
    """The records of a run killed twice are those of an undisturbed run, none twice."""
    command = [CAMX, "localize", "--protocol", "single", "--method", "layercam", "--batch-size", "2", "--out"]
    subprocess.run([*command, "whole"], cwd=tmp_path, check=True, capture_output=True)
    killed, held = tmp_path / "killed", []

    def kill_when(ready):
        process = subprocess.Popen([*command, "killed"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not ready():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL  # it had not finished before
        held.append(len(records.read(killed)))

    kill_when(lambda: any((killed / "records").glob("*.parquet")))
    kill_when(lambda: len(records.load(killed)["invocations"]) == 2)
    assert held == [256 * 5, 256 * 5]
    subprocess.run([*command, "killed"], cwd=tmp_path, check=True, capture_output=True)
    frame = records.read(killed)
    assert not frame.duplicated(["image_id", "method", "layer", "variant"]).any()
    assert frame.equals(records.read(tmp_path / "whole"))
