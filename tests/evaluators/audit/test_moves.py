"""Moves, ranks and orders by hand and by plain loops."""

import itertools

import numpy as np
import pandas as pd
import pytest

from camx.evaluators import records, stats
from camx.evaluators.audit import conventions, moves
from camx.evaluators.audit.conventions import Convention
from camx.evaluators.parts import write
from camx.evaluators.tasks.localize import Record

SHARES = {"a": (9, 4), "b": (7, 8), "c": (5, 5)}  # of ten images: hits before and after


def record(image, method, hit, box):
    iou = 0.6 if hit else 0.2
    return Record(f"i{image}", 1, (1, 2, 3, 4, 5), method, "S5", "", 0, 0, box, 9, iou, False)


@pytest.fixture
def run(tmp_path):
    for side, kind in enumerate(("records", "records-iou=exact")):
        rows = [
            record(image, method, image < shares[side], 5 + side * (image < 3))
            for method, shares in SHARES.items()
            for image in range(10)
        ]
        write(tmp_path / kind, rows, "")
    write(tmp_path / "records-nulls", [record(0, "centre", True, 3)], "")
    return tmp_path


def test_moves_and_ranks_by_hand(run):
    table, (summary,) = moves.audited(
        run, [Convention("iou", "exact"), Convention("box", "contour")]
    )
    assert table.columns.tolist() == moves.COLUMNS
    assert set(table["convention"]) == {"iou=exact"}
    loc1 = table[table["metric"] == "loc1"].set_index("method")
    assert loc1["base"].to_dict() == {"a": 90, "b": 70, "c": 50}
    assert loc1["delta"].round(9).to_dict() == {"a": -50, "b": 10, "c": 0}
    assert loc1["base_rank"].to_dict() == {"a": 1, "b": 2, "c": 3}
    assert loc1["rank"].to_dict() == {"a": 3, "b": 1, "c": 2}
    assert set(loc1["of"]) == {3}
    assert set(loc1["n"]) == {10}
    assert loc1["boxes_changed"].tolist() == [30, 30, 30]
    apart = np.array([0] * 4 + [-1] * 5 + [0])
    assert tuple(loc1.loc["a", ["ci_low", "ci_high"]]) == stats.matched_interval(apart)
    mean = table[(table["metric"] == "mean IoU") & (table["method"] == "a")].iloc[0]
    assert mean["delta"] == pytest.approx(-20)
    assert mean["ci_low"] < -20 < mean["ci_high"]
    assert (summary.convention, summary.largest["method"]) == ("iou=exact", "a")
    assert summary.mean == pytest.approx(20)
    assert (summary.ranks, summary.cells, summary.flips, summary.pairs) == (3, 3, 2, 3)
    assert summary.boxes == pytest.approx(30)
    said = moves.sentence([summary])
    assert said.startswith(
        "the convention that moves most here: iou=exact; loc1 of a S5 goes from 90"
    )


def test_equal_numbers_have_one_rank_and_no_order():
    frames = []
    for shares in ({"a": 5, "b": 5, "c": 2}, {"a": 4, "b": 5, "c": 2}):
        rows = [
            (f"i{i}", method, "S5", "", *[i < k] * 3, 50.0, 0, 0, 1, 1)
            for method, k in shares.items() for i in range(8)
        ]  # fmt: skip
        frame = pd.DataFrame(rows, columns=[*records.KEY, *moves.METRICS, *moves.BOX])
        frames.append(frame.set_index(records.KEY))
    loc1 = moves.moved(*frames).query("metric == 'loc1'").set_index("method")
    assert loc1["base_rank"].to_dict() == {"a": 1, "b": 1, "c": 3}
    assert loc1["rank"].to_dict() == {"a": 2, "b": 1, "c": 3}
    assert not any(flip for flip, _ in moves.orders(*frames, "loc1"))


def test_orders_by_plain_loops():
    rng = np.random.default_rng(1)
    frames = [outcomes(rng, share) for share in (0.5, 0.6)]
    told = list(moves.orders(*frames, "loc1"))
    assert len(told) == 2 * 3
    expected = []
    for layer in ("S4", "S5"):
        for a, b in itertools.combinations("abc", 2):
            signs, verdicts = [], []
            for frame in frames:
                left, right = (frame.xs((m, layer), level=(1, 2))["loc1"] for m in (a, b))
                apart = left.astype(int).to_numpy() - right.astype(int).to_numpy()
                low, high = stats.matched_interval(apart)
                signs.append(np.sign(left.sum() - right.sum()))
                verdicts.append("a" if low > 0 else "b" if high < 0 else "")
            expected.append((signs[0] * signs[1] == -1, verdicts[0] != verdicts[1]))
    assert told == expected
    assert any(flip for flip, _ in told)
    assert any(verdict for _, verdict in told)


def outcomes(rng, share):
    shares = {"a": share, "b": 1 - share, "c": 0.55}
    rows = [
        (f"i{i:02}", method, layer, "", *[bool(rng.random() < s)] * 3, 50.0, 0, 0, 1, 1)
        for layer in ("S4", "S5") for method, s in shares.items() for i in range(60)
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=[*records.KEY, *moves.METRICS, *moves.BOX])
    return frame.set_index(records.KEY)


def test_what_over_says():
    read = conventions.read
    assert [c.name for c in read(["iou,threshold=0.2:0.35", "contours"])] == [
        "iou=inclusive", "iou=exact", "threshold=0.2", "threshold=0.35", "box=rectangle",
        "box=contour",
    ]  # fmt: skip
    assert read(["box", "contours"]) == read(["contours"])
    assert [c.value for c in read(["threshold"])] == list(conventions.THRESHOLDS)
