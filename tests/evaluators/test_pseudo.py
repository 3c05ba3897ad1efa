"""Pseudo labels, Table XIII's two forms, records and seeds: each against a hand-made example or plain loops."""

import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import confusion, measures, pseudo, records
from evaluators.types import Cell, PseudoProtocol, Scene

CELL, OTHER = Cell("layercam", "S5"), Cell("gradcam", "S5")
PROTOCOL = PseudoProtocol(
    name="paper", view="resize", preprocessing="model", gradient="next", normalisation="max", interpolation="linear",
    threshold=0.3, hard_threshold=0.2, superpixels="none", segments=300, compactness=10.0,
)  # fmt: skip
SEEDS = st.integers(0, 2**32 - 1)

# Four superpixels of a 4 x 4 image: two quarters above, a row and the row below it.
QUARTERS = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]])
# The map of class 4: means 0.75, 0.25, 0.3, 0.1.
FOUR = np.array([[1.0, 1.0, 0.5, 0.0], [0.5, 0.5, 0.5, 0.0], [0.6, 0.6, 0.0, 0.0], [0.4, 0.0, 0.0, 0.0]])
# The map of class 11: means 0.25, 0.5, 0.2, 0.1; it alone has the image's highest value outside the first quarter.
ELEVEN = np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.8], [0.0, 0.0, 0.0, 0.4]])
# So class 4 (index 5) takes the first quarter and, with exactly 0.3, the row; class 11 (index 12) the second quarter.
# The last row's best is 0.1 and background.
TAKEN = np.array([[5, 5, 12, 12], [5, 5, 12, 12], [5, 5, 5, 5], [0, 0, 0, 0]])


def test_a_four_by_four_example_by_hand():
    found = pseudo.assign(np.stack([FOUR, ELEVEN]), [4, 11], QUARTERS)
    assert found.dtype == np.uint8
    assert np.array_equal(found, TAKEN)
    per_pixel = pseudo.assign(np.stack([FOUR, ELEVEN]), [4, 11], None)
    assert per_pixel.tolist() == [[5, 5, 12, 12], [5, 12, 5, 0], [5, 5, 0, 12], [5, 0, 0, 12]]


def test_ties_and_edges():
    maps = np.full((2, 4, 4), 0.5)
    assert np.all(pseudo.assign(maps, [7, 3], QUARTERS) == 8)  # equal: the first
    assert np.all(pseudo.assign(maps, [3, 7], None) == 4)
    assert np.all(pseudo.assign(maps, [3, 7], QUARTERS, threshold=0.6) == 0)  # all below
    assert np.all(pseudo.assign(np.stack([FOUR, ELEVEN]), [4, 11], np.zeros((4, 4), int)) == 5)  # one superpixel: 0.35 and 0.2625
    for superpixels in (QUARTERS, None):
        assert np.array_equal(pseudo.assign(np.zeros((0, 4, 4), np.uint8), [], superpixels), np.zeros((4, 4)))  # no label
    gaps = pseudo.assign(np.stack([FOUR, ELEVEN]), [4, 11], 3 * QUARTERS + 2)  # numbers that no pixel has
    assert np.array_equal(gaps, TAKEN)


def test_a_mean_at_the_threshold_of_a_uint8_map_is_not_below_it():
    """76.5 of 255 is 0.3, whatever order it is summed in; 76 of 255 is below."""
    maps = np.array([[[76, 77], [76, 76]]], np.uint8)
    assert pseudo.assign(maps, [0], np.array([[0, 0], [1, 1]])).tolist() == [[1, 1], [0, 0]]


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 4), st.booleans(), st.booleans())
def test_eq_10_against_loops(seed, classes, whole, regions):
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, 256, (classes, 6, 5)).astype(np.uint8) if whole else rng.random((classes, 6, 5))
    labels = rng.choice(20, classes, replace=False).tolist()
    superpixels = rng.integers(0, 6, (6, 5)) if regions else None
    found = pseudo.assign(maps, labels, superpixels, 0.45)
    for y in range(6):
        for x in range(5):
            inside = [(v, u) for v in range(6) for u in range(5) if superpixels is not None and superpixels[v, u] == superpixels[y, x]]
            inside = inside or [(y, x)]
            best, name = -1.0, 0
            for grid, label in zip(maps, labels):
                mean = sum(float(grid[p]) for p in inside) / len(inside) / (255 if whole else 1)
                if mean > best:
                    best, name = mean, label + 1
            assert found[y, x] == (0 if best < 0.45 else name)


