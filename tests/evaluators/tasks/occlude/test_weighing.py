"""Drop, increase, gain and ADCC: by hand, in plain loops, and as other packages compute them."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch

from camx.camcore import networks, occlusion, views
from camx.camcore.image_files import read_image
from camx.evaluators import datasets, grids, loop, protocols, records, tasks, types
from camx.evaluators.results import measures
from camx.evaluators.tasks import occlude
from camx.evaluators.tasks.occlude import scores
from camx.evaluators.types import Cell

CELLS = [Cell.of("gradcam", "S5"), Cell.of("layercam", "S4")]
METHODS = [("gradcam", "S5"), ("layercam", "S5")]


@pytest.fixture(scope="module")
def mini():
    return networks.load("mini-vgg")


@pytest.fixture(scope="module")
def samples():
    return datasets.load("mini").samples[:5]


def run(network, samples, out, metric, cells=CELLS, protocol="single", batch_size=4, **fields):
    how = protocols.load(protocol, "occlude", occlude.Protocol, fields)
    plan = grids.plan(network, how, [cell.map for cell in cells], batch_size=batch_size)
    data = types.Dataset("by hand", out, ("one",), (), "d")
    options = occlude.Options(metric=metric)
    job = loop.Measurement(out, data, tuple(samples), tuple(cells), how, options, 0, plan)
    with records.Writer(out / occlude.folder(options)) as writer:
        missing = {s.image_id: set(cells) for s in samples}
        occlude.loop(job, samples, missing, writer, lambda: None)
    frame = records.read(out, kind=occlude.folder(options))
    return frame.set_index(["image_id", "method", "layer", "variant"]), plan


def probability(network, image, label):
    with torch.no_grad():
        logits = network.module(image[None])[0].tolist()
    return math.exp(logits[label]) / sum(map(math.exp, logits))


def looped(network, plan, sample, cell, fill):
    """One image's record in plain loops: (class, before, after, coherency, complexity)."""
    squashed = torch.from_numpy(views.squash(read_image(sample.path), network.input_size))[None]
    image = network.prepare(squashed)
    with torch.no_grad():
        label = int(network.module(image)[0].argmax())
    target = torch.tensor([label])
    values = grids.grids(plan, squashed, target, [cell], 1)[0][cell][0].tolist()
    low, high = min(map(min, values)), max(map(max, values))
    side, weighed = len(values), image[0].clone()
    for y in range(side):
        for x in range(side):
            values[y][x] = (values[y][x] - low) / (high - low)
            for c in range(3):
                beside = (1 - values[y][x]) * float(fill[c, y, x])
                weighed[c, y, x] = values[y][x] * float(image[0, c, y, x]) + beside
    other = grids.of_prepared(plan, weighed[None], target, [cell], 1)[0][cell][0]
    a, b = [v for row in values for v in row], other.flatten().tolist()
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    top = sum((p - mean_a) * (q - mean_b) for p, q in zip(a, b))
    spread = [sum((p - m) ** 2 for p in part) for part, m in ((a, mean_a), (b, mean_b))]
    r = top / math.sqrt(spread[0] * spread[1])
    before, after = (probability(network, i, label) for i in (image[0], weighed))
    return label, before, after, (r + 1) / 2, mean_a


@pytest.mark.parametrize("fill", ["mean", "black"])
def test_records_are_those_of_plain_loops(mini, samples, tmp_path, fill):
    """And as many images at once as there are change none."""
    dropped, plan = run(mini, samples, tmp_path, "drop", fill=fill)
    frame, _ = run(mini, samples, tmp_path, "adcc", fill=fill)
    assert len(dropped) == len(frame) == 10
    black = mini.prepare(torch.zeros(1, 3, 112, 112, dtype=torch.uint8))[0]
    substitute = {"mean": torch.zeros_like(black), "black": black}[fill]
    for sample in samples[:2]:
        for cell in CELLS:
            label, before, after, coherency, complexity = looped(
                mini, plan, sample, cell, substitute
            )
            for table in (dropped, frame):
                row = table.loc[(sample.image_id, *cell.key)]
                assert row["explained"] == label
                assert row["score_before"] == pytest.approx(before, rel=1e-5)
                assert row["score_after"] == pytest.approx(after, rel=1e-4)
            assert row["coherency"] == pytest.approx(coherency, abs=1e-4)
            assert row["complexity"] == pytest.approx(complexity, rel=1e-5)


