"""Numbers and tables as they are printed."""

import re
from types import SimpleNamespace

import pandas as pd
import pytest

from camx.cli import printing, tabular
from camx.evaluators import records, tasks
from camx.evaluators.results import filling, tables
from camx.evaluators.types import Cell


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ({"value": 40.0}, "40.00"),
        ({"value": 0.0}, "0.00"),
        ({"value": None}, ""),
        ({"value": 40.0, "paper": 46.62}, "40.00 (46.62)"),
        ({"value": 40.0, "paper": 0.0}, "40.00 (0.00)"),
        ({"value": 40.0, "paper": 0}, "40.00 (0.00)"),
        ({"value": None, "paper": 0.0}, "(0.00)"),
        ({"value": None, "paper": 46.62}, "(46.62)"),
        ({"value": 40.0, "paper": None}, "40.00"),
        ({"value": 40.0, "interval": (30.4, 50.6), "n": 400}, "40.00 [30, 51]"),
        ({"value": 40.0, "interval": (0.0, 0.0), "n": 1}, "40.00 [0, 0]"),
        ({"value": 40.0, "interval": (30.4, 50.6), "n": 999}, "40.00 [30, 51]"),
        ({"value": 40.0, "interval": (30.4, 50.6), "n": 1000}, "40.00 [30.40, 50.60]"),
        ({"value": 40.0, "interval": (30.4, 50.6), "n": None}, "40.00"),
        ({"value": None, "interval": (30.4, 50.6), "n": 400}, ""),
        (
            {"value": 40.0, "paper": 46.62, "interval": (30.4, 50.6), "n": 5000, "mark": "*"},
            "40.00* [30.40, 50.60] (46.62)",
        ),
        ({"value": None, "paper": 1.0, "mark": "*"}, "(1.00)"),
    ],
)
def test_a_number_its_interval_and_the_paper_s(arguments, printed):
    assert tabular.number(**arguments).words() == printed


def test_none_is_an_empty_cell(capsys):
    printing.table([("a", None, 1.5), ("long", "2", "x")], ("", "n", "m"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["n", "m"], ["----", "---", "---"], ["a", "1.5"], ["long", "2", "x"],
    ]  # fmt: skip
    assert lines[3].index("2") == lines[0].index("n")  # to the right
    printing.table([], ("a", "b"))
    assert capsys.readouterr().out.split()[:2] == ["a", "b"]


def test_counts_are_one_or_a_range():
    assert printing.counted(pd.Series([400, 400])) == "n=400"
    assert printing.counted(pd.Series([2.0, 400.0])) == "n=2 to 400"


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)


def marked(text):
    """The values that are marked, by the words that their line begins with and their place."""
    lines = [re.sub(r"\[.*?\]|\(\S+\)", "", line).split() for line in text.splitlines()]
    lines = [line for line in lines if line[:1] != ["^"]]  # the legend
    return {(*line[:2], at) for line in lines for at, word in enumerate(line) if word[-1:] == "^"}


def test_the_best_of_the_paper_s_tables(capsys, wide):
    """Per metric and column; the null `centre`, which is higher, does not compete."""
    table = tables.load("XII")
    filled = filling.fill([table], {}).astype({"measured": float})
    values = {("LayerCAM", "loc1", "S5"): 30.0, ("LayerCAM-normal", "loc1", "S5"): 20.0,
              ("LayerCAM", "loc5", "S5"): 10.0, ("LayerCAM-normal", "loc5", "S5"): 20.0,
              ("LayerCAM", "loc1", "S4"): 10.0}  # fmt: skip
    for (row, metric, column), value in values.items():
        at = filled["row"].eq(row) & filled["metric"].eq(metric) & filled["column"].eq(column)
        filled.loc[at, ["measured", "ci_low", "ci_high", "n"]] = value, 0.0, 100.0, 400
    blind = filled.iloc[:1].assign(row="centre", metric="loc1", column="S5", measured=99.0, n=400)
    printing.paper_table(table, pd.concat([filled, blind]))
    text = capsys.readouterr().out
    assert marked(text) == {("LayerCAM", "loc1", 2), ("LayerCAM-normal", "loc5", 2)}
    assert "^ best of its column" in text
    assert "99.00" in text


