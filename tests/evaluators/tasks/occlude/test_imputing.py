"""ROAD: by plain loops, and as pytorch-grad-cam computes it."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from camx.camcore import networks, occlusion, road, views
from camx.camcore.image_files import read_image
from camx.evaluators import datasets, grids, loop, protocols, records, types
from camx.evaluators.tasks import occlude
from camx.evaluators.tasks.occlude import imputing, perturb, scores
from camx.evaluators.types import Cell

CELL = Cell.of("layercam", "S4")
PERCENTILES = (20.0, 70.0)


@pytest.fixture(scope="module")
def mini():
    return networks.load("mini-vgg")


@pytest.fixture(scope="module")
def samples():
    return datasets.load("mini").samples[:3]


def run(network, samples, out, cells=(CELL,), protocol="single", **fields):
    fields = {"percentiles": PERCENTILES, **fields}
    how = protocols.load(protocol, "occlude", occlude.Protocol, fields)
    plan = grids.plan(network, how, [cell.map for cell in cells], batch_size=4)
    data = types.Dataset("by hand", out, ("one",), (), "d")
    options = occlude.Options(metric="road")
    job = loop.Measurement(out, data, tuple(samples), tuple(cells), how, options, 0, plan)
    with records.Writer(out / "records-road") as writer:
        missing = {s.image_id: set(cells) for s in samples}
        occlude.loop(job, samples, missing, writer, lambda: None)
    return records.read(out, kind="records-road").set_index("image_id"), plan


def test_records_are_those_of_plain_loops(mini, samples, tmp_path):
    frame, plan = run(mini, samples, tmp_path)
    sample = samples[1]
    squashed = torch.from_numpy(views.squash(read_image(sample.path), 112))[None]
    image = mini.prepare(squashed)[0]
    label = int(mini.module(image[None])[0].argmax())
    values = grids.grids(plan, squashed, torch.tensor([label]), [CELL], 1)[0][CELL]
    ties, _ = perturb.draw(sample.image_id, 0, 112 * 112, torch.device("cpu"))
    places = occlusion.order(values, ties[None])[0].tolist()
    noise = road.noise(sample.image_id, 0, (3, 112, 112))
    row = frame.loc[sample.image_id]
    assert row["explained"] == label
    for at, percentile in enumerate(PERCENTILES):
        kept = math.ceil(percentile / 100 * (112 * 112 - 1))
        for name in ("morf", "lerf"):
            mask = torch.zeros(112, 112, dtype=torch.bool)
            for y in range(112):
                for x in range(112):
                    place = places[y][x]
                    mask[y, x] = place < 112 * 112 - kept if name == "morf" else place >= kept
            changed = road.fill(image[None], mask[None])[0] + mask * noise
            exponents = [math.exp(v) for v in mini.module(changed[None])[0].tolist()]
            assert row[name][at] == pytest.approx(exponents[label] / sum(exponents), rel=1e-4)


def test_what_goes_is_what_lies_beyond_the_percentile():
    values = np.random.default_rng(0).permutation(12 * 11).reshape(12, 11)
    places = torch.from_numpy(values.max() - values)  # the highest is the first
    percentiles = (10.0, 33.3, 90.0)
    highest, lowest = imputing.removed(places, percentiles)
    for at, q in enumerate(percentiles):
        assert np.array_equal(highest[at], values >= np.percentile(values, q))
        assert np.array_equal(lowest[at], -values >= np.percentile(-values, q))


def test_neighbours_change_no_record(mini, samples, tmp_path):
    cells = [CELL, Cell.of("gradcam", "S5")]
    whole, _ = run(mini, samples, tmp_path / "whole", cells)
    alone, _ = run(mini, samples[1:2], tmp_path / "alone")
    mine = whole[whole["method"] == "layercam"].loc[[samples[1].image_id]]
    assert mine.equals(alone)


def test_a_constant_map_has_no_order(mini, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(grids.fusion, "normalise", lambda m, form: torch.ones_like(m))
    frame, _ = run(mini, samples[:1], tmp_path)
    assert frame["degenerate"].all()
    assert [len(s) for s in frame["morf"]] == [0]


def test_numbers_by_hand():
    keys = {name: ["x"] * 2 for name in records.KEY}
    both = {"morf": [(0.2, 0.4), ()], "lerf": [(0.6, 0.8), ()], "degenerate": [False, True]}
    made = scores.outcomes("road", pd.DataFrame({**keys, "score_before": [0.5, 0.5], **both}))
    assert made.iloc[0][["road", "road-morf", "road-lerf"]].tolist() == pytest.approx([20, -20, 20])
    assert made.iloc[1][["road", "road-morf", "road-lerf"]].isna().all()


def test_pytorch_grad_cam_agrees(mini, samples, tmp_path, monkeypatch):
    """Where no two pixels are equal; its noise is set to none, since no seed makes it ours."""
    pytest.importorskip("pytorch_grad_cam", reason="extra `bench` is not installed")
    from pytorch_grad_cam.metrics import road as theirs
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    monkeypatch.setattr(road, "NOISE", 0.0)
    images = mini.prepare(
        torch.from_numpy(np.stack([views.squash(read_image(s.path), 112) for s in samples]))
    )
    cams = np.random.default_rng(0).random((3, 112, 112))
    monkeypatch.setattr(grids, "grids", _given(grids.grids, torch.from_numpy(cams)))
    frame, _ = run(mini, samples, tmp_path)
    targets = [ClassifierOutputSoftmaxTarget(c) for c in frame["explained"]]
    made = scores.outcomes("road", frame.reset_index())
    for name, order in (("morf", "RemoveMostRelevantFirst"), ("lerf", "RemoveLeastRelevantFirst")):
        parts = []
        for percentile in PERCENTILES:
            remove = getattr(theirs, order)(percentile, theirs.NoisyLinearImputer(noise=0))
            metric = theirs.PerturbationConfidenceMetric(remove)
            parts.append(metric(images, cams, targets, mini.module))
        expected = 100 * np.mean(parts, 0)
        assert made[f"road-{name}"].to_numpy() == pytest.approx(expected, abs=1e-2)


def _given(grids_of, cams):
    """As `grids.grids`, with these maps."""

    def made(plan, squashed, targets, cells, real):
        maps, logits = grids_of(plan, squashed, targets, cells, real)
        return {
            cell: cams[[*range(real), *[real - 1] * (len(m) - real)]] for cell, m in maps.items()
        }, logits

    return made