@pytest.mark.parametrize("metric", ["drop", "adcc"])
@pytest.mark.usefixtures("two_threads")
def test_neighbours_and_order_change_no_record(mini, samples, tmp_path, metric):
    cells = [*CELLS, dataclasses.replace(CELLS[0], random=True)]
    whole, _ = run(mini, samples, tmp_path / "whole", metric, cells)
    back, _ = run(mini, samples[::-1], tmp_path / "back", metric, cells[::-1])
    alone, _ = run(mini, samples[3:4], tmp_path / "alone", metric, cells[1:2])
    assert whole.equals(back)
    mine = whole[whole.index.isin(alone.index)]
    assert mine.equals(alone)
    places = whole.xs("gradcam", level="method")["score_after"].unstack("variant")
    assert (places[""] != places["random"]).any()


def test_the_class_is_the_first_choice_or_the_label(mini, samples, tmp_path):
    wrong = [dataclasses.replace(s, label=(s.label + 1) % 10) for s in samples]
    first, _ = run(mini, wrong, tmp_path / "first", "drop")
    label, _ = run(mini, wrong, tmp_path / "label", "drop", explained="label")
    assert (label["explained"] == label["label"]).all()
    assert (first["explained"] != first["label"]).any()
    assert (first["score_before"] >= label["score_before"]).all()


def test_an_empty_map_leaves_the_fill(mini, samples, tmp_path, monkeypatch):
    """Nothing of the image is left, nothing agrees, and the record says why."""
    monkeypatch.setattr(grids.fusion, "normalise", lambda m, form: torch.zeros_like(m))
    for metric in ("drop", "adcc"):
        frame, _ = run(mini, samples[:2], tmp_path, metric, CELLS[:1])
        assert frame["degenerate"].all()
        nothing = probability(mini, torch.zeros(3, 112, 112), int(frame["explained"].iloc[0]))
        assert frame["score_after"].iloc[0] == pytest.approx(nothing, rel=1e-5)
    assert frame[["coherency", "complexity"]].to_numpy().tolist() == [[0, 0], [0, 0]]
    task = tasks.load("occlude")
    numbers = measures.numbers(measures.outcomes(tmp_path, task), task)
    assert numbers.loc[(*CELLS[0].key, "adcc"), "value"] == 0
    assert numbers.loc[(*CELLS[0].key, "drop-degenerate"), "value"] == 100


def frame_of(**columns):
    keys = {name: ["x"] * len(columns["score_before"]) for name in records.KEY}
    return pd.DataFrame({**keys, **columns, "degenerate": False})


def test_numbers_by_hand():
    """Lost: 0.3 of 0.4; gained: 0.1 of 0.2; the same; and where nothing can be lost or gained."""
    before, after = [0.4, 0.8, 0.5, 0.0, 1.0], [0.1, 0.9, 0.5, 0.0, 1.0]
    made = scores.outcomes("drop", frame_of(score_before=before, score_after=after))
    assert made["drop"].tolist() == pytest.approx([75, 0, 0, 0, 0])
    assert made["increase"].tolist() == [False, True, False, False, False]
    assert made["gain"].tolist() == pytest.approx([0, 50, 0, 0, 0])
    parts = {"coherency": [0.8, 0.8, 0.0], "complexity": [0.3, 1.0, 0.2]}
    made = scores.outcomes(
        "adcc", frame_of(score_before=before[:3], score_after=after[:3], **parts)
    )
    assert made["adcc"].tolist() == pytest.approx([100 * 3 / (1 / 0.8 + 1 / 0.7 + 1 / 0.25), 0, 0])
    assert made["adcc-drop"].tolist() == pytest.approx([75, 0, 0])