# Table XIII by hand: class 0 above 0.2 in three pixels, class 2 in two, one of them the same; truth 255 does not count.
MAPS = np.array([[[0.9, 0.3], [0.2, 0.21]], [[0.0, 0.5], [0.0, 0.9]]])
TRUTH = np.array([[1, 3], [1, 255]], np.uint8)


def test_table_xiii_by_hand():
    # Class 0: marked (0,0) and (0,1), the latter wrongly, (1,1) not counted; (1,0) is at 0.2, not above, and missed: 1 of 3.
    # Class 2: marked (0,1), right: 1 of 1. Class 1 is none of the image's.
    assert pseudo.hard_counts(MAPS, [0, 2], TRUTH, 3).tolist() == [[1, 0, 1], [3, 0, 1]]
    # As classes: class 0, class 2, background; the last pixel does not count.
    matrix = pseudo.argmax_confusion(MAPS, [0, 2], TRUTH, 3)
    assert sorted(zip(*(side.tolist() for side in np.nonzero(matrix)))) == [(1, 0), (1, 1), (3, 3)]
    assert matrix.sum() == 3
    assert pseudo.argmax_confusion(np.zeros((0, 2, 2)), [], TRUTH, 3)[:, 0].tolist() == [0, 2, 0, 1]


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(0, 3), st.booleans())
def test_table_xiii_against_loops(seed, count, whole):
    rng = np.random.default_rng(seed)
    maps = rng.integers(40, 62, (count, 5, 4)).astype(np.uint8) if whole else rng.random((count, 5, 4)) / 2
    labels = rng.choice(4, count, replace=False).tolist()
    truth = rng.choice([0, 1, 2, 3, 4, 255], (5, 4)).astype(np.uint8)
    counts, matrix = np.zeros((2, 4), int), np.zeros((5, 5), int)
    for y in range(5):
        for x in range(4):
            if truth[y, x] == 255:
                continue
            values = {k: float(m[y, x]) / (255 if whole else 1) for m, k in zip(maps, labels)}
            for k, value in values.items():
                counts[0, k] += value > 0.2 and truth[y, x] == k + 1
                counts[1, k] += value > 0.2 or truth[y, x] == k + 1
            best = max(values, key=values.__getitem__, default=None)
            matrix[truth[y, x], 0 if best is None or values[best] <= 0.2 else best + 1] += 1
    assert np.array_equal(pseudo.hard_counts(maps, labels, truth, 4), counts)
    assert np.array_equal(pseudo.argmax_confusion(maps, labels, truth, 4), matrix)


@pytest.mark.parametrize(
    ("maps", "labels", "superpixels", "message"),
    [
        (FOUR[None], [1, 2], QUARTERS, r"2 classes need maps \(2,H,W\), one each, not \(1, 4, 4\)"),
        (2 * FOUR[None], [1], QUARTERS, r"maps hold 0 to 2; accepted: 0 to 1, or uint8"),
        (FOUR[None] * np.nan, [1], QUARTERS, r"maps hold nan to nan"),
        (FOUR[None], [1], QUARTERS[:2], r"superpixels must be \(4,4\) whole numbers from 0, not \(2, 4\) of int64"),
        (FOUR[None], [1], QUARTERS - 1, r"superpixels must be \(4,4\) whole numbers from 0"),
        (FOUR[None], [1], QUARTERS + 0.5, r"not \(4, 4\) of float64"),
    ],
    ids=["count", "range", "nan", "size", "negative", "float"],
)
def test_what_cannot_be_assigned(maps, labels, superpixels, message):
    with pytest.raises(ValueError, match=message):
        pseudo.assign(maps, labels, superpixels)


def test_maps_on_the_image():
    grids = np.random.default_rng(0).integers(0, 256, (2, 8, 8)).astype(np.uint8)
    assert pseudo.on_image(grids, (12, 6)).shape == (2, 6, 12)
    assert np.array_equal(pseudo.on_image(grids, (8, 8)), grids)
    assert pseudo.on_image(grids[:0], (12, 6)).shape == (0, 6, 12)


def scored(scene, maps, truth, classes=4):
    labelled = {cell: pseudo.assign(m, scene.labels, None) for cell, m in maps.items()}
    return pseudo.score(scene, maps, labelled, truth, classes, PROTOCOL)


