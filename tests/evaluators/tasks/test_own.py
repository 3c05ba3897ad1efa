"""A task of one's own and a metric of one's own, as docs/evaluators.md shows them: one file
each.
"""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

DOCUMENT = (Path(__file__).parents[3] / "docs/evaluators.md").read_text()
BLOCKS = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", DOCUMENT, re.S)
CONSOLE = re.findall(r"^\$ camx (.*)$", DOCUMENT, re.M)


@pytest.fixture
def folder(tmp_path):
    for name, text in BLOCKS:
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_pointing_game_is_one_file_of_at_most_sixty_lines(folder):
    assert len((folder / "pointing.py").read_text().splitlines()) <= 60


def test_a_task_of_one_s_own_is_run_tabulated_and_tested(camx, folder):
    for line in CONSOLE:
        done = camx(*line.split())
    assert "P1  " in done.stdout
    record = pd.read_parquet(folder / "results/pointing/records").iloc[0]
    assert {"x", "y", "hit", "degenerate"} <= set(record.index)
    cells = pd.read_csv(folder / "results/tables/cells.csv", keep_default_na=False)
    assert set(cells["row"]) == {"Grad-CAM", "LayerCAM"}
    assert (cells["n"].astype(float) == 40).all()
    claims = pd.read_csv(folder / "results/claims/claims.csv")
    layercam = cells[(cells["row"] == "LayerCAM") & (cells["column"] == "S4")]["measured"].astype(
        float
    )
    gradcam = cells[(cells["row"] == "Grad-CAM") & (cells["column"] == "S4")]["measured"].astype(
        float
    )
    assert claims["difference"].iloc[0] == pytest.approx(
        layercam.iloc[0] - gradcam.iloc[0], abs=1e-3
    )
    made = json.loads((folder / "results/pointing/run.json").read_text())
    assert made["command"] == "pointing"
    assert made["protocol"]["tolerance"] == 15
    assert made["task"] == str((folder / "pointing.py").resolve())
    assert "pointing" in made["plugins"]
    compared = camx("tables", "--compare", "layercam", "gradcam").stdout
    assert "pointing" in compared


def test_its_points_are_the_maps_maxima(camx, folder):
    camx("measure", "pointing.py", "--protocol", "single", "--limit", "3", "--layer", "S4",
         "--method", "layercam", "--set", "tolerance=0", "--save-maps")  # fmt: skip
    import cv2

    frame = pd.read_parquet(folder / "results/pointing/records")
    for row in frame.itertuples():
        grid = cv2.imread(f"{folder}/results/pointing/maps/{row.image_id}_layercam_S4.png", 0)
        picture = next(Path(DATA(folder)).rglob(f"{row.image_id}.JPEG"))
        height, width = cv2.imread(str(picture)).shape[:2]
        heatmap = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
        assert heatmap[row.y, row.x] == heatmap.max()


def DATA(folder):
    return json.loads((folder / "results/pointing/run.json").read_text())["dataset"]["root"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tolerance", "-1"], ["--tolerance", "'-1'", "a whole number from 0 to 1000"]),
        (["--set", "tolerance=nan"], ["tolerance is", "a whole number from 0 to 1000"]),
        (["--set", "tolerance=2.5"], ["tolerance is 2.5", "a whole number from 0 to 1000"]),
        (["--set", "interpolation=nearest"], ["interpolation is 'nearest'", "linear, cubic"]),
        (["--set", "tolerence=3"], ["unknown field 'tolerence'", "tolerance"]),
    ],
)
def test_nonsense_dies_before_the_forward_pass(camx, folder, arguments, words):
    done = camx("measure", "pointing.py", *arguments, code=2)
    assert all(word in done.stderr for word in words), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "results").exists()


def test_another_version_of_the_file_is_another_task(camx, folder):
    run = ["measure", "pointing.py", "--protocol", "single", "--limit", "2", "--layer", "S5"]
    camx(*run, "--method", "layercam")
    path = folder / "pointing.py"
    path.write_text(path.read_text().replace("argmax()", "argmin()"))
    done = camx(*run, "--method", "gradcam", code=1)
    assert "another version of 'pointing'" in done.stderr