def test_coherency_of_what_is_constant_is_none():
    rng = np.random.default_rng(0)
    maps = torch.from_numpy(rng.random((3, 4, 5)))
    others = torch.stack([maps[0], 1 - maps[1], torch.full((4, 5), 0.5)])
    assert occlusion.coherency(maps, others).tolist() == pytest.approx([1, 0, 0])
    assert occlusion.coherency(others, maps).tolist() == pytest.approx([1, 0, 0])
    assert occlusion.stretched(others)[2].eq(0).all()


def inputs(network, samples):
    squashed = np.stack([views.squash(read_image(s.path), 112) for s in samples])
    return network.prepare(torch.from_numpy(squashed))


def module_at(network, layer):
    return network.module.get_submodule(network.layer(layer).activation)


@pytest.mark.parametrize(("method", "layer"), METHODS)
def test_torch_cam_agrees(mini, samples, tmp_path, monkeypatch, method, layer):
    """It does not stretch its map once it is resized, and so never shows a pixel wholly.

    And its map is of what `logits_fn` gives, the probability, not of the logit.
    """
    torchcam = pytest.importorskip("torchcam", reason="extra `bench` is not installed")
    from torchcam.methods import GradCAM, LayerCAM
    from torchcam.metrics import ClassificationMetric

    monkeypatch.setattr(occlusion, "stretched", lambda maps: maps)
    cells = [Cell.of(method, layer)]
    run(mini, samples, tmp_path, "drop", cells, "torch-cam", target="softmax")
    task = tasks.load("occlude")
    numbers = measures.numbers(measures.outcomes(tmp_path, task), task)["value"]
    network = mini.module.requires_grad_(True)
    kind = {"gradcam": GradCAM, "layercam": LayerCAM}[method]
    with kind(network, module_at(mini, layer)) as cam:
        metric = ClassificationMetric(cam, lambda logits: logits.softmax(-1))
        metric.update(inputs(mini, samples))
    assert torchcam
    summary = metric.summary()
    assert numbers[(*cells[0].key, "drop")] == pytest.approx(100 * summary["avg_drop"], abs=1e-2)
    assert numbers[(*cells[0].key, "increase")] == pytest.approx(100 * summary["conf_increase"])


@pytest.mark.parametrize(("method", "layer"), METHODS)
def test_pytorch_grad_cam_agrees(mini, samples, tmp_path, method, layer):
    """Its `DropInConfidence` is p - o, not a share of p; of a flat map its coherency is a half."""
    grad_cam = pytest.importorskip("pytorch_grad_cam", reason="extra `bench` is not installed")
    from pytorch_grad_cam.metrics import arcc
    from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget as Softmax
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget as Logit

    cells = [Cell.of(method, layer)]
    frame, _ = run(mini, samples, tmp_path, "adcc", cells, "pytorch-grad-cam")
    images, classes = inputs(mini, samples), frame["explained"].tolist()
    kind = {"gradcam": grad_cam.GradCAM, "layercam": grad_cam.LayerCAM}[method]
    network = mini.module.requires_grad_(True)
    with kind(network, [module_at(mini, layer)]) as cam:
        targets = [Logit(c) for c in classes]
        cams = cam(images, targets)
        coherency = arcc.Coherency()(images, cams, targets, network, cam)
    assert frame["coherency"].to_numpy() == pytest.approx(coherency, abs=1e-4)
    assert frame["complexity"].to_numpy() == pytest.approx(arcc.Complexity()(cams), abs=1e-4)
    lost = DropInConfidence()(images, cams, [Softmax(c) for c in classes], network)
    ours = (frame["score_before"] - frame["score_after"]).clip(lower=0)
    assert ours.to_numpy() == pytest.approx(lost, abs=1e-4)
    flat = np.full((1, 4, 4), 0.5)
    assert arcc.batch_pearson_coherency(flat, flat)[0] == 0
