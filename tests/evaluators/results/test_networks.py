"""Rows and claims that are of certain networks: Table V's."""

import numpy as np
import pandas as pd
import pytest

from camx.evaluators import records
from camx.evaluators.results import claims, compare, filling, runs, tables
from camx.evaluators.tasks.localize import Record
from camx.evaluators.types import Cell

LAYERCAM = ("layercam", "S5+S4+S3+S2", "gamma=2")
CMWP, ACOL, CAM = ("cmwp", "S4", ""), ("acol", "pool6", ""), ("cam", "conv6", "")


def write_run(folder, model, hits, protocol="paper", start="2026-01-01", first=0):
    """A run of a network: its cells hit so many of ten images, whose numbers begin at `first`."""
    identity = records.Identity("localize", "d", 0, model, protocol={"name": protocol})
    place = {"name": "mini", "root": "d", "kind": "mini"}
    records.begin(folder, identity, records.Invocation({}, place, "cpu", start=start))
    with records.Writer(folder / "records") as writer:
        for at in range(10):
            boxes = (0, 0, 1, 1)
            writer.add(
                [
                    Record(str(first + at), 1, (1, 2, 3, 4, 5), *key, *boxes, float(at < n), False)
                    for key, n in hits.items()
                ]
            )


def filled(folder):
    frame = filling.cells([tables.load("V")], folder)
    rows = frame[frame["metric"] == "loc1"].set_index("row")
    return {row: value for row, value in rows["measured"].items() if not pd.isna(value)}


@pytest.fixture
def trained(tmp_path):
    """A run of each network; that of ADL's has LayerCAM too, of more images hit and newer."""
    write_run(tmp_path / "vgg", "mini-vgg", {LAYERCAM: 8, CMWP: 3})
    write_run(tmp_path / "gap", "mini-vgg-gap", {CAM: 5})
    write_run(tmp_path / "acol", "mini-acol", {ACOL: 6})
    write_run(tmp_path / "adl", "mini-adl", {CAM: 4, LAYERCAM: 9}, start="2027-01-01")
    return tmp_path


def test_a_row_is_of_its_networks_alone(trained):
    assert filled(trained) == {"ACoL": 60, "ADL": 40, "CAM": 50, "c-MWP": 30, "LayerCAM": 80}
    frame = filling.cells([tables.load("V")], trained)
    frame = frame[frame["metric"] == "loc1"].set_index("row")
    assert frame["paper"].to_dict() == {
        "ACoL": 45.83, "ADL": 44.92, "CAM": 42.80, "c-MWP": 29.08, "LayerCAM": 47.24
    }  # fmt: skip


def test_the_papers_networks_come_first(trained):
    """Though another's run is newer, and has as many images."""
    write_run(trained / "other", "resnet50", {LAYERCAM: 1}, start="2028-01-01")
    write_run(trained / "single", "mini-vgg", {LAYERCAM: 2}, "single", start="2029-01-01")
    assert filled(trained)["LayerCAM"] == 80


def test_another_network_fills_what_the_paper_s_do_not(tmp_path):
    write_run(tmp_path / "other", "resnet50", {LAYERCAM: 1, CAM: 2})
    assert filled(tmp_path) == {"LayerCAM": 10}


def test_a_run_s_own_value_of_the_paper_is_its_network_s():
    table, cell = tables.load("V"), Cell.of(*CAM)
    values = {m: tables.papers([table], m) for m in ("adl", "vgg16-gap", "vgg16")}
    assert values["adl"]["localize", cell, "loc1"] == 44.92
    assert values["vgg16-gap"]["localize", cell, "loc1"] == 42.80
    assert ("localize", cell, "loc1") not in values["vgg16"]
    assert ("localize", Cell.of(*LAYERCAM), "loc1") not in values["adl"]
    assert values["vgg16"]["localize", Cell.of(*LAYERCAM), "loc1"] == 47.24


def test_pairs_are_of_one_network(trained):
    task = tables.load("V").task
    frame = compare.pairs(tables.load("V"), runs.measured(trained, task))
    assert set(zip(frame["a"], frame["b"])) == {("c-MWP", "LayerCAM")}
    assert set(frame["run"]) == {str(trained / "vgg")}