def test_the_images_as_they_are_are_not_the_best(capsys, wide):
    """Of Table VI lower is better, and its first row hides nothing."""
    table = tables.load("VI")
    filled = filling.fill([table], {}).astype({"measured": float})
    filled["measured"] = [float(n) for n in range(len(filled))]
    filled[["ci_low", "ci_high", "n"]] = 0.0, 100.0, 400
    assert not any(entry.cell.layers for entry in table.entries if entry.row == filled["row"][0])
    printing.paper_table(table, filled)
    rows = {row for row, *_ in marked(capsys.readouterr().out)}
    assert rows == {filled["row"][len(table.entries) // filled["row"].nunique()].split()[0]}


def numbers(values):
    """Numbers of 400 images as a run's measures are, by cell and metric."""
    index = pd.MultiIndex.from_tuples(
        [(*cell.key, metric) for cell, metric in values], names=[*records.CELL, "metric"]
    )
    columns = {"value": list(values.values()), "low": 0.0, "high": 100.0, "n": 400}
    return pd.DataFrame(columns, index=index)


def test_the_best_cells():
    """As the metric says; of those of one area; nulls, random places and no map do not compete."""
    task = tasks.load("occlude")
    small, large = Cell.of("a", "S5", "area=0.1"), Cell.of("b", "S5", "area=0.1")
    other, another = Cell.of("a", "S5", "area=0.5"), Cell.of("b", "S5", "area=0.5")
    random, original = Cell.of("b", "S5", "area=0.5, random"), Cell("original")
    plain, worse = Cell.of("a", "S5"), Cell.of("b", "S5")
    values = {(small, "top1"): 50.0, (large, "top1"): 40.0, (other, "top1"): 10.0,
              (another, "top1"): 20.0, (random, "top1"): 5.0, (original, "top1"): 1.0,
              (plain, "top1"): 30.0, (worse, "top1"): 35.0, (Cell("centre"), "top1"): 0.0,
              (small, "occluded"): 1.0, (large, "occluded"): 2.0,
              (small, "insertion"): 9.0, (large, "insertion"): 10.0}  # fmt: skip
    cells = list(dict.fromkeys(cell for cell, _ in values))
    metrics = [task.metrics[name] for name in ("top1", "occluded", "insertion")]
    best = printing._best_cells(cells, metrics, numbers(values))
    assert best == {
        (*large.key, "top1"), (*other.key, "top1"), (*plain.key, "top1"),
        (*large.key, "insertion"),
    }  # fmt: skip


def test_masks_of_no_layer_compete_with_each_other():
    task = tasks.load("segment")
    values = {(Cell("DGCN"), "mIoU"): 60.0, (Cell("other"), "mIoU"): 50.0}
    best = printing._best_cells(
        [Cell("DGCN"), Cell("other")], [task.metrics["mIoU"]], numbers(values)
    )
    assert best == {(*Cell("DGCN").key, "mIoU")}


def test_the_best_by_layer(capsys, wide):
    task = tasks.load("localize")
    ends = {"S5 low": 0.0, "S5 high": 1.0, "S4 low": 0.0, "S4 high": 1.0, "variant": "", "n": 9}
    lines = [
        ("loc1", "a", 50.0, 20.0), ("loc1", "b", 40.0, 30.0), ("loc1", "centre", 60.0, 60.0),
        ("loc5", "a", 1.0, float("nan")), ("loc5", "b", 2.0, 7.0),
    ]  # fmt: skip
    columns = ("metric", "method", "S5", "S4")
    frame = pd.DataFrame([{**dict(zip(columns, line)), **ends} for line in lines])
    frame = frame[["metric", "method", "variant", "S5", "S4", *list(ends)[:4], "n"]]
    printing.by_layer(frame, task, SimpleNamespace(folder="results", about=lambda: "a network"))
    text = capsys.readouterr().out
    assert text.startswith("\nresults: a network. [95 % interval]\n")
    assert marked(text) == {("loc1", "a", 2), ("loc1", "b", 3), ("loc5", "b", 2)}
