"""The page's tables: the best of a column, who is not told from it, how the paper's value lies."""

import numpy as np
import pytest
import scipy

from camx.evaluators import nulls, records, tasks
from camx.evaluators.report import numbers
from camx.evaluators.report.numbers import Line, Number
from camx.evaluators.results import filling, layers, tables
from camx.evaluators.results.runs import by_task
from camx.evaluators.tasks.localize import Record
from camx.evaluators.types import Cell

N = 200
I = np.arange(N)  # noqa: E741
# At S5: LayerCAM finds 120 images, Grad-CAM 115 of other ones, NormGrad 40.
HITS = {
    ("layercam", "S5"): I < 120,
    ("gradcam", "S5"): (I + 70) % N < 115,
    ("normgrad", "S5"): I < 40,
    ("layercam", "S4"): I < 50,
    ("centre", ""): I < 190,
}
DECLARED = """
title: A table
source: here
command: localize
metrics: [gtknown, mean IoU]
columns: {S5: {layer: S5}, S4: {layer: S4}}
rows:
  - {row: LayerCAM, cell: {method: layercam}, gtknown: [58.0, 46.0]}
  - {row: Grad-CAM, cell: {method: gradcam}, gtknown: [90.0, null]}
  - {row: NormGrad, cell: {method: normgrad}}
  - {row: Somebody, quoted: from elsewhere, gtknown: [99.0, null]}
"""


@pytest.fixture
def measured(tmp_path):
    """A run of `HITS`, and the table's rows as ``cells.csv`` has them."""
    identity = records.Identity("localize", "d", 0, model="net", protocol={"name": "paper"})
    call = records.Invocation({}, {"name": "d", "root": "d"}, "cpu", start="2026-01-01")
    run = records.begin(tmp_path / "runs/one", identity, call)
    with records.Writer(run.folder / "records", run.mark) as writer:
        for i in range(N):
            about = f"{i:03}", 1, [1, 2, 3, 4, 5]
            writer.add([
                Record(*about, m, layer, "", 0, 0, 1, 1, float(hit[i]), False)
                for (m, layer), hit in HITS.items()
            ])  # fmt: skip
    (tmp_path / "mine.yaml").write_text(DECLARED)
    table = tables.load(str(tmp_path / "mine.yaml"))
    candidates = by_task([table.task], tmp_path / "runs")
    readings = {"localize": numbers.Readings(candidates["localize"], table.task)}
    return table, filling.fill([table], candidates), readings, candidates["localize"][0]


def lines(section, metric):
    (block,) = (block for block in section.blocks if block.metric.name == metric)
    return block, {line.name: line for line in block.lines}


def test_numbers_are_those_of_the_rows(measured):
    table, filled, readings, _ = measured
    section = numbers.section(table, filled, readings)
    block, of_row = lines(section, "gtknown")
    assert block.columns == ("S5", "S4")
    for line in of_row.values():
        for number in line.numbers:
            where = dict(zip(("table", "row", "metric", "column"), number.key))
            (row,) = filled[(filled[list(where)] == list(where.values())).all(axis=1)].to_dict(
                "records"
            ) or [{"measured": np.nan, "paper": np.nan, "ci_low": np.nan, "ci_high": np.nan}]
            for ours, theirs in zip(
                (number.value, number.paper, number.low, number.high),
                (row["measured"], row["paper"], row["ci_low"], row["ci_high"]),
            ):
                assert ours == theirs or (ours is None and np.isnan(float(theirs or np.nan)))


def test_the_best_is_marked_and_the_others_are_tested_against_it(measured):
    table, filled, readings, _ = measured
    _, of_row = lines(numbers.section(table, filled, readings), "gtknown")
    best, even, worse = (of_row[r].numbers[0] for r in ("LayerCAM", "Grad-CAM", "NormGrad"))
    assert (best.rank, even.rank, worse.rank) == ("best", "alike", "below")
    # The two exact tests, corrected for two: Holm's smaller doubled, the larger as it is.
    raw = []
    for name in ("gradcam", "normgrad"):
        a, b = HITS["layercam", "S5"], HITS[name, "S5"]
        only_a, only_b = int((a & ~b).sum()), int((~a & b).sum())
        raw.append(scipy.stats.binomtest(only_a, only_a + only_b).pvalue)
    assert worse.p_value == pytest.approx(2 * raw[1])
    assert even.p_value == pytest.approx(max(raw[0], 2 * raw[1]))
    assert of_row["LayerCAM"].numbers[1].rank == ""  # alone in its column
    for aside in ("centre", "Somebody"):  # what knows nothing and what is quoted do not compete
        assert {n.rank for n in of_row[aside].numbers} == {""}
        assert not of_row[aside].competes
        assert of_row[aside].verdict == ""


def test_a_verdict_counts_columns_and_the_paper_s_values(measured):
    table, filled, readings, _ = measured
    _, of_row = lines(numbers.section(table, filled, readings), "gtknown")
    # 60 % [53, 67] holds 58; 25 % [19, 31] does not hold 46.
    assert of_row["LayerCAM"].verdict == "best; the paper's value within in 1 of 2"
    assert of_row["Grad-CAM"].verdict == "not told from the best"
    assert of_row["NormGrad"].verdict == ""


def test_where_the_paper_s_value_lies():
    at = {"value": 50.0, "low": 45.0, "high": 55.0}
    for paper, beside in ((45.0, "within"), (55.0, "within"), (44.9, "above"), (55.1, "below")):
        assert Number((), **at, paper=paper).beside == beside
    assert Number((), **at).beside == ""
    assert Line("x", (Number(()),)).verdict == ""


def test_where_less_is_better_the_least_is_the_best():
    """And equals are all best; of a metric that is better neither way none is."""
    held = {name: Number((name,), v) for name, v in (("a", 3.0), ("b", 1.0), ("c", 1.0))}
    cells = {name: ("run", Cell.of(name, "S5")) for name in held}
    task = tasks.load("occlude")
    nothing = numbers.Readings([], task)
    for metric, best in (("top1", {"b", "c"}), ("insertion", {"a"}), ("occluded", set())):
        made = numbers.ranked(held, cells, task.metrics[metric], nothing, 0)
        assert {name for name, n in made.items() if n.rank == "best"} == best
    alike = {name: Number((name,), 2.0) for name in held}
    made = numbers.ranked(alike, cells, task.metrics["top1"], nothing, 0)
    assert {n.rank for n in made.values()} == {""}  # where all are equal none is the best


def test_cells_of_two_runs_are_not_tested(measured):
    table, filled, readings, _ = measured
    other = filled.copy()
    other.loc[(other["row"] == "Grad-CAM") & (other["column"] == "S5"), "run"] = "elsewhere"
    _, of_row = lines(numbers.section(table, other, readings), "gtknown")
    assert of_row["Grad-CAM"].numbers[0].rank == ""
    assert of_row["NormGrad"].numbers[0].rank == "below"


def test_a_run_s_own_cells(measured):
    """Those that no table of the paper's holds: of another network, all."""
    table, _, readings, run = measured
    frame = layers.table(run, table.task, layers.further(run, table.task))
    section = numbers.of_run(run, table.task, "one", frame, readings["localize"])
    _, of_row = lines(section, "gtknown")
    assert set(frame["method"]) == {m for m, _ in HITS}
    assert set(of_row) == {"LayerCAM", "Grad-CAM", "NormGrad", "centre"}
    assert [n.rank for n in of_row["LayerCAM"].numbers] == ["best", ""]
    assert of_row["centre"].note
    assert set(nulls.NAMES) & {name for name, line in of_row.items() if line.competes} == set()