def test_a_row_s_networks_are_names(tmp_path):
    text = (
        "title: t\nsource: s\ncommand: localize\nmetrics: [loc1]\ncolumns: {S5: {layer: S5}}\n"
        "rows: [{row: x, cell: {method: cam}, networks: adl}]\n"
    )
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(ValueError, match="row 'x': networks is 'adl'; expected a list of names"):
        tables.load(str(tmp_path / "t.yaml"))


def claim(**pair):
    entry = {"id": "X", "sentence": "x", "where": "here", "command": "localize"}
    pair = {"more": list(LAYERCAM), "less": list(CAM[:2]), **pair}
    return claims._claim({**entry, "metrics": ["loc1"], "comparisons": [pair]}, "test", None)


def test_a_claim_s_sides_may_be_of_different_networks(trained):
    (row,) = claims.evaluate([claim(less_on=["mini-adl"])], trained).to_dict("records")
    assert (row["run"], row["against"]) == (str(trained / "vgg"), str(trained / "adl"))
    assert (row["difference"], row["n"]) == (pytest.approx(40), 10)
    (row,) = claims.evaluate([claim(less_on=["mini-vgg-gap"])], trained).to_dict("records")
    assert row["against"] == str(trained / "gap")
    # Without its network said, the side that has none is of any but the other's: ADL's is newest.
    assert row["run"] == str(trained / "adl")
    both = claim(more_on=["mini-vgg"], less_on=["mini-vgg-gap"])
    (row,) = claims.evaluate([both], trained).to_dict("records")
    assert row["run"] == str(trained / "vgg")


def test_only_images_that_both_have_are_compared(tmp_path):
    write_run(tmp_path / "vgg", "mini-vgg", {LAYERCAM: 8})
    write_run(tmp_path / "gap", "mini-vgg-gap", {CAM: 10}, first=6)
    (row,) = claims.evaluate([claim(less_on=["mini-vgg-gap"])], tmp_path).to_dict("records")
    assert (row["n"], row["difference"]) == (4, pytest.approx(-50))  # of 6..9 LayerCAM hits two
    write_run(tmp_path / "gap", "mini-vgg-gap", {("a", "S5", ""): 1}, first=6)
    write_run(tmp_path / "apart", "mini-acol", {CAM: 10}, first=100)
    (row,) = claims.evaluate([claim(less_on=["mini-acol"])], tmp_path).to_dict("records")
    assert (row["verdict"], row["run"], row["against"]) == ("not run", None, None)


def test_both_sides_are_of_one_protocol(tmp_path):
    write_run(tmp_path / "vgg", "mini-vgg", {LAYERCAM: 8})
    write_run(tmp_path / "gap", "mini-vgg-gap", {CAM: 5}, "single")
    (row,) = claims.evaluate([claim(less_on=["mini-vgg-gap"])], tmp_path).to_dict("records")
    assert row["verdict"] == "not run"
    write_run(tmp_path / "vgg-single", "mini-vgg", {LAYERCAM: 7}, "single")
    (row,) = claims.evaluate([claim(less_on=["mini-vgg-gap"])], tmp_path).to_dict("records")
    assert row["run"] == str(tmp_path / "vgg-single")
    write_run(tmp_path / "gap-paper", "mini-vgg-gap", {CAM: 5})
    (row,) = claims.evaluate([claim(less_on=["mini-vgg-gap"])], tmp_path).to_dict("records")
    assert (row["run"], row["against"]) == (str(tmp_path / "vgg"), str(tmp_path / "gap-paper"))


def test_a_claim_s_networks_are_names():
    with pytest.raises(ValueError, match="less_on is 'adl'; expected a list of networks"):
        claim(less_on="adl")


def test_the_shipped_claims_of_table_v(trained):
    frame = claims.evaluate(claims.load(), trained)
    frame = frame[frame["claim"].isin(("A17", "A18", "A19"))]
    got = {(r.claim, r.metric, r.more, r.less): r.difference for r in frame.itertuples()}
    ours = "layercam S5+S4+S3+S2 gamma=2"
    assert got == {
        ("A17", "loc1", ours, "cam conv6"): pytest.approx(30),
        ("A18", "loc1", ours, "acol pool6"): pytest.approx(20),
        ("A18", "loc1", ours, "cam conv6"): pytest.approx(40),
        ("A19", "loc5", "acol pool6", ours): pytest.approx(-20),
    }
    assert np.isfinite(frame["p_value"].astype(float)).all()
