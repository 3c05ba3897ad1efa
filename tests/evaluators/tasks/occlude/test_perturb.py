"""Occlusion and curves on a network whose answers are arithmetic, and on the miniature."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from PIL import Image

from camx.camcore import networks, views
from camx.camcore.image_files import read_image
from camx.camcore.taps import Layer
from camx.evaluators import datasets, grids, loop, protocols, records, tasks, types
from camx.evaluators.records import KEY
from camx.evaluators.results import measures
from camx.evaluators.tasks import localize, occlude
from camx.evaluators.tasks.occlude import perturb
from camx.evaluators.types import Cell, Sample

CELL = Cell.of("layercam", "S5")
SIDE = 8
REGION = (slice(2, 6), slice(1, 5))


class RegionSum(torch.nn.Module):
    """Logit 1 is the sum of the red channel over a region; logits 0 and 2 are constants."""

    def __init__(self):
        super().__init__()
        self.features = torch.nn.Conv2d(3, 3, 1, bias=False)
        torch.nn.init.dirac_(self.features.weight)

    def forward(self, images):
        region = self.features(images)[:, 0][:, REGION[0], REGION[1]].sum((1, 2))
        return torch.stack([torch.full_like(region, 0.5), region, torch.full_like(region, -1.0)], 1)


@pytest.fixture
def linear():
    form = networks.Preprocessing("plain", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    module = RegionSum().requires_grad_(False).eval()
    return networks.Network(
        "region", module, {"S5": Layer("S5", "features")}, SIDE, form, 3, "by hand", "0"
    )


def picture(tmp_path, name, red, label=1):
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[..., 0] = red
    Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return Sample(name, tmp_path / f"{name}.png", label, ((0, 0, 1, 1),))


def halves():
    """The region's upper half at 255, its lower half at 102 (0.4 of it), the rest of the image at
    255.
    """
    red = np.full((SIDE, SIDE), 255, np.uint8)
    red[4:6, 1:5] = 102
    return red


def hole(area=None, random=False, cell=CELL):
    return dataclasses.replace(cell, area=area, random=random)


def make(network, cells, out, seed=0, batch_size=4, workers=1, **fields):
    protocol = protocols.load("single", "occlude", occlude.Protocol, fields)
    plan = grids.plan(network, protocol, cells, batch_size=batch_size, workers=workers)
    data = types.Dataset("by hand", out, ("one",), (), "d")
    options = occlude.Options()
    return loop.Measurement(out, data, (), tuple(cells), protocol, options, seed, plan)


def run(network, samples, out, cells=(CELL,), **options):
    job = make(network, cells, out, **options)
    missing = {s.image_id: set(cells) for s in samples}
    with records.Writer(out / "records") as writer:
        perturb.occlude(job, samples, missing, writer, lambda: None)
    return records.read(out)


def curves(network, samples, out, metric, **options):
    job = make(network, [CELL], out, **options)
    with records.Writer(out / occlude.CURVES[metric]) as writer:
        missing = {s.image_id: {CELL} for s in samples}
        perturb.curves(job, metric, samples, missing, writer, lambda: None)
    return records.read(out, kind=occlude.CURVES[metric])


def numbers_of(run):
    task = tasks.load("occlude")
    return measures.numbers(measures.outcomes(run, task), task)


def test_hiding_a_region_costs_exactly_its_share(linear, tmp_path):
    """8 pixels of 1 and 8 of 0.4: above 0.7 of the maximum are the first, so 8 of 11.2 are lost."""
    row = run(linear, [picture(tmp_path, "a", halves())], tmp_path / "run").iloc[0]
    assert row["logit_before"] == pytest.approx(8 + 8 * 0.4)
    assert row["logit_after"] == pytest.approx(8 * 0.4)
    assert row["occluded"] == 8 / 64
    exponents = [math.exp(v) for v in (0.5, 3.2, -1)]
    assert row["score_after"] == pytest.approx(exponents[1] / sum(exponents))
    assert (row["rank_before"], row["rank_after"], row["degenerate"]) == (1, 1, False)
    whole = run(linear, [picture(tmp_path, "a", halves())], tmp_path / "low", threshold=0.3).iloc[0]
    assert (whole["logit_after"], whole["occluded"], whole["rank_after"]) == (0, 16 / 64, 2)


def test_a_tenth_of_the_pixels(linear, tmp_path):
    """--area: round(0.125 * 64) = 8 pixels, the brightest, are those of the upper half; moved, the
    same number.
    """
    cells = hole(0.125), hole(0.125, random=True), hole(0.25)
    frame = run(linear, [picture(tmp_path, "a", halves())], tmp_path / "run", cells)
    frame = frame.set_index("variant")
    assert frame.loc["area=0.125", "logit_after"] == pytest.approx(3.2)
    assert frame.loc["area=0.25", "logit_after"] == 0
    assert frame["occluded"].to_dict() == {
        "area=0.125": 0.125,
        "area=0.125, random": 0.125,
        "area=0.25": 0.25,
    }


def test_an_empty_map_leaves_the_image_and_is_counted(linear, tmp_path):
    """Nothing of the label in the image: recognised, since the others are lower, yet its map is all
    zero.
    """
    linear.module.features.weight.data[0] = 0
    linear.module.forward = lambda images: torch.stack(
        [torch.zeros(len(images)), 1 + linear.module.features(images)[:, 0].sum((1, 2))], 1
    )
    cells = (CELL, hole(0.1), hole(random=True))
    frame = run(linear, [picture(tmp_path, "a", halves())], tmp_path / "run", cells)
    assert (frame["score_after"] == frame["score_before"]).all()
    assert (frame["occluded"] == 0).all()
    assert frame["degenerate"].all()
    numbers = numbers_of(tmp_path / "run")
    assert numbers.loc[(*CELL.key, "degenerate"), "value"] == 100
    assert numbers.loc[(*occlude.ORIGINAL.key, "degenerate"), "value"] == 0


def test_what_is_not_recognised_passes_unchanged(linear, tmp_path):
    asked = []
    linear.module.register_forward_hook(lambda _m, inputs, _o: asked.append(len(inputs[0])))
    wrong = picture(tmp_path, "a", halves(), label=2)
    row = run(linear, [wrong], tmp_path / "run", batch_size=1).iloc[0]
    found = row["rank_before"], row["rank_after"], row["score_after"], row["occluded"]
    assert found == (3, 3, row["score_before"], 0)
    assert asked == [1]


def test_fills(linear, tmp_path):
    form = dataclasses.replace(linear.preprocessing, mean=(0.25, 0.0, 0.0))
    linear = dataclasses.replace(linear, preprocessing=form)
    sample = picture(tmp_path, "a", halves())
    mean, black = (
        run(linear, [sample], tmp_path / fill, fill=fill).iloc[0] for fill in ("mean", "black")
    )
    # The hidden pixels are zero, the others 0.4 - 0.25.
    assert mean["logit_after"] == pytest.approx(8 * 0.15)
    assert black["logit_after"] == pytest.approx(8 * 0.15 - 8 * 0.25)
    linear = dataclasses.replace(linear, input_size=SIDE * 8)  # a wider kernel
    job = make(linear, [CELL], tmp_path, batch_size=1, fill="blur")
    shown = [loop.decode(sample, (job.plan.view.grid,))]
    batch = perturb.batch_of(job, {"a": {CELL}}, "blur", shown, shown)
    assert batch.hidden.equal(perturb.occlusion.blurred(batch.images, SIDE * 8))


def test_sum_and_mean_of_ten_crops():
    logits = torch.tensor([[[1.0, 2.0, 0.0], [4.0, 0.0, 0.0]]])
    (summed,), (mean,) = (perturb.answers(logits, [1], score) for score in ("sum", "mean"))
    assert summed.score == pytest.approx(math.exp(2) / (math.exp(5) + math.exp(2) + 1))
    first, second = math.exp(2) / (math.exp(1) + math.exp(2) + 1), 1 / (math.exp(4) + 2)
    assert mean.score == pytest.approx((first + second) / 2)
    assert summed.rank == mean.rank == 2
    assert summed.logit == mean.logit == 2


def test_ranks_count_what_is_above():
    tied = torch.tensor([[[1.0, 3.0, 3.0, 0.0]]])
    assert [perturb.answers(tied, [label], "sum")[0].rank for label in range(4)] == [3, 1, 2, 4]


def rise(image, places, first, second, network, label, step):
    """RISE's CausalMetric.single_run in plain loops: (scores, area) as `auc` there computes it."""
    pixels, scores = image.shape[-1] * image.shape[-2], []
    n_steps = (pixels + step - 1) // step
    canvas, final = first.clone(), second
    for i in range(n_steps + 1):
        with torch.no_grad():
            scores.append(float(network.module(canvas[None])[0].double().softmax(0)[label]))
        for place in range(step * i, min(step * (i + 1), pixels)):
            y, x = next(
                (y, x)
                for y in range(image.shape[-2])
                for x in range(image.shape[-1])
                if places[y, x] == place
            )
            canvas[:, y, x] = final[:, y, x]
    return scores, (sum(scores) - scores[0] / 2 - scores[-1] / 2) / (len(scores) - 1)