def test_a_metric_of_one_s_own_is_one_file(camx, folder):
    camx("localize", "--protocol", "single", "--limit", "30", "--layer", "S4",
         "--method", "layercam", "--method", "gradcam")  # fmt: skip
    (folder / "strict.yaml").write_text(
        "title: How strict?\nsource: this test\ncommand: localize\n"
        "metrics: [gtknown, gtknown-0.7]\nfrom: {gtknown-0.7: strict.py}\n"
        "columns: {S4: {layer: S4}}\nrows: [{row: LayerCAM, cell: {method: layercam}}]\n"
    )
    (folder / "claims.yaml").write_text(
        "- {id: S1, sentence: Better., where: here, command: strict.py, metrics: [gtknown-0.7],\n"
        "   comparisons: [{more: [layercam, S4], less: [gradcam, S4]}]}\n"
    )
    camx("tables", "--table", "strict.yaml")
    frame = pd.read_parquet(folder / "results/localize/records")
    ious = frame[frame["method"] == "layercam"]["iou"]
    cells = pd.read_csv(folder / "results/tables/cells.csv").set_index(["row", "metric"])
    cells = cells.loc["LayerCAM"]["measured"]
    assert cells["gtknown"] == pytest.approx(100 * (ious >= 0.5).mean(), abs=1e-3)
    assert cells["gtknown-0.7"] == pytest.approx(100 * (ious >= 0.7).mean(), abs=1e-3)
    assert "S1  " in camx("claims", "--file", "claims.yaml").stdout
    assert "gtknown-0.7" in camx("measure", "strict.py", "--protocol", "single", "--limit", "30",
                                 "--layer", "S4", "--method", "layercam").stdout  # fmt: skip


def test_a_metric_of_one_s_own_is_shown_whatever_was_measured(camx, folder):
    shown = camx("measure", "strict.py", "--protocol", "single", "--limit", "2").stdout
    assert "gtknown-0.7: an IoU of at least 0.7" in shown
    assert "(46.62)" in shown  # the paper's value beside LayerCAM's loc1 at S5
    path = folder / "strict.py"
    path.write_text(path.read_text() + "# no record depends on it\n")
    camx("measure", "strict.py", "--protocol", "single", "--limit", "2", "--layer", "S5")


def test_a_task_that_is_gone_is_said_and_the_others_are_compared(camx, folder):
    both = ["--protocol", "single", "--limit", "4", "--layer", "S4", "--method", "layercam",
            "--method", "gradcam"]  # fmt: skip
    camx("localize", *both)
    camx("measure", "pointing.py", *both)
    (folder / "pointing.py").unlink()
    done = camx("tables", "--compare", "layercam", "gradcam")
    assert "localize" in done.stdout
    assert "warning: results/pointing is left out" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_two_tasks_of_one_name_are_not_mixed(camx, folder):
    camx("measure", "pointing.py", "--protocol", "single", "--limit", "2", "--layer", "S4")
    (folder / "other").mkdir()
    for name, text in BLOCKS:
        (folder / "other" / name).write_text(text.replace("argmax()", "argmin()"))
    done = camx("tables", "--table", "pointing.yaml", "--table", "other/pointing.yaml", code=1)
    assert "two tasks are named 'pointing'" in done.stderr
    assert "measures a cell" in camx("tables", "--table", "other/pointing.yaml", code=1).stderr


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('TASK = "localization"', 'TASK = "localisation"', "TASK is 'localisation'"),
        ("METRICS = (Metric(", "METRICS = ('hit',) or (Metric(", "METRICS is ('hit',)"),
        ("    variant: str\n", "", "Record has no field 'variant'"),
        ("    x: int\n", "    x: dict\n", "a Record's fields are"),
        ("    hit: bool\n", "    strike: bool\n", "nothing measures 'hit'"),
        ("class Protocol(MapProtocol)", "class Protocol", "Protocol does not derive from"),
        ("def grade(", "grade = 3\n\n\ndef grading(", "grade is 3; expected a function"),
        ("    return records", "    return None", "py: grade of mini_val_00000001 is None"),
        ("    return records", "    return records[1:]", "expected one record for each of 1 cells"),
        ("    return records", "    return 1 / 0", "ZeroDivisionError"),
        ("tolerance: int = whole", "limit: int = whole", "limit"),
    ],
)
def test_a_task_that_is_wrong_says_what_is_wrong(camx, folder, old, new, word):
    text = (folder / "pointing.py").read_text()
    assert old in text
    (folder / "pointing.py").write_text(text.replace(old, new))
    run = ["measure", "pointing.py", "--protocol", "single", "--limit", "1", "--layer", "S5"]
    done = camx(*run, "--method", "layercam", code=any_code)
    assert word in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(folder.rglob("*.parquet"))


class AnyCode:
    """1 or 2: the run failed, or it was asked for wrongly."""

    def __eq__(self, code):
        return code in (1, 2)

    def __hash__(self):
        return 0


any_code = AnyCode()
