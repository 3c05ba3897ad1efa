"""Records of pseudo labels and the numbers they make, against what they are counted from."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from camx.evaluators import confusion, protocols, records
from camx.evaluators.results import measures
from camx.evaluators.tasks import pseudo
from camx.evaluators.tasks.pseudo import labels
from camx.evaluators.types import Cell, Scene

CELL, OTHER = Cell.of("layercam", "S5"), Cell.of("gradcam", "S5")
PROTOCOL = protocols.load("paper", "pseudo", pseudo.Protocol, {"superpixels": "none"})
METRICS = {metric.name: metric for metric in pseudo.METRICS}
COUNTED = [name for name, metric in METRICS.items() if metric.counts]


def scored(scene, maps, truth, classes=4):
    assigned = {cell: labels.assign(m, scene.labels, None) for cell, m in maps.items()}
    return pseudo.score(scene, maps, assigned, truth, classes, PROTOCOL)


@pytest.fixture
def run(tmp_path):
    """Six images of two cells, one without a class and one without a true mask: a run's folder, and
    each image's labels, maps and truth.
    """
    rng, images = np.random.default_rng(0), []
    identity = records.Identity("pseudo", "f00d", 0, protocol=asdict(PROTOCOL))
    records.begin(tmp_path, identity, records.Invocation({}, {"name": "", "root": ""}, "cpu"))
    for number, image_labels in enumerate([(0, 2), (1,), (), (3, 0), (2,), (1, 2)]):
        maps = {
            cell: rng.integers(0, 256, (len(image_labels), 9, 7)).astype(np.uint8)
            for cell in (CELL, OTHER)
        }
        truth = rng.choice([0, *(k + 1 for k in image_labels), 255], (9, 7)).astype(np.uint8)
        images.append((image_labels, maps, None if number == 4 else truth))
        scene = Scene(str(number), Path(f"{number}.jpg"), image_labels)
        # A part each: those without counts must be readable beside the others.
        with records.Writer(tmp_path / "records") as writer:
            writer.add(scored(scene, maps, images[-1][2]))
    return tmp_path, images


@pytest.mark.parametrize("cell", [CELL, OTHER], ids=str)
def test_numbers_are_those_of_the_summed_counts(run, cell):
    folder, images = run
    (frame,) = pseudo.outcomes(folder)
    assert len(frame) == 12
    assert set(frame.columns) == {*records.KEY, *METRICS}
    constant, assigned, hard = np.zeros((5, 5), int), np.zeros((5, 5), int), np.zeros((2, 4), int)
    for image_labels, maps, truth in images:
        if truth is not None:
            constant += labels.argmax_confusion(maps[cell], image_labels, truth, 4)
            hard += labels.hard_counts(maps[cell], image_labels, truth, 4)
            label = labels.assign(maps[cell], image_labels, None)
            assigned += confusion.confusion(truth, label, 5)
    expected = {
        "mIoU": confusion.miou(constant),
        "mIoU-20": 100 * np.mean(hard[0] / hard[1]),
        "mIoU-pseudo": confusion.miou(assigned),
    }
    assert list(expected) == COUNTED
    rows = frame[(frame["method"] == cell.method) & (frame["layer"] == cell.layer)]
    for metric, value in expected.items():
        counts = rows.set_index("image_id")[metric].dropna()
        assert list(counts.index) == ["0", "1", "2", "3", "5"]
        total = np.stack(counts.to_list()).sum(0)
        assert METRICS[metric].counts(total) == pytest.approx(value)


@pytest.mark.parametrize("metric", COUNTED)
def test_counts_give_intervals_and_paired_tests(run, metric):
    task = SimpleNamespace(metrics=METRICS, outcomes=pseudo.outcomes)
    outcomes = measures.outcomes(run[0], task)
    value, low, high, n = measures.numbers(outcomes, task).loc[(*CELL.key, metric)]
    assert low <= value <= high
    assert n == 5
    left, right = (measures.of_cell(outcomes, cell, metric) for cell in (CELL, OTHER))
    test = measures.contrast([left], [right], draws=50, metric=METRICS[metric])
    assert test.difference == pytest.approx(value - measures.value(right, METRICS[metric]))


def test_a_run_without_true_masks_has_no_miou(tmp_path):
    scene = Scene("a", Path("a.jpg"), (0,))
    with records.Writer(tmp_path / "records") as writer:
        writer.add(scored(scene, {CELL: np.zeros((1, 4, 4), np.uint8)}, None))
    (frame,) = pseudo.outcomes(tmp_path)
    assert frame["degenerate"].tolist() == [True]
    assert all(frame[metric].isna().all() for metric in COUNTED)
    assert pseudo.outcomes(tmp_path / "nothing") == []


def test_a_record_is_small_and_says_where_it_fails():
    maps = {CELL: np.random.default_rng(0).integers(0, 256, (2, 300, 400)).astype(np.uint8)}
    truth = np.random.default_rng(1).choice([0, 1, 4, 255], (300, 400)).astype(np.uint8)
    scene = Scene("a", Path("a.jpg"), (0, 3), Path("masks/a.png"))
    (record,) = scored(scene, maps, truth, 20)
    lists = (record.confusion, record.argmax, record.unions, record.intersections)
    assert sum(map(len, lists)) <= 2 * 27 + 4
    assert not record.degenerate
    other = Scene("a", Path("a.jpg"), (0, 1), scene.mask)
    for shown, true, word in (
        (other, truth, "the true mask holds index 4; accepted: 0 to 3, and 255"),
        (scene, truth, "class 3 is none of the data set's; accepted: 0 to 2"),
        (other, truth[:200], "the prediction is 400 x 300, but the true mask is 400 x 200"),
    ):
        with pytest.raises(ValueError, match=rf"^masks/a\.png: {word}"):
            pseudo.score(shown, maps, {CELL: truth % 2}, true, 3, PROTOCOL)
