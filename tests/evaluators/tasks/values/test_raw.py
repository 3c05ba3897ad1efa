"""Values of raw maps against plain loops."""

import numpy as np
import pandas as pd
import pytest
import torch

from camx.camcore import networks, views
from camx.camcore.image_files import read_image
from camx.camcore.taps import tap
from camx.evaluators import datasets
from camx.evaluators.tasks import values as task
from camx.evaluators.tasks.values import raw
from camx.evaluators.types import Cell


def test_values_are_those_of_all_views_of_an_image():
    maps = torch.tensor([[[1.0, 2], [3, 4]], [[0, 0], [0, 9]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]])
    first, second = raw.values(maps, crops=2)
    assert first == pytest.approx((1000 * 19 / 8, 9000, 100 * 19 / 8 / 9))
    assert second == (0, 0, 0)
    assert [peak for _, peak, _ in raw.values(maps, crops=1)] == [4000, 9000, 0, 0]


def layercam(acts, grads):
    """One image's map, ``(C,h,w)`` each, in plain loops."""
    out = np.zeros(acts.shape[1:])
    for k in range(acts.shape[0]):
        for i in range(acts.shape[1]):
            for j in range(acts.shape[2]):
                out[i, j] += max(0.0, float(grads[k, i, j])) * float(acts[k, i, j])
    return np.maximum(out, 0)


def test_records_are_of_the_raw_maps(camx, tmp_path):
    camx("measure", "values", "--protocol", "single", "--set", "gradient=own", "--limit", 2,
         "--layer", "S5", "--layer", "S4")  # fmt: skip
    frame = pd.read_parquet(tmp_path / "results/values/records").set_index(["image_id", "layer"])
    network = networks.load("mini-vgg")
    samples = datasets.load("mini").samples[:2]
    pixels = np.stack([views.squash(read_image(sample.path), 112) for sample in samples])
    images = network.prepare(torch.from_numpy(pixels))
    labels = torch.tensor([sample.label for sample in samples])
    taps = tap(network.module, images, labels, [network.layer(name) for name in ("S5", "S4")])
    for layer, shown in taps.items():
        for at, sample in enumerate(samples):
            grid = layercam(shown.acts[at].numpy(), shown.grads[at].numpy())
            row = frame.loc[(sample.image_id, layer)]
            assert row["mean"] == pytest.approx(1000 * grid.mean(), rel=1e-4)
            assert row["peak"] == pytest.approx(1000 * grid.max(), rel=1e-4)
            assert row["share"] == pytest.approx(100 * grid.mean() / grid.max(), rel=1e-4)


def test_ten_crops_count_together(camx, tmp_path):
    camx("measure", "values", "--limit", 1, "--layer", "S5")
    frame = pd.read_parquet(tmp_path / "results/values/records")
    assert len(frame) == 1
    assert 0 < frame["mean"].item() < frame["peak"].item()


def test_only_single_layers_have_values(camx):
    for words in (["--layer", "S5+S4"], ["--layer", "S2", "--variant", "gamma=2"]):
        assert "values are of single layers" in camx("measure", "values", *words, code=2).stderr
    cells = [Cell.of("layercam", "S5")]
    assert task.cells(cells, None, None) == cells