@pytest.fixture
def run(tmp_path):
    """Six images of two cells: one has no class, one no true mask; a run folder, and the (labels, maps, truth)."""
    rng, made = np.random.default_rng(0), []
    records.begin(tmp_path, {"command": "pseudo", "protocol": records.plain(PROTOCOL)}, {"start": "2026"})
    for i, labels in enumerate([(0, 2), (1,), (), (3, 0), (2,), (1, 2)]):
        maps = {cell: rng.integers(0, 256, (len(labels), 9, 7)).astype(np.uint8) for cell in (CELL, OTHER)}
        truth = rng.choice([0, *(k + 1 for k in labels), 255], (9, 7)).astype(np.uint8) if i != 4 else None
        made.append((labels, maps, truth))
        with records.Writer(tmp_path / "records") as writer:  # a part each: those without counts must be readable beside the others
            writer.add(scored(Scene(str(i), Path(f"{i}.jpg"), labels), maps, truth))
    return tmp_path, made


def test_numbers_are_those_of_the_summed_counts(run):
    folder, made = run
    (found,) = pseudo.outcomes(folder)
    assert len(found) == 12
    for cell in (CELL, OTHER):
        constant, labelled, own = np.zeros((5, 5), int), np.zeros((5, 5), int), np.zeros((2, 4), int)
        for labels, maps, truth in made:
            if truth is not None:
                constant += pseudo.argmax_confusion(maps[cell], labels, truth, 4)
                own += pseudo.hard_counts(maps[cell], labels, truth, 4)
                labelled += confusion.confusion(truth, pseudo.assign(maps[cell], labels, None), 5)
        expected = {"mIoU": confusion.miou(constant), "mIoU-20": 100 * np.mean(own[0] / own[1]), "mIoU-pseudo": confusion.miou(labelled)}
        for metric, value in expected.items():
            counts = found[(found["method"] == cell.method) & (found["layer"] == cell.layer)].set_index("image_id")[metric].dropna()
            assert list(counts.index) == ["0", "1", "2", "3", "5"]
            assert pseudo.STATISTICS[metric](np.stack(counts.to_list()).sum(0)) == pytest.approx(value)
    assert set(found.columns) == {*records.KEY, *pseudo.METRICS}


def test_counts_give_intervals_and_paired_tests(run, monkeypatch):
    monkeypatch.setitem(measures.EVALUATORS, "pseudo", pseudo)
    found = measures.outcomes(run[0], "pseudo")
    numbers = measures.numbers(found, "pseudo")
    for metric in pseudo.STATISTICS:
        value, low, high, n = numbers.loc[(*CELL, metric)]
        assert low <= value <= high
        assert n == 5
        left, right = (measures.of_cell(found, cell, metric) for cell in (CELL, OTHER))
        test = measures.contrast([left], [right], draws=50, statistic=measures.statistic("pseudo", metric))
        assert test.difference == pytest.approx(value - measures.value(right, "pseudo", metric))


def test_a_run_without_true_masks_has_no_miou(tmp_path):
    scene = Scene("a", Path("a.jpg"), (0,))
    with records.Writer(tmp_path / "records") as writer:
        writer.add(scored(scene, {CELL: np.zeros((1, 4, 4), np.uint8)}, None))
    (found,) = pseudo.outcomes(tmp_path)
    assert found["degenerate"].tolist() == [True]
    assert all(found[metric].isna().all() for metric in pseudo.STATISTICS)
    assert pseudo.outcomes(tmp_path / "nothing") == []


def test_a_record_is_small_and_says_where_it_fails():
    maps = {CELL: np.random.default_rng(0).integers(0, 256, (2, 300, 400)).astype(np.uint8)}
    truth = np.random.default_rng(1).choice([0, 1, 4, 255], (300, 400)).astype(np.uint8)
    scene = Scene("a", Path("a.jpg"), (0, 3), Path("masks/a.png"))
    (found,) = scored(scene, maps, truth, 20)
    assert len(found.confusion) + len(found.argmax) + len(found.unions) + len(found.intersections) <= 2 * 27 + 4
    assert not found.degenerate
    with pytest.raises(ValueError, match=r"^masks/a\.png: the true mask holds index 4; accepted: 0 to 3, and 255"):
        pseudo.score(Scene("a", Path("a.jpg"), (0, 1), scene.mask), maps, {CELL: truth % 2}, truth, 3, PROTOCOL)
    with pytest.raises(ValueError, match=r"^masks/a\.png: class 3 is none of the data set's; accepted: 0 to 2"):
        pseudo.score(scene, maps, {CELL: truth % 2}, truth, 3, PROTOCOL)
    with pytest.raises(ValueError, match=r"^masks/a\.png: the prediction is 400 x 300, but the true mask is 400 x 200"):
        scored(scene, maps, truth[:200], 20)


