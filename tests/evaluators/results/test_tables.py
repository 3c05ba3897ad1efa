import re

import pandas as pd
import pytest

from camx.evaluators import records
from camx.evaluators.results import filling, layers, runs, tables
from camx.evaluators.tasks.localize import Record
from camx.evaluators.types import Cell


def write_run(
    folder, images, hit, protocol="single", data="mini", start="2026-01-01", methods=("layercam",),
    model="mini-vgg",
):  # fmt: skip
    identity = records.Identity("localize", data, 0, model, protocol={"name": protocol})
    place = {"name": data, "root": data}
    records.begin(folder, identity, records.Invocation({}, place, "cpu", start=start))
    with records.Writer(folder / "records") as writer:
        for i in range(images):
            iou = 1.0 if i < hit else 0.0
            writer.add(
                [
                    Record(str(i), 1, (1, 2, 3, 4, 5), m, "S5", "", 0, 0, 1, 1, iou, False)
                    for m in methods
                ]
            )


def cell(filled, row="LayerCAM", column="S5", metric="loc1"):
    return filled[
        (filled["row"] == row) & (filled["column"] == column) & (filled["metric"] == metric)
    ].iloc[0]


def test_a_cell_stands_beside_the_paper_s_value(tmp_path):
    write_run(tmp_path / "run", 10, 4)
    table = tables.load("I")
    filled = filling.cells([table], tmp_path)
    assert list(filled.columns) == filling.COLUMNS
    # loc1, loc5, and gtknown and degenerate, which the paper does not print
    assert len(filled) == 100
    found = cell(filled)
    assert (found["measured"], found["paper"], found["n"]) == (40, 46.62, 10)
    assert found["delta"] == pytest.approx(40 - 46.62)
    assert found["ci_low"] < 40 < found["ci_high"]
    assert pd.isna(cell(filled, "ScoreCAM")["measured"])
    paths = filling.write([table], filled, tmp_path / "out")
    assert [p.name for p in paths] == ["cells.csv", "table_01.csv"]
    printed = pd.read_csv(paths[1])
    assert printed.columns[:7].tolist() == ["row", "metric", "S5", "S4", "S3", "S2", "S1"]
    assert (
        printed[(printed["row"] == "LayerCAM") & (printed["metric"] == "loc1")]["S5"].item() == 40
    )


def test_the_preferred_run_fills_a_cell(tmp_path):
    write_run(tmp_path / "a", 10, 1, start="2026-01-03")
    write_run(tmp_path / "b", 5, 5, protocol="paper", start="2026-01-01")
    assert cell(filling.cells([tables.load("I")], tmp_path))["measured"] == 100
    write_run(tmp_path / "c", 20, 5, start="2026-01-02", methods=("layercam", "gradcam"))
    filled = filling.cells([tables.load("I")], tmp_path)
    assert cell(filled)["run"].endswith("b")
    assert cell(filled, "Grad-CAM")["measured"] == 25


def test_most_images_counts_the_cell_s_own(tmp_path):
    write_run(tmp_path / "a", 10, 1)
    write_run(tmp_path / "a", 3, 3, methods=("gradcam",))
    write_run(tmp_path / "b", 6, 3, methods=("gradcam",))
    filled = filling.cells([tables.load("I")], tmp_path)
    assert cell(filled, "Grad-CAM")["run"].endswith("b")
    assert cell(filled)["run"].endswith("a")


def test_an_overridden_protocol_is_not_the_paper_s(tmp_path):
    write_run(tmp_path / "a", 5, 5, protocol="paper")
    write_run(tmp_path / "b", 20, 1, protocol="paper, threshold=0.9")
    assert cell(filling.cells([tables.load("I")], tmp_path))["measured"] == 100


def test_cells_have_one_name_each(tmp_path):
    text = "{title: x, source: y, command: localize, metrics: [loc1], "
    text += "rows: [{row: a, cell: {method: layercam}}], columns: {c: {layer: S5+S3%s}}}"
    (tmp_path / "t.yaml").write_text(text % "")
    assert tables.load(str(tmp_path / "t.yaml")).entries[0].cell == Cell.of(
        "layercam", "S5+S3", "gamma=2"
    )
    (tmp_path / "t.yaml").write_text(text % ", variant: gamma=2.0")
    assert tables.load(str(tmp_path / "t.yaml")).entries[0].cell == Cell.of(
        "layercam", "S5+S3", "gamma=2"
    )
    (tmp_path / "t.yaml").write_text(text % ", variant: wide")
    with pytest.raises(ValueError, match=r"t\.yaml: row 'a': unknown variant 'wide'"):
        tables.load(str(tmp_path / "t.yaml"))
    for old, new, word in [
        ("command: localize", "command: foo", "command is 'foo'; accepted: defects, localize"),
        ("[loc1]", "[loc9]", "unknown metric 'loc9'; known: loc1"),
        ("method: layercam", "methd: layercam", "row 'a': unknown 'methd'"),
        ("{layer: S5+S3%s}", "4", "expected a mapping"),
    ]:
        (tmp_path / "t.yaml").write_text(text.replace(old, new).replace("%s", ""))
        with pytest.raises(ValueError, match=word):
            tables.load(str(tmp_path / "t.yaml"))
    with pytest.raises(FileNotFoundError, match=r"nothing\.yaml: no such table file"):
        tables.load("nothing.yaml")
    (tmp_path / "t.yaml").write_text("{title: [")
    with pytest.raises(ValueError, match=r"t\.yaml: not YAML"):
        tables.load(str(tmp_path / "t.yaml"))


