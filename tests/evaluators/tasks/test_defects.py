"""Records and their numbers against plain loops."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score
from tqdm import tqdm

from camx.camcore import networks
from camx.evaluators import datasets, grids, loop, protocols, records, tasks
from camx.evaluators.results import measures
from camx.evaluators.tasks import defects
from camx.evaluators.tasks.defects import masks, timing
from camx.evaluators.types import Cell, Sample

CELL, BLANK = Cell.of("layercam", "layer3"), Cell.of("gradcam", "layer3")
TASK = tasks.load("defects")
PAPER = protocols.load("paper", "defects", defects.Protocol)


def numbers_of(run):
    return measures.numbers(measures.outcomes(run, TASK), TASK)


def make(network, cells, out, options=None, batch_size=4, workers=1):
    data, options = datasets.load("mini", "defects"), options or defects.Options()
    plan = grids.plan(network, PAPER, cells, batch_size=batch_size, workers=workers)
    chosen = tuple(s for s in data.samples if s.label)
    return loop.Measurement(out, data, chosen, tuple(cells), PAPER, options, 0, plan)


def begin(run, thresholds):
    identity = records.Identity("defects", "d", 0, protocol={"name": "", "thresholds": thresholds})
    records.begin(run, identity, records.Invocation({}, {"name": "d", "root": "d"}, "cpu"))


def test_score_counts_levels_on_the_image():
    grid = np.zeros((8, 8), np.uint8)
    grid[2:5, 2:5] = 200
    defect = np.zeros((16, 24), bool)
    defect[4:10, 6:15] = True
    sample = Sample("a", Path("a"), 1, split="test")
    maps = {CELL: grid, BLANK: np.zeros_like(grid)}
    found, blank = defects.score(sample, defect, maps, 0.75, PAPER)
    assert sum(found.inside) == defect.sum()
    assert sum(found.inside) + sum(found.outside) == defect.size
    about = found.height, found.width, found.score, found.split, len(found.masks)
    assert about == (16, 24, 0.75, "test", 99)
    shown = masks.decode(found.masks[49], 16, 24).sum()
    assert shown == sum(found.inside[128:]) + sum(found.outside[128:])
    assert blank.degenerate
    assert not found.degenerate


@pytest.fixture
def run(tmp_path):
    """Four test and two training images, two cells, random maps: a run folder, and the maps and
    truths.
    """
    rng, made = np.random.default_rng(0), {}
    protocol = protocols.load("paper", "defects", defects.Protocol, {"thresholds": "19"})
    begin(tmp_path, 19)
    with records.Writer(tmp_path / "records") as writer:
        for i in range(6):
            defect = rng.random((12, 12)) < 0.2
            defect[0, 0] = True
            grids = {
                cell: (rng.integers(0, 200, (12, 12)) + 55 * defect).astype(np.uint8)
                for cell in (CELL, BLANK)
            }
            split = "test" if i < 4 else "train"
            made[str(i)] = (defect, grids, split)
            sample = Sample(str(i), Path("x"), 1, split=split)
            writer.add(defects.score(sample, defect, grids, 0.4 + 0.1 * i, protocol))
    return tmp_path, made


def test_numbers_against_loops(run):
    folder, made = run
    numbers = numbers_of(folder)
    thresholds = np.arange(1, 20) / 20
    for cell in (CELL, BLANK):
        found = {}
        for split in ("test", "train"):
            images = [(d, g[cell]) for d, g, s in made.values() if s == split]
            found[split] = [
                np.mean([((m > 255 * t) & d).sum() / ((m > 255 * t) | d).sum() for d, m in images])
                for t in thresholds
            ]
        tests = [(d, g[cell]) for d, g, s in made.values() if s == "test"]
        for suffix, split in (("", "test"), ("-train", "train")):
            at = int(np.argmax(found[split]))
            assert numbers.loc[(*cell.key, f"mIoU{suffix}"), "value"] == pytest.approx(
                100 * found["test"][at]
            )
            both = sum(((m > 255 * thresholds[at]) & d).sum() for d, m in tests)
            either = sum(((m > 255 * thresholds[at]) | d).sum() for d, m in tests)
            assert numbers.loc[(*cell.key, f"set IoU{suffix}"), "value"] == pytest.approx(
                100 * both / either
            )
            assert numbers.loc[(*cell.key, f"threshold{suffix}"), "value"] == pytest.approx(
                100 * thresholds[at]
            )
        pooled = average_precision_score(
            np.concatenate([d.ravel() for d, _ in tests]),
            np.concatenate([m.ravel() for _, m in tests]),
        )
        assert numbers.loc[(*cell.key, "AP"), "value"] == pytest.approx(100 * pooled)
        assert numbers.loc[(*cell.key, "recognised"), "value"] == 50  # 0.4, 0.5, 0.6, 0.7
        assert numbers.loc[(*cell.key, "mIoU"), "n"] == 4
        low, high = numbers.loc[(*cell.key, "set IoU"), ["low", "high"]]
        assert low <= numbers.loc[(*cell.key, "set IoU"), "value"] <= high


def test_any_mask_can_be_redrawn(run):
    folder, made = run
    for row in records.read(folder).itertuples():
        heatmap = made[row.image_id][1][Cell.of(row.method, row.layer)]
        for code, threshold in zip(row.masks, np.arange(1, 20) / 20):
            assert np.array_equal(
                masks.decode(code, row.height, row.width), heatmap > round(255 * threshold, 9)
            )


def test_set_metrics_are_compared_by_the_bootstrap(run):
    folder, _ = run
    found, metric = measures.outcomes(folder, TASK), TASK.metric("set IoU")
    left, right = (measures.of_cell(found, cell, "set IoU") for cell in (CELL, BLANK))
    test = measures.contrast([left], [right], metric=metric)
    values = [measures.value(series, metric) for series in (left, right)]
    assert test.difference == pytest.approx(values[0] - values[1])
    assert measures.contrast([left], [left], metric=metric).p_value == 1
    with pytest.raises(ValueError, match="one cell with one other"):
        measures.contrast([left, left], [right, right], metric=metric)


def test_without_training_images_there_is_no_train_column(run):
    folder, _ = run
    frame = records.read(folder)
    only = folder / "only"
    begin(only, 19)
    (only / "records").mkdir()
    frame[frame["split"] == "test"].to_parquet(only / "records/part.parquet")
    found = measures.outcomes(only, TASK)
    assert not [
        c for frames in found.values() for frame in frames for c in frame if c.endswith("-train")
    ]
    assert set(found) == {CELL, BLANK}


def test_fps_is_images_over_seconds(tmp_path):
    taken = [(1, 0.1), (1, 0.3), (8, 0.5), (8, 0.3)]
    rows = [timing.Timing("a", "layer3", "", i, *of, "cpu") for i, of in enumerate(taken)]
    timing.save(tmp_path, rows)
    numbers = numbers_of(tmp_path)
    assert numbers.loc[("a", "layer3", "", "FPS"), "value"] == pytest.approx(2 / 0.4)
    assert numbers.loc[("a", "layer3", "", "throughput"), "value"] == pytest.approx(16 / 0.8)


@pytest.fixture(scope="module")
def network():
    return networks.load("mini-defects")


def test_cells_take_turns_and_are_timed_once(network, monkeypatch, tmp_path):
    job = make(network, [CELL, BLANK], tmp_path)
    asked, forward = [], network.module.forward
    monkeypatch.setattr(
        network.module, "forward", lambda images: asked.append(len(images)) or forward(images)
    )
    decoded = loop.decode(job.samples[0], (job.plan.view.grid,))
    found = timing.measure(job.plan, job.cells, loop.stacked([decoded])[0], 3)
    assert asked == [1] * 2 * (3 + timing.WARM_UP) + [4] * 2 * (2 + 3)
    assert [(t.method, t.images) for t in found[:4]] == [("layercam", 1), ("gradcam", 1)] * 2
    assert all(t.seconds > 0 for t in found)
    timing.save(tmp_path, found)
    assert set(timing.timed(tmp_path, "cpu", 3, 4)) == {CELL, BLANK}
    for changed in (("cuda", 3, 4), ("cpu", 4, 4), ("cpu", 3, 5)):
        assert timing.timed(tmp_path, *changed) == []
    # Timed again, a cell's are replaced, not doubled.
    timing.save(tmp_path, [t for t in found if t.method == "gradcam"])
    assert len(pd.read_parquet(tmp_path / "timing.parquet")) == len(found)


def test_a_clocked_cell_is_not_clocked_again(network, tmp_path):
    options, bars = defects.Options(iterations=1), []

    def progress(total, done, unit):
        bars.append(total)
        return tqdm(total=total, disable=True)

    for cells, expected in (([CELL], 1), ([CELL, BLANK], 2), ([CELL, BLANK], 2)):
        timing.clock(make(network, cells, tmp_path, options, batch_size=1), progress)
        frame = pd.read_parquet(tmp_path / "timing.parquet")
        assert len(frame) == len(frame.groupby(["method", "images"])) == expected
    assert len(bars) == 2


@pytest.mark.usefixtures("two_threads")
def test_neighbours_and_workers_change_no_record(network, tmp_path):
    cells = [
        CELL,
        Cell.of("layercam", "layer4+layer3"),
        Cell.of("layercam", "layer3[-2]"),
        Cell.of("layercam", "layer3+layer2", "gamma=2"),
    ]

    def measured(name, samples, workers):
        job = make(network, cells, tmp_path / name, workers=workers)
        missing = {s.image_id: set(cells) for s in samples}
        with records.Writer(job.out / "records") as writer:
            loop.measure(job, defects.grade, samples, missing, writer, lambda: None)
        return records.read(job.out)

    chosen = make(network, cells, tmp_path).samples[:7]
    whole, back = measured("whole", chosen, 2), measured("back", chosen[::-1], 1)
    pd.testing.assert_frame_equal(whole, back)
    assert len(whole) == 7 * 4


def test_a_fusion_is_the_maximum_of_the_normalised_maps(network, tmp_path):
    cells = [Cell.of("layercam", layer) for layer in ("layer4", "layer3", "layer4+layer3")]
    job = make(network, cells, tmp_path)
    decoded = [loop.decode(s, (job.plan.view.grid,)) for s in job.samples[:2]]
    maps, _ = grids.grids(job.plan, loop.stacked(decoded), torch.tensor([1, 1]), cells, 2)
    expected = torch.maximum(maps[cells[0]], maps[cells[1]])
    assert torch.allclose(maps[cells[2]], expected, atol=1e-6)


def test_the_parts_that_are_measured():
    data = datasets.load("mini", "defects")
    (test,) = defects.parts(data, defects.Options())
    assert {(s.split, s.label) for s in test} == {("test", 1)}
    both = defects.parts(data, defects.Options(threshold_split="train"))
    assert both[0] == test
    assert {(s.split, s.label) for s in both[1]} == {("train", 1)}
    good = dataclasses.replace(data, samples=tuple(s for s in data.samples if not s.label))
    with pytest.raises(ValueError, match="no defective test image with a mask"):
        defects.parts(good, defects.Options())


@pytest.mark.parametrize(("shares", "told"), [((95.0, 85.0), True), ((90.0, 89.8), False)])
def test_a_threshold_that_marks_nearly_everything_is_said(monkeypatch, shares, told):
    """From a mean of 90 % of the image on; of the cell that does, and of no other."""
    cells = Cell.of("layercam", "layer3"), Cell.of("gradcam", "layer3")
    rows = [(*cell.key, share) for cell in cells for share in shares]
    frame = pd.DataFrame(rows, columns=[*records.CELL, "marked"])
    frame.loc[frame["method"] == "gradcam", "marked"] = 10.0
    monkeypatch.setattr(defects, "outcomes", lambda run: [frame])
    lines = defects.marking(SimpleNamespace(out=Path("run"), cells=cells))
    said = "layercam layer3: its best threshold marks 90 % of the image: no better than marking"
    assert [line.rpartition(" ")[0] for line in lines] == ([said] if told else [])