def test_seeds_on_a_small_grid_by_hand():
    # Class 0 exceeds 0.2 of its maximum in the upper half, class 3 in the left column; where both do, class 3 has fewer.
    first = np.array([[0.8, 0.8, 0.8], [0.8, 0.8, 0.8], [0.16, 0.0, 0.0], [0.1, 0.03, 0.05]])
    second = np.array([[1.0, 0.0, 0.0], [0.9, 0.0, 0.0], [0.3, 0.0, 0.2], [0.0, 0.0, 0.0]])
    square = [np.pad(m, ((0, 0), (0, 1))) for m in (first, second)]
    found = pseudo.cues(np.stack(square), [0, 3], 4)
    assert found.dtype == np.int64
    drawn = np.full((4, 4), -1)
    drawn[found[1], found[2]] = found[0]
    assert found.shape[1] == (drawn >= 0).sum()  # a cell once
    # Neither certain nor quiet: (2,2) at exactly 0.2 of class 3, and (3,0) and (3,2) above 0.05 of class 0.
    assert drawn.tolist() == [[4, 1, 1, 0], [4, 1, 1, 0], [4, 0, -1, 0], [-1, 0, -1, 0]]


def test_seeds_of_large_maps_cover_the_whole_image():
    grid = np.zeros((256, 256), np.uint8)
    grid[:128] = 255
    index, y, _ = pseudo.cues(grid[None], [19])
    assert set(index) == {0, 20}
    assert (y[index == 20].max(), y[index == 0].min(), y.max()) == (20, 21, 40)
    assert (pseudo.cues(np.zeros((0, 9, 9)), [], 5)[0] == 0).sum() == 25  # no class: all background
    assert pseudo.cues(np.zeros((1, 9, 9)), [2], 5).shape == (3, 0)  # an empty map tells nothing


def test_the_seed_pickle_is_read_as_dgcn_reads_it(tmp_path):
    (tmp_path / "input_list.txt").write_text("2008_007028.jpg 0\n2009_000233.jpg 1\nlate.jpg 2\n")
    numbers = pseudo.input_list(tmp_path / "input_list.txt")
    found = {"2009_000233": pseudo.cues(np.stack([FOUR, ELEVEN]), [4, 11]), "2008_007028": np.zeros((3, 0), int)}
    path = tmp_path / "new" / "cues.pickle"
    missing = pseudo.export_cues(path, numbers, ((i, (4, 11), c) for i, c in found.items()))
    assert missing == ["late"]
    with path.open("rb") as file:
        read = pickle.load(file)
    assert sorted(read) == ["0_cues", "0_labels", "1_cues", "1_labels"]
    for image_id, expected in found.items():
        labels, grid, marked = np.zeros((1, 1, 21), int), np.zeros((21, 41, 41)), np.zeros((21, 41, 41))
        labels[0, 0, read[f"{numbers[image_id]}_labels"]] = 1
        taken = read[f"{numbers[image_id]}_cues"]
        grid[taken[0], taken[1], taken[2]] = 1
        marked[tuple(expected)] = 1
        assert np.flatnonzero(labels).tolist() == [5, 12]
        assert taken.shape == expected.shape
        assert np.array_equal(grid, marked)
    named = [argument for code, argument, _ in pickletools.genops(path.read_bytes()) if isinstance(argument, str) and "numpy" in argument]
    assert set(named) == {"numpy"}  # nothing that only some releases have


def test_a_seed_pickle_is_whole_or_not_there(tmp_path):
    seeds = [("a", (0,), np.zeros((3, 0), int)), ("b", (0,), np.zeros((3, 0), int))]
    with pytest.raises(ValueError, match="b: not in DGCN's list of 1 images"):
        pseudo.export_cues(tmp_path / "cues.pickle", {"a": 0}, seeds)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg 0\na.jpg", r"list\.txt, line 2: 'a\.jpg' is not an image and its number, such as 2008_007028\.jpg 0"),
        ("a.jpg x", r"line 1: 'a\.jpg x' is not an image and its number"),
        ("a.jpg 0\na.jpg 1", r"line 2: a\.jpg has two numbers"),
    ],
)
def test_a_list_that_is_none(tmp_path, text, message):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        pseudo.input_list(tmp_path / "list.txt")
    with pytest.raises(FileNotFoundError, match=r"gone\.txt: no such list"):
        pseudo.input_list(tmp_path / "gone.txt")