def test_data_sets_are_never_mixed(tmp_path):
    write_run(
        tmp_path / "a", 10, 1, data="old", start="2026-01-01", methods=("layercam", "gradcam")
    )
    write_run(tmp_path / "b", 10, 9, data="new", start="2026-01-02")
    filled = filling.cells([tables.load("I")], tmp_path)
    assert cell(filled)["measured"] == 90
    assert pd.isna(cell(filled, "Grad-CAM")["measured"])
    assert cell(filling.cells([tables.load("I")], tmp_path, "old"))["measured"] == 10
    with pytest.raises(ValueError, match="the runs are on: new, old"):
        filling.cells([tables.load("I")], tmp_path, "other")


@pytest.mark.parametrize(
    ("data", "model", "comparable"),
    [("mini", "mini-vgg", True), ("ilsvrc", "vgg16", True), ("own", "vgg16", False),
     ("ilsvrc", "torchvision:vgg16", True), ("ilsvrc", "resnet50", False), ("mini", "net", False)],
)  # fmt: skip
def test_the_paper_s_value_stands_beside_its_kind_alone(tmp_path, data, model, comparable):
    write_run(tmp_path / "run", 10, 4, data=data, model=model)
    shown = [tables.load("I"), tables.load("V")]
    filled = filling.cells(shown, tmp_path)
    row = cell(filled)
    assert row["measured"] == 40
    assert (row["paper"] == 46.62, row["delta"] == pytest.approx(-6.62)) == (comparable,) * 2
    of_one = filled[filled["table"] == "I"]
    assert of_one["paper"].notna().any() == of_one["delta"].notna().any() == comparable


def test_nothing_that_the_paper_quotes_stands_in_a_table_of_one_s_own(tmp_path):
    text = (
        "{title: x, source: y, command: localize, metrics: [loc1], data: [ilsvrc], "
        "columns: {S5: {layer: S5}}, rows: [{row: ADL, quoted: quoted, loc1: [44.92]}, "
        "{row: LayerCAM, cell: {method: layercam}, loc1: [46.62]}]}"
    )
    (tmp_path / "t.yaml").write_text(text)
    table = tables.load(str(tmp_path / "t.yaml"))
    write_run(tmp_path / "run", 10, 4, data="own")
    filled = filling.cells([table], tmp_path)
    assert filled["row"].tolist() == ["LayerCAM"]
    assert filled["paper"].isna().all()
    write_run(tmp_path / "other", 10, 4, data="ilsvrc", start="2027-01-01")
    assert filling.cells([table], tmp_path)["row"].tolist() == ["ADL", "LayerCAM"]


def test_null_rows_stand_below_the_paper_s(tmp_path):
    write_run(tmp_path / "run", 10, 4)
    with records.Writer(tmp_path / "run" / "records") as writer:
        key = (1, (1, 2, 3, 4, 5), "random", "", "")
        writer.add([Record(str(i), *key, 0, 0, 1, 1, float(i < 3), False) for i in range(10)])
    table = tables.load("I")
    filled = filling.cells([table], tmp_path)
    blind = filled[filled["row"] == "random"]
    assert filled["row"].tolist()[-len(blind) :] == ["random"] * len(blind)
    assert set(blind["column"]) == {"S5", "S4", "S3", "S2", "S1"}
    assert set(blind[blind["metric"] == "loc1"]["measured"]) == {30}
    assert blind["paper"].isna().all()
    assert filling.layout(table, filled)["row"].tolist()[-2:] == ["random"] * 2


