"""Seeds for DGCN: on a small grid by hand, and as its code reads them."""

import pickle
import pickletools

import numpy as np
import pytest

from camx.evaluators.tasks.pseudo import seeds


def test_seeds_on_a_small_grid_by_hand():
    # Class 0 exceeds 0.2 of its maximum in the upper half, class 3 in the left column; where both
    # do, class 3 has fewer.
    first = np.array([[0.8, 0.8, 0.8], [0.8, 0.8, 0.8], [0.16, 0.0, 0.0], [0.1, 0.03, 0.05]])
    second = np.array([[1.0, 0.0, 0.0], [0.9, 0.0, 0.0], [0.3, 0.0, 0.2], [0.0, 0.0, 0.0]])
    square = [np.pad(m, ((0, 0), (0, 1))) for m in (first, second)]
    index, y, x = cues = seeds.cues(np.stack(square), [0, 3], 4)
    assert cues.dtype == np.int64
    grid = np.full((4, 4), -1)
    grid[y, x] = index
    assert len(index) == (grid >= 0).sum()  # a cell once
    # Neither certain nor quiet: (2,2) at exactly 0.2 of class 3, and (3,0) and (3,2) above 0.05 of
    # class 0.
    assert grid.tolist() == [[4, 1, 1, 0], [4, 1, 1, 0], [4, 0, -1, 0], [-1, 0, -1, 0]]


def test_seeds_of_large_maps_cover_the_whole_image():
    grid = np.zeros((256, 256), np.uint8)
    grid[:128] = 255
    index, y, _ = seeds.cues(grid[None], [19])
    assert set(index) == {0, 20}
    assert (y[index == 20].max(), y[index == 0].min(), y.max()) == (20, 21, 40)
    assert (seeds.cues(np.zeros((0, 9, 9)), [], 5)[0] == 0).sum() == 25  # no class: all background
    assert seeds.cues(np.zeros((1, 9, 9)), [2], 5).shape == (3, 0)  # an empty map tells nothing


def test_the_seed_pickle_is_read_as_dgcn_reads_it(tmp_path):
    lines = "2008_007028.jpg 0\n2009_000233.jpg 1\nlate.jpg 2\n"
    (tmp_path / "input_list.txt").write_text(lines, "utf-8-sig")
    numbers = seeds.input_list(tmp_path / "input_list.txt")
    assert numbers == {"2008_007028": 0, "2009_000233": 1, "late": 2}
    maps = np.random.default_rng(0).random((2, 9, 9))
    cues = {"2009_000233": seeds.cues(maps, [4, 11]), "2008_007028": np.zeros((3, 0), int)}
    path = tmp_path / "new" / "cues.pickle"
    rows = ((image_id, (4, 11), c) for image_id, c in cues.items())
    assert seeds.export_cues(path, numbers, rows) == ["late"]
    with path.open("rb") as file:
        content = pickle.load(file)
    assert sorted(content) == ["0_cues", "0_labels", "1_cues", "1_labels"]
    for image_id, expected in cues.items():
        labels, grid, marks = np.zeros((1, 1, 21), int), *np.zeros((2, 21, 41, 41))
        labels[0, 0, content[f"{numbers[image_id]}_labels"]] = 1
        index, y, x = content[f"{numbers[image_id]}_cues"]
        grid[index, y, x] = 1
        marks[tuple(expected)] = 1
        assert np.flatnonzero(labels).tolist() == [5, 12]
        assert len(index) == expected.shape[1]
        assert np.array_equal(grid, marks)
    arguments = {argument for _, argument, _ in pickletools.genops(path.read_bytes())}
    numpy_s = {a for a in arguments if isinstance(a, str) and "numpy" in a}
    assert numpy_s == {"numpy"}  # nothing that only some releases have


def test_a_seed_pickle_is_whole_or_not_there(tmp_path):
    rows = [("a", (0,), np.zeros((3, 0), int)), ("b", (0,), np.zeros((3, 0), int))]
    with pytest.raises(ValueError, match="b: not in DGCN's list of 1 images"):
        seeds.export_cues(tmp_path / "cues.pickle", {"a": 0}, rows)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg 0\na.jpg", r"line 2: 'a\.jpg' is not an image and its number, such as 2008_007028"),
        ("a.jpg x", r"line 1: 'a\.jpg x' is not an image and its number"),
        ("a.jpg 0\na.jpg 1", r"line 2: a\.jpg has two numbers"),
    ],
)
def test_a_list_that_is_none(tmp_path, text, message):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(ValueError, match=rf"list\.txt, {message}"):
        seeds.input_list(tmp_path / "list.txt")
    with pytest.raises(FileNotFoundError, match=r"gone\.txt: no such list"):
        seeds.input_list(tmp_path / "gone.txt")
