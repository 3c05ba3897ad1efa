"""The runs that ship: numbers only, small, whole, and what the README says of them."""

import re
from pathlib import Path

import pytest

from camx.cli.shared import RunsOptions
from camx.evaluators import records, tasks
from camx.evaluators.results import measures

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "configs" / "example"
RUNS = {"squeezenet": "torchvision:squeezenet1_0", "efficientnet-lite0": "efficientnet-lite0"}
STAGES = {"squeezenet": ("S4", "S3", "S2"), "efficientnet-lite0": ("S5", "S4", "S3")}
METHODS = {
    "Grad-CAM": ("gradcam", (43.62, 18.32, 8.87)),
    "Grad-CAM++": ("gradcampp", (45.44, 41.11, 35.33)),
    "NormGrad": ("normgrad", (38.94, 40.85, 38.67)),
    "LayerCAM": ("layercam", (46.62, 44.05, 41.83)),
}  # with Table I's loc1 at S5, S4, S3


def test_the_example_is_small_and_holds_numbers_only():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".md", ".parquet"}
    assert sum(path.stat().st_size for path in files) <= 1e6


@pytest.mark.parametrize("protocol", ["single", "paper"])
@pytest.mark.parametrize("network", RUNS)
def test_each_run_is_whole_and_says_on_what(network, protocol):
    run = records.load(FOLDER / f"{network}-{protocol}")
    assert run.model == RUNS[network]
    assert run.protocol["name"] == protocol
    assert "800" in run.identity["note"]
    assert "227" in run.about()
    frame = records.read(run.folder)
    assert frame["image_id"].nunique() == 800
    counts = frame.groupby(records.CELL)["image_id"].nunique()
    assert len(counts) == 25 + 3  # and what knows nothing
    assert set(counts) == {800}


def test_the_name_example_is_its_folder(tmp_path, monkeypatch):
    """Unless there is a folder of that name."""
    monkeypatch.chdir(tmp_path)
    assert RunsOptions(runs=Path("example")).runs.resolve() == FOLDER.resolve()
    (tmp_path / "example").mkdir()
    assert RunsOptions(runs=Path("example")).runs == Path("example")


def test_the_readme_s_first_table_is_the_example_s():
    """loc1 of both networks at their last stages, [95 %], in brackets the paper's."""
    readme = (ROOT / "README.md").read_text()
    lines = dict(re.findall(r"^\| ([\w+ -]+) \| (.+) \|$", readme, re.M))
    numbers = {}
    for network in RUNS:
        task = tasks.load("localize")
        run = FOLDER / f"{network}-paper"
        numbers[network] = measures.numbers(measures.outcomes(run, task), task)
    for title, (method, papers) in METHODS.items():
        cells = []
        for network, layers in STAGES.items():
            for layer, paper in zip(layers, papers):
                value, low, high, n = numbers[network].loc[(method, layer, "", "loc1")]
                assert n == 800
                cells.append(f"{value:.1f} [{low:.0f}, {high:.0f}]")
                cells[-1] += f" ({paper:.2f})" if network == "squeezenet" else ""
        assert lines[title] == " | ".join(cells)
    middle = re.findall(r"[\d.]+(?= \[)", lines["a box in the middle"])
    blind = [numbers[network].loc[("centre", "", "", "loc1"), "value"] for network in RUNS]
    assert middle == [f"{value:.1f}" for value in blind]


def test_a_number_is_not_entered_into_what_ships(camx):
    entered = ("--enter", "IX", "LayerCAM VGG16", "test", "61.4")
    done = camx("tables", "--runs", "example", *entered, code=2)
    assert "--enter keeps a number with runs of yours, not with example" in done.stderr
    assert not (FOLDER / "entered.csv").exists()


@pytest.mark.slow
def test_the_example_can_be_tabulated_compared_and_looked_at(camx, tmp_path):
    told = camx("tables", "--runs", "example", "--out", "tables").stdout
    assert " ".join(told.split()).count("800 validation images") >= 4
    assert len(list((tmp_path / "tables/runs").glob("*.csv"))) == 4
    compared = camx("tables", "--runs", "example", "--compare", "layercam", "gradcam")
    assert "gtknown" in compared.stdout
    camx("report", "--runs", "example", "--out", "report", "--images", "0")
    html = (tmp_path / "report/index.html").read_text()
    assert len(html) < 1e6
    assert html.count('id="run-') >= 4
