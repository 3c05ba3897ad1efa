"""Records and their numbers against plain loops."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score

from camcore import networks
from evaluators import datasets, defects, masks, measures, protocols, records, runs, timing
from evaluators.types import Cell, Sample

CELL, BLANK = Cell("layercam", "layer3"), Cell("gradcam", "layer3")


def test_score_counts_levels_on_the_image():
    grid = np.zeros((8, 8), np.uint8)
    grid[2:5, 2:5] = 200
    defect = np.zeros((16, 24), bool)
    defect[4:10, 6:15] = True
    protocol = protocols.load("paper", command="defects")
    found, blank = defects.score(Sample("a", Path("a"), 1, split="test"), defect, {CELL: grid, BLANK: np.zeros_like(grid)}, 0.75, protocol)
    assert sum(found.inside) == defect.sum()
    assert sum(found.inside) + sum(found.outside) == defect.size
    assert (found.height, found.width, found.score, found.split, len(found.masks)) == (16, 24, 0.75, "test", 99)
    assert masks.decode(found.masks[49], 16, 24).sum() == sum(found.inside[128:]) + sum(found.outside[128:])
    assert blank.degenerate
    assert not found.degenerate


@pytest.fixture
def run(tmp_path):
    """Four test and two training images, two cells, random maps: a run folder, and the maps and truths."""
    rng, made = np.random.default_rng(0), {}
    protocol = protocols.load("paper", {"thresholds": "19"}, "defects")
    identity = {"command": "defects", "protocol": records.plain(protocol), "data": {"fingerprint": "d"}}
    records.begin(tmp_path, identity, {"start": "2026", "dataset": {"name": "d", "root": "d"}})
    with records.Writer(tmp_path / "records") as writer:
        for i in range(6):
            defect = rng.random((12, 12)) < 0.2
            defect[0, 0] = True
            grids = {cell: (rng.integers(0, 200, (12, 12)) + 55 * defect).astype(np.uint8) for cell in (CELL, BLANK)}
            split = "test" if i < 4 else "train"
            made[str(i)] = (defect, grids, split)
            writer.add(defects.score(Sample(str(i), Path("x"), 1, split=split), defect, grids, 0.4 + 0.1 * i, protocol))
    return tmp_path, made


def test_numbers_against_loops(run):
    folder, made = run
    numbers = measures.numbers(measures.outcomes(folder, "defects"), "defects")
    thresholds = np.arange(1, 20) / 20
    for cell in (CELL, BLANK):
        found = {}
        for split in ("test", "train"):
            images = [(d, g[cell]) for d, g, s in made.values() if s == split]
            found[split] = [np.mean([((m > 255 * t) & d).sum() / ((m > 255 * t) | d).sum() for d, m in images]) for t in thresholds]
        tests = [(d, g[cell]) for d, g, s in made.values() if s == "test"]
        for suffix, split in (("", "test"), ("-train", "train")):
            at = int(np.argmax(found[split]))
            assert numbers.loc[(*cell, f"mIoU{suffix}"), "value"] == pytest.approx(100 * found["test"][at])
            both = sum(((m > 255 * thresholds[at]) & d).sum() for d, m in tests)
            either = sum(((m > 255 * thresholds[at]) | d).sum() for d, m in tests)
            assert numbers.loc[(*cell, f"set IoU{suffix}"), "value"] == pytest.approx(100 * both / either)
            assert numbers.loc[(*cell, f"threshold{suffix}"), "value"] == pytest.approx(100 * thresholds[at])
        pooled = average_precision_score(np.concatenate([d.ravel() for d, _ in tests]), np.concatenate([m.ravel() for _, m in tests]))
        assert numbers.loc[(*cell, "AP"), "value"] == pytest.approx(100 * pooled)
        assert numbers.loc[(*cell, "recognised"), "value"] == 50  # 0.4, 0.5, 0.6, 0.7
        assert numbers.loc[(*cell, "mIoU"), "n"] == 4
        low, high = numbers.loc[(*cell, "set IoU"), ["low", "high"]]
        assert low <= numbers.loc[(*cell, "set IoU"), "value"] <= high


def test_any_mask_can_be_redrawn(run):
    folder, made = run
    for row in records.read(folder).itertuples():
        heatmap = made[row.image_id][1][Cell(row.method, row.layer)]
        for code, threshold in zip(row.masks, np.arange(1, 20) / 20):
            assert np.array_equal(masks.decode(code, row.height, row.width), heatmap > round(255 * threshold, 9))


def test_set_metrics_are_compared_by_the_bootstrap(run):
    folder, _ = run
    found = measures.outcomes(folder, "defects")
    left, right = (measures.of_cell(found, cell, "set IoU") for cell in (CELL, BLANK))
    means = measures.statistic("defects", "set IoU")
    test = measures.contrast([left], [right], statistic=means)
    assert test.difference == pytest.approx(measures.value(left, "defects", "set IoU") - measures.value(right, "defects", "set IoU"))
    assert measures.contrast([left], [left], statistic=means).p_value == 1
    with pytest.raises(ValueError, match="one cell with one other"):
        measures.contrast([left, left], [right, right], statistic=means)


def test_without_training_images_there_is_no_train_column(run):
    folder, _ = run
    frame = records.read(folder)
    only = folder / "only"
    records.begin(only, {"command": "defects", "protocol": {"thresholds": 19}}, {"start": "2026"})
    (only / "records").mkdir()
    frame[frame["split"] == "test"].to_parquet(only / "records/part.parquet")
    found = measures.outcomes(only, "defects")
    assert not [c for frames in found.values() for frame in frames for c in frame if c.endswith("-train")]
    assert set(found) == {CELL, BLANK}


def test_fps_is_images_over_seconds(tmp_path):
    rows = [{"method": "a", "layer": "layer3", "variant": "", "iteration": i, "images": n, "seconds": s, "device": "cpu"}
            for i, (n, s) in enumerate([(1, 0.1), (1, 0.3), (8, 0.5), (8, 0.3)])]  # fmt: skip
    pd.DataFrame(rows).to_parquet(tmp_path / "timing.parquet")
    numbers = measures.numbers(measures.outcomes(tmp_path, "defects"), "defects")
    assert numbers.loc[("a", "layer3", "", "FPS"), "value"] == pytest.approx(2 / 0.4)
    assert numbers.loc[("a", "layer3", "", "throughput"), "value"] == pytest.approx(16 / 0.8)


def test_cells_take_turns_and_are_timed_once(tmp_path):
    network = networks.load("mini-defects")
    plan = runs.plan(network, protocols.load("paper", command="defects"), [CELL, BLANK], batch_size=4)
    image = torch.from_numpy(runs.decode(plan, datasets.load("mini", "defects").samples[0]).squashed)
    asked = []
    network.module.register_forward_hook(lambda _m, inputs, _o: asked.append(len(inputs[0])))
    found = timing.measure(plan, plan.cells, image, 3)
    assert asked == [1] * 2 * (3 + timing.WARM_UP) + [4] * 2 * (2 + timing.BATCHES)
    assert [(t.method, t.images) for t in found[:4]] == [("layercam", 1), ("gradcam", 1)] * 2
    assert all(t.seconds > 0 for t in found)
    timing.save(tmp_path, found)
    assert set(timing.held(tmp_path, "cpu", 3, 4)) == {CELL, BLANK}
    assert timing.held(tmp_path, "cuda", 3, 4) == timing.held(tmp_path, "cpu", 4, 4) == timing.held(tmp_path, "cpu", 3, 5) == []
    timing.save(tmp_path, [t for t in found if t.method == "gradcam"])  # again: replaced, not doubled
    assert len(pd.read_parquet(tmp_path / "timing.parquet")) == len(found)


def test_neighbours_and_workers_change_no_record(tmp_path):
    network = networks.load("mini-defects")
    protocol = protocols.load("paper", command="defects")
    cells = [CELL, Cell("layercam", "layer4+layer3"), Cell("layercam", "layer3[-2]"), Cell("layercam", "layer3+layer2", "gamma=2")]
    chosen = [s for s in datasets.load("mini", "defects").samples if s.label][:7]

    def measured(name, samples, workers):
        plan = runs.plan(network, protocol, cells, batch_size=4, workers=workers)
        with records.Writer(tmp_path / name / "records") as writer:
            runs.measure(plan, runs.inspector(protocol), samples, {s.image_id: set(cells) for s in samples}, writer, lambda: None)
        return records.read(tmp_path / name)

    whole, back = measured("whole", chosen, 2), measured("back", chosen[::-1], 1)
    pd.testing.assert_frame_equal(whole, back)
    assert len(whole) == 7 * 4


def test_a_fusion_is_the_maximum_of_the_normalised_maps():
    network = networks.load("mini-defects")
    cells = [Cell("layercam", "layer4"), Cell("layercam", "layer3"), Cell("layercam", "layer4+layer3")]
    plan = runs.plan(network, protocols.load("paper", command="defects"), cells)
    chosen = [s for s in datasets.load("mini", "defects").samples if s.label][:2]
    images = torch.from_numpy(np.stack([runs.decode(plan, s).squashed for s in chosen]))
    grids, _ = runs.grids(plan, images, torch.tensor([1, 1]), cells, 2)
    expected = torch.maximum(grids[cells[0]], grids[cells[1]])
    assert torch.allclose(grids[cells[2]], expected, atol=1e-6)
