"""Declarative figures: the paper's are whole, and a user's own say what is wrong in a line."""

import pytest
import yaml

from camx.evaluators.results import figures
from camx.evaluators.types import Cell

OWN = {
    "title": "Two stages", "source": "this test", "command": "localize", "kind": "maps",
    "images": 2, "shows": ["boxes"],
    "columns": {"deep": {"layer": "S5"}, "both": {"layer": "S5+S4"}},
    "rows": [{"row": "LayerCAM", "cell": {"method": "layercam"}}],
}  # fmt: skip


def written(folder, **changed):
    content = {key: value for key, value in {**OWN, **changed}.items() if value != "gone"}
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def test_the_paper_s_figures_in_its_order():
    assert figures.names() == ["1", "4", "5", "6", "7", "8", "9", "10"]
    for name in figures.names():
        figure = figures.load(name)
        assert f"Figure {name}" in figure.source
        assert figure.images > 0
        assert figures.file_name(figure, "png") == f"figure_{int(name):02d}.png"
        assert bool(figure.cells) == (figure.kind != "gradients")
        assert len(figure.cells) == len(figure.rows) * len(figure.columns)


def test_cells_are_those_of_the_paper():
    assert list(figures.load("1").cells.values()) == [
        Cell("gradcam", ("S3",)), Cell("gradcam", ("S5",)),
        Cell("layercam", ("S3",)), Cell("layercam", ("S5",)),
    ]  # fmt: skip
    five = list(figures.load("5").cells.values())
    assert [cell.layer for cell in five] == ["S1", "S2", "S3", "S4", "S5", "S5+S4+S3"]
    assert [cell.variant for cell in five] == ["gamma=2"] * 3 + ["", "", "gamma=2"]
    assert [str(cell) for cell in figures.load("6").cells.values()] == [
        "gradcam S5", "gradcampp S5", "layercam S5+S4+S3 gamma=2",
    ]  # fmt: skip
    seven, eight, ten = (figures.load(name) for name in ("7", "8", "10"))
    assert {cell.layer for cell in seven.cells.values()} == {"layer3"}
    assert [cell.layer for cell in eight.cells.values()] == [f"layer{n}" for n in range(1, 5)]
    assert {cell.layer for cell in ten.cells.values()} == {"S2"}
    nine = [cell.layer for cell in figures.load("9").cells.values()]
    assert nine == ["S5", "S5+S4", "S5+S4+S3"]


def test_a_user_s_own(tmp_path):
    figure = figures.load(written(tmp_path))
    assert (figure.name, figure.images, figure.rows) == ("own", 2, ("LayerCAM",))
    assert figures.layers(figure) == ["S5", "S4"]
    assert figures.file_name(figure, "pdf") == "figure_own.pdf"
    assert figures.load(written(tmp_path, rows="gone", columns={
        "x": {"method": "gradcam", "layer": "S1"}
    })).cells == {(0, 0): Cell("gradcam", ("S1",))}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"title": "gone"}, "'title' is missing; a figure needs title, source, command"),
        ({"title": 3}, "title is 3; expected a text"),
        ({"command": "localise"}, "command is 'localise'; accepted:"),
        ({"kind": "map"}, r"kind is 'map'.*'maps'.*; accepted: maps, gradients, masks"),
        ({"images": 0}, "images is 0; expected a whole number from 1 to 1000"),
        ({"images": 1.5}, "images is 1.5; expected"),
        ({"images": True}, "images is True; expected"),
        ({"maps": -1}, "maps is -1; expected a whole number from 0"),
        ({"shows": ["box"]}, r"shows is \['box'\]; expected a list of boxes, truth"),
        ({"shows": "boxes"}, "shows is 'boxes'; expected a list"),
        ({"shows": [["boxes"]]}, r"shows is \[\['boxes'\]\]; expected a list"),
        ({"colums": {}}, r"unknown 'colums'; known: .*Did you mean 'columns'"),
        ({"columns": {}}, r"columns is \{\}; expected titles and their cells"),
        ({"columns": "gone"}, "columns is .*; expected titles"),
        ({"columns": {"deep": "S5"}}, "LayerCAM, deep: expected a mapping such as"),
        ({"columns": {"deep": {"layers": "S5"}}}, "LayerCAM, deep: unknown 'layers'; a cell has"),
        ({"columns": {"deep": {"layer": 5}}}, "LayerCAM, deep: layer is 5; a cell has"),
        ({"columns": {"deep": {}}}, "LayerCAM, deep: layer is None; a cell has"),
        ({"columns": {"deep": {"layer": "S5", "variant": "gama=2"}}}, "LayerCAM, deep: .*gama=2"),
        ({"rows": [{"cell": {}}]}, "rows is .*; expected a list such as"),
        ({"rows": {"LayerCAM": {}}}, "rows is .*; expected a list such as"),
        ({"rows": [{"row": "x", "cell": 3}]}, "x, deep: expected a mapping such as"),
        ({"command": "defects"}, "shows boxes, but `camx defects` measures none"),
        ({"shows": ["truth"]}, "shows truth, but `camx localize` knows no masks"),
        ({"kind": "masks"}, "kind is masks, but the command is localize; expected segment"),
        ({"command": "segment", "shows": []}, "kind is maps, but the command segment makes none"),
    ],
)
def test_what_is_wrong_is_a_line(tmp_path, changed, told):
    with pytest.raises(ValueError, match=told) as error:
        figures.load(written(tmp_path, **changed))
    assert "\n" not in str(error.value)
    assert "own.yaml: " in str(error.value)


def test_no_figure_of_that_name(tmp_path):
    with pytest.raises(ValueError, match=r"unknown figure '2'; known: 1, 4, 5"):
        figures.load("2")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml: no such figure file"):
        figures.load("nowhere.yaml")
    for text in ("[1, 2]", "", "a: ["):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(ValueError, match=r"bad\.yaml: "):
            figures.load(str(tmp_path / "bad.yaml"))