@pytest.mark.parametrize("metric", ["deletion", "insertion"])
@pytest.mark.parametrize("steps", [0, 5])
def test_curves_are_rise_s(linear, tmp_path, metric, steps):
    sample = picture(tmp_path, "a", np.random.default_rng(0).integers(20, 255, (SIDE, SIDE)))
    row = curves(linear, [sample], tmp_path / "run", metric, batch_size=3, steps=steps).iloc[0]
    squashed = torch.from_numpy(views.squash(read_image(sample.path), SIDE))[None]
    image = linear.prepare(squashed)
    plan = make(linear, [CELL], tmp_path, batch_size=3).plan
    maps, _ = grids.grids(plan, squashed, torch.tensor([1]), [CELL], 1)
    ties, _ = perturb.draw("a", 0, SIDE * SIDE, torch.device("cpu"))
    places = perturb.occlusion.order(maps[CELL], ties[None])[0]
    start = {
        "deletion": (image[0], torch.zeros_like(image[0])),
        "insertion": (perturb.occlusion.blurred(image, SIDE)[0], image[0]),
    }
    step = -(-64 // steps) if steps else SIDE
    scores, area = rise(image[0], places, *start[metric], linear, 1, step)
    assert row["scores"].tolist() == pytest.approx(scores)
    assert row["area"] == pytest.approx(area)
    assert len(scores) == (steps or SIDE) + 1
    numbers = numbers_of(tmp_path / "run")
    assert numbers.loc[(*CELL.key, metric), "value"] == pytest.approx(100 * area)


def test_an_image_without_a_curve_has_a_record(linear, tmp_path):
    samples = [picture(tmp_path, "wrong", halves(), label=0), picture(tmp_path, "right", halves())]
    frame = curves(linear, samples, tmp_path / "run", "deletion", batch_size=2)
    frame = frame.set_index("image_id")
    assert np.isnan(frame.loc["wrong", "area"])
    assert len(frame.loc["wrong", "scores"]) == 0
    assert numbers_of(tmp_path / "run").loc[(*CELL.key, "deletion"), "n"] == 1


@pytest.fixture(scope="module")
def mini():
    return networks.load("mini-vgg")


@pytest.mark.parametrize("view", ["resize", pytest.param("ten-crop", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("two_threads")
def test_neighbours_workers_and_order_change_no_record(mini, tmp_path, view):
    samples = datasets.load("mini").samples[:5]
    fused = Cell.of("layercam", "S5+S3", "gamma=2")
    cells = [Cell.of("gradcam", "S5"), CELL, hole(0.1), hole(random=True), fused]
    whole = run(mini, samples, tmp_path / "whole", cells, batch_size=20, workers=2, view=view)
    back = run(mini, samples[::-1], tmp_path / "back", cells[::-1], batch_size=20, view=view)
    alone = run(mini, samples[3:4], tmp_path / "alone", cells[1:2], batch_size=20, view=view)
    assert whole.equals(back)
    mine = whole[(whole[KEY] == [samples[3].image_id, *CELL.key]).all(axis=1)]
    assert mine.reset_index(drop=True).equals(alone)
    assert len(whole) == 5 * 5
    other = run(mini, samples, tmp_path / "seed", cells, seed=1, batch_size=20, view=view)
    assert not other.equals(whole)


def test_the_original_row_is_localize_s_classification(mini, tmp_path):
    samples = datasets.load("mini").samples[:30]
    run(mini, samples, tmp_path / "occlude", batch_size=20)
    protocol = protocols.load("single", "localize", localize.Protocol)
    job = dataclasses.replace(
        make(mini, [CELL], tmp_path / "localize"),
        protocol=protocol,
        maps=grids.plan(mini, protocol, [CELL]),
    )
    missing = {s.image_id: {CELL} for s in samples}
    with records.Writer(job.out / "records") as writer:
        loop.measure(job, localize.grade, samples, missing, writer, lambda: None)
    top1, top5, n = localize.classification(job.out)
    assert n == 30
    numbers = numbers_of(tmp_path / "occlude")
    assert numbers.loc[(*occlude.ORIGINAL.key, "top1"), "value"] == pytest.approx(top1)
    assert numbers.loc[(*occlude.ORIGINAL.key, "top5"), "value"] == pytest.approx(top5)
