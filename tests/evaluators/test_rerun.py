"""A recorded run's network, protocol and data, loaded again."""

import shutil

import numpy as np
import pytest
import torch

from camx.evaluators import datasets, grids, heatmaps, loop, records, rerun
from camx.evaluators.miniature import ilsvrc
from camx.evaluators.tasks import localize
from camx.evaluators.types import Cell

S4 = Cell("layercam", ("S4",))


@pytest.fixture
def run(camx, tmp_path):
    """Two images of the miniature measured in one view, with another threshold."""
    words = "--protocol single --set threshold=0.3 --limit 2 --method layercam --layer S4"
    camx("localize", *words.split(), "--out", tmp_path / "run", "--no-summary")
    return records.load(tmp_path / "run")


def test_maps_give_the_boxes_that_were_recorded(run):
    plan, data = rerun.plan(run, [S4]), rerun.dataset(run)
    assert plan.protocol.threshold == 0.3
    assert records.plain(plan.protocol) == run.protocol
    frame = records.read(run.folder).set_index(records.KEY)
    for sample in data.samples[:2]:
        picture = loop.decode(sample, (plan.view.grid,))
        maps, _ = grids.image_maps(plan, loop.stacked([picture]), torch.tensor([sample.label]))
        heatmap = heatmaps.on_image(maps[S4][0], picture.size, plan.protocol.interpolation)
        box = localize.boxes.box(heatmaps.foreground(heatmap, 0.3), plan.protocol.box)
        row = frame.loc[(sample.image_id, *S4.key)]
        assert np.abs(np.subtract(box, [row[end] for end in ("x0", "y0", "x1", "y1")])).max() <= 1


def test_other_weights_are_refused(run):
    mine = type(run)(run.folder, {**run.identity, "weights_sha256": "0" * 64}, run.invocations)
    with pytest.raises(ValueError, match="not the weights"):
        rerun.plan(mine, [S4])
    assert rerun.plan(run, [S4]).network.name == "mini-vgg"


def test_other_data_are_refused(camx, tmp_path):
    ilsvrc.write(tmp_path / "data", images=3)
    words = "--model mini-vgg --protocol single --limit 1 --method layercam --layer S5"
    camx("localize", "--data", "data", *words.split(), "--out", "run", "--no-summary")
    run = records.load(tmp_path / "run")
    assert rerun.dataset(run).fingerprint == datasets.load("data").fingerprint
    picture = sorted(tmp_path.glob("data/**/*.JPEG"))[0]
    picture.unlink()
    with pytest.raises(ValueError, match="not the data"):
        rerun.dataset(run)
    shutil.rmtree(tmp_path / "data")
    with pytest.raises((ValueError, FileNotFoundError)):
        rerun.dataset(run)


def test_a_method_of_a_user_s_is_found_again(camx, tmp_path):
    (tmp_path / "mine.py").write_text(
        'TITLE = "Mine"\nSOURCE = "here"\n\n\ndef cam(tap):\n    return tap.acts.sum(1)\n'
    )
    words = "--protocol single --limit 1 --method mine.py --layer S5 --out run --no-summary"
    camx("localize", *words.split())
    plan = rerun.plan(records.load(tmp_path / "run"), [Cell("mine", ("S5",))])
    assert set(plan.cams) == {"mine"}