def test_a_run_of_one_s_own_has_methods_by_layers(tmp_path):
    write_run(tmp_path / "run", 10, 4, data="own", methods=("layercam", "gradcam"))
    task = tables.load("I").task
    (measured,) = runs.measured(tmp_path, task)
    cells = layers.further(measured, task)
    assert [c.method for c in cells] == ["gradcam", "layercam"]
    frame = layers.table(measured, task, cells)
    assert list(frame) == ["metric", "method", "variant", "S5", "S5 low", "S5 high", "n"]
    line = frame[(frame["metric"] == "loc1") & (frame["method"] == "layercam")].iloc[0]
    assert (line["S5"], line["n"]) == (40, 10)
    path = layers.write(frame, measured, tmp_path, tmp_path / "out")
    assert path == tmp_path / "out/runs/run.csv"
    write_run(tmp_path / "b", 10, 4, methods=("layercam", "gradcam"))
    by_folder = {m.folder.name: m for m in runs.measured(tmp_path, task)}
    assert layers.further(by_folder["b"], task) == []


def test_every_shipped_table_cites_its_source():
    assert "I" in tables.names()
    for name in tables.names():
        table = tables.load(name)
        assert f"Table {name}" in table.source
        assert all(e.cell is None or isinstance(e.cell, Cell) for e in table.entries)


def test_tables_three_and_four_share_a_cell():
    three = {(e.row, e.column, e.metric): e.cell for e in tables.load("III").entries}
    four = {(e.row, e.column, e.metric): e.cell for e in tables.load("IV").entries}
    two = {(e.row, e.column, e.metric): e.cell for e in tables.load("II").entries}
    assert (
        four["S5+S4+S3", "tanh(x)", "loc1"]
        == three["S5+S4+S3", "gamma=1", "loc1"]
        == Cell.of("layercam", "S5+S4+S3", "gamma=1")
    )
    assert two["LayerCAM", "S5+S4+S3", "loc1"] == three["S5+S4+S3", "gamma=2", "loc1"]
    assert two["LayerCAM", "S5+S4", "loc1"] == Cell.of("layercam", "S5+S4", "")


def test_quoted_rows_are_marked(tmp_path):
    write_run(tmp_path / "run", 3, 1)
    table = tables.load("V")
    filled = filling.cells([table], tmp_path)
    printed = filling.layout(table, filled).set_index(["row", "metric"])
    assert printed.loc[("ACoL", "loc1"), "quoted"] == "quoted"
    assert printed.loc[("LayerCAM", "loc1"), "quoted"] == ""
    assert pd.isna(printed.loc[("ADL", "loc5"), "paper"])  # the paper has no such value
    assert pd.isna(cell(filled, "ACoL", "")["measured"])


def test_bad_tables_say_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="known: I"):
        tables.load("XX")
    (tmp_path / "t.yaml").write_text("title: x\n")
    with pytest.raises(ValueError, match="'source' is missing"):
        tables.load(str(tmp_path / "t.yaml"))
    (tmp_path / "t.yaml").write_text(
        "{title: x, source: y, command: localize, metrics: [loc1], columns: {S5: {layer: S5}}, "
        "rows: [{row: a, loc1: [1, 2]}]}"
    )
    with pytest.raises(ValueError, match="row 'a' has 2 values of loc1, not 1"):
        tables.load(str(tmp_path / "t.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("metrics: [loc1]", "metrics:", "metrics is None; expected a list of metrics"),
        ("metrics: [loc1]", "metrics: loc1", "metrics is 'loc1'; expected a list of metrics"),
        ("metrics: [loc1]", "metrics: [[2]]", "metrics is "),
        ("columns: {S5: {layer: S5}}", "columns: [S5]", "columns is "),
        ("columns: {S5: {layer: S5}}", "columns:", "columns is None"),
        ("rows:", "rows: [a]\nold:", "a row is 'a'"),
        ("row: LayerCAM, ", "", "a row is "),
        ("loc1: [1.0]", "loc1: [1" + 400 * "0" + "]", "expected a list of numbers or null"),
        ("loc1: [1.0]", "loc1: [true]", "expected a list of numbers or null"),
        ("loc1: [1.0]", "loc1: 3", "loc1 is 3; expected a list of numbers or null"),
        ("loc1: [1.0]", "loc1: [.nan]", "loc1 is "),
        ("loc1: [1.0]", "loc2: [1.0]", "unknown 'loc2'; known: cell, loc1, networks, quoted, row"),
        ("title: T", "title:", "title is None"),
        ("title: T", "title: T\nfrom: [x]", "from is "),
        ("title: T", "title: T\nshown:", "shown is None"),
    ],
)
def test_a_table_of_another_form_says_where(tmp_path, old, new, word):
    text = (
        "title: T\nsource: here\ncommand: localize\nmetrics: [loc1]\n"
        "columns: {S5: {layer: S5}}\nrows:\n"
        "  - {row: LayerCAM, cell: {method: layercam}, loc1: [1.0]}\n"
    )
    path = tmp_path / "t.yaml"
    path.write_text(text)
    assert tables.load(str(path)).entries[0].paper == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=rf"t\.yaml: .*{re.escape(word)}"):
        tables.load(str(path))
