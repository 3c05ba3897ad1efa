from collections import Counter
from pathlib import Path

import pytest

from camx.evaluators import datasets, splits
from camx.evaluators.types import Sample


def samples(sizes):
    """Images of each (group, label), all of split test."""
    return tuple(
        Sample(f"{group}{label}{i}", Path("x"), label, split="test", group=group)
        for (group, label), count in sizes.items() for i in range(count)
    )  # fmt: skip


def test_shares_add_up():
    assert splits.shares([1, 1, 1], 2) == [1, 1, 0]
    assert splits.shares([70, 30], 10) == [7, 3]
    assert splits.shares([5, 3, 1], 4) == [2, 1, 1]  # 2.22, 1.33 and 0.44
    # Of 30 equal remainders the first ten, whatever a sort that is not stable makes of them.
    assert splits.shares([3, 1] * 30, 40) == [1, 1] * 10 + [1, 0] * 20
    assert sum(splits.shares([13, 7, 1, 29], 17)) == 17


def test_a_stratified_split_keeps_every_group_and_label_s_share():
    images = samples({("a", 0): 70, ("a", 1): 10, ("b", 0): 100, ("b", 1): 20})
    drawn = splits.stratified(images, 100, 40, 0)
    assert Counter((s.split, s.group, s.label) for s in drawn) == {
        ("train", "a", 0): 35, ("train", "a", 1): 5, ("train", "b", 0): 50, ("train", "b", 1): 10,
        ("test", "a", 0): 14, ("test", "a", 1): 2, ("test", "b", 0): 20, ("test", "b", 1): 4,
    }  # fmt: skip
    assert len({s.image_id for s in drawn}) == 140
    assert drawn == splits.stratified(images, 100, 40, 0)
    assert drawn != splits.stratified(images, 100, 40, 1)
    word = "split 190/40 needs 230 images, each part at least one; there are 200"
    with pytest.raises(ValueError, match=word):
        splits.stratified(images, 190, 40, 0)


def test_every_image_can_be_used():
    images = samples({("a", 0): 7, ("a", 1): 3, ("b", 0): 5})
    assert len(splits.stratified(images, 10, 5, 0)) == 15


def test_apply(tmp_path):
    mini = datasets.load("mini", "defects")
    assert splits.apply(mini, "official", 0) is mini
    drawn = splits.apply(mini, "100/40", 0)
    assert Counter(s.split for s in drawn.samples) == {"train": 100, "test": 40}
    assert drawn.fingerprint != mini.fingerprint
    train = "Class1/Test/0001\n \nClass2/Train/0030.PNG\n\n"
    (tmp_path / "train.txt").write_text(train, "utf-8-sig")
    (tmp_path / "test.txt").write_text("Class3/Test/0002")
    assert {s.image_id: s.split for s in splits.apply(mini, str(tmp_path), 0).samples} == {
        "Class1/Test/0001": "train", "Class2/Train/0030": "train", "Class3/Test/0002": "test",
    }  # fmt: skip
    (tmp_path / "test.txt").write_text("Class1/Test/0001\n")
    with pytest.raises(ValueError, match=r"'Class1/Test/0001' is listed twice \(in train.txt\)"):
        splits.apply(mini, str(tmp_path), 0)
    (tmp_path / "test.txt").write_text("nothing\n")
    with pytest.raises(ValueError, match="'nothing' names no image"):
        splits.apply(mini, str(tmp_path), 0)
    (tmp_path / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match="no such list"):
        splits.apply(mini, str(tmp_path), 0)
    with pytest.raises(ValueError, match="split is 'half'; accepted: official"):
        splits.apply(mini, "half", 0)
