"""`camx rank`: files, tables and diagrams of simulated runs, and what it refuses."""

import pandas as pd
import pytest
from PIL import Image

from camx.evaluators import records
from camx.evaluators.records import Identity, Invocation
from camx.evaluators.tasks.localize import Record

LAYERS = ("S5", "S4")


def write_run(folder, order, model="net", data="d", layers=LAYERS, n=60, command="localize"):
    """A run whose methods hit images so that `order` is theirs; at S4 each hits fewer."""
    identity = Identity(command, data, 0, model, "w", protocol={"name": "single"})
    place, quick = {"name": data, "root": f"/{data}"}, {"versions": {}, "commit": None}
    records.begin(folder, identity, Invocation({}, place, "cpu", source="", **quick))
    with records.Writer(folder / "records") as writer:
        for i in range(n):
            rows = []
            for place, method in enumerate(order):
                for lower, layer in enumerate(layers):
                    iou = float(i < n - 5 - 8 * place - 4 * lower)
                    cell = (method, layer, "", 0, 0, 1, 1, iou, False)
                    rows.append(Record(f"{i:03}", 1, (1, 2, 3, 4, 5), *cell))
            writer.add(rows)


@pytest.fixture
def runs(tmp_path):
    """Three networks on one data set: a is first, b and c change places once."""
    for number, order in enumerate(("abc", "abc", "acb")):
        write_run(tmp_path / f"results/{number}", order, model=f"net{number}")
    return tmp_path


@pytest.mark.slow
def test_everything_is_written_and_printed(camx, runs):
    done = camx("rank", "--draws", 400).stdout
    frame = pd.read_csv(runs / "results/rank/rank.csv", keep_default_na=False)
    assert len(frame) == 3 * 4 * 3 * 3  # runs, metrics, places (best, S5, S4), methods
    first = frame[(frame["run"] == "results/2") & (frame["metric"] == "loc1")]
    best = first[first["place"] == "best"]
    assert best["method"].tolist() == ["a", "c", "b"]
    assert best["layer"].tolist() == ["S5"] * 3
    assert best["p_best"].astype(float).tolist() == [1, 0, 0]
    assert best["value"].tolist() == pytest.approx([100 * k / 60 for k in (55, 47, 39)])
    assert best["network"].unique().tolist() == ["net2"]
    critical = pd.read_csv(runs / "results/rank/critical.csv")
    of_best = critical[(critical["metric"] == "gtknown") & (critical["place"] == "best")]
    assert of_best["method"].tolist() == list("abc")
    assert of_best["mean_rank"].tolist() == pytest.approx([1, 7 / 3, 8 / 3])
    assert of_best["critical_difference"].tolist() == pytest.approx(
        [2.343 * (3 * 4 / (6 * 3)) ** 0.5] * 3, rel=5e-4
    )
    assert of_best["runs"].iloc[0] == "results/0;results/1;results/2"
    agreement = pd.read_csv(runs / "results/rank/agreement.csv")
    assert set(agreement["run"]) == {"results/0", "results/1", "results/2", "mean"}
    assert agreement["loc1"].tolist() == pytest.approx([1] * len(agreement))
    names = sorted(path.name for path in (runs / "results/rank").glob("*.png"))
    assert names == [f"critical_{name}.png" for name in ("gtknown", "loc1", "loc5")]
    assert min(Image.open(runs / "results/rank" / names[0]).size) > 300
    for words in (
        "results/0: net0 on d, protocol single; each method at its best layer",
        "Ranks from 1 (the best)", "in 400 resamples of the images", "Friedman",
        "P(> 1 ahead): better than",
        "Over runs: localize, protocol single", "Nemenyi, alpha 0.05", "Do metrics agree?",
        "wrote results/rank/rank.csv",
    ):  # fmt: skip
        assert words in " ".join(done.split())
    assert "mean IoU" not in done  # which is recorded, and not shown
    again = camx("rank", "--draws", 400, "--out", "again")
    assert "Friedman" in again.stdout
    for name in ("rank.csv", "critical.csv", "agreement.csv", *names):
        a, b = (runs / folder / name for folder in ("results/rank", "again"))
        assert a.read_bytes() == b.read_bytes()


def test_a_layer_and_a_metric(camx, runs):
    words = ("--layer", "S4", "--metric", "mean IoU", "--draws", 100)
    done = camx("rank", *words, "--out", "out", "--alpha", 0.1, "--rope", 2.5).stdout
    frame = pd.read_csv(runs / "out/rank.csv")
    assert set(frame["metric"]) == {"mean IoU"}
    assert set(frame["place"]) == {"S4"}
    assert (runs / "out/critical_mean-IoU_S4.png").is_file()
    for words in ("; at S4", "P(> 2.5 ahead)", "alpha 0.1"):
        assert words in " ".join(done.split())
    assert "Do metrics agree?" not in done
    assert len(pd.read_csv(runs / "out/agreement.csv")) == 0
    csv = camx("rank", "--metric", "loc1", "--draws", 100, "--format", "csv").stdout
    assert csv.startswith("# results/0: net0 on d")
    assert "wrote" not in csv


def test_a_single_run_has_no_critical_difference(camx, tmp_path):
    write_run(tmp_path / "results/one", "ab")
    done = camx("rank", "--draws", 100)
    assert "no critical difference: it needs two runs or more" in done.stdout
    assert not list((tmp_path / "results/rank").glob("*.png"))
    assert len(pd.read_csv(tmp_path / "results/rank/critical.csv")) == 0


def refused(camx, *words, code=1):
    (line,) = camx("rank", "--draws", 100, *words, code=code).stderr.splitlines()
    return line


def test_what_is_refused(camx, runs):
    assert refused(camx, "--runs", "none") == "error: none: no such folder of runs"
    line = refused(camx, "--metric", "loc9", code=2)
    assert "unknown metric 'loc9'; known: loc1, loc5, gtknown" in line
    line = refused(camx, "--metric", "degenerate", code=2)
    assert "metric 'degenerate' has no interval; ranked: loc1" in line
    line = refused(camx, "--layer", "S5", "--layer", "S9")
    assert "no run below results has two methods at layer 'S9'; there: S5, best" in line
    assert "has two methods measured at S9; `camx localize`" in refused(camx, "--layer", "S9")
    assert "measured by top1; `camx localize`" in refused(camx, "--metric", "top1")
    line = refused(camx, "--data", "e")
    assert line == "error: no run on data 'e'; below results are: d"
    for option, value in (("--draws", 10), ("--rope", -1), ("--alpha", 1)):
        assert "accepted: a" in refused(camx, option, value, code=2)
    assert not (runs / "results/rank").exists()


def test_one_method_has_no_rank(camx, tmp_path):
    (tmp_path / "results").mkdir()
    assert "no run below results has two methods measured" in refused(camx)
    write_run(tmp_path / "results/one", "a")
    line = refused(camx)
    assert "no run below results has two methods measured; `camx localize` measures" in line


@pytest.mark.slow
def test_the_shipped_runs_are_ranked(camx, tmp_path):
    done = camx("rank", "--runs", "example", "--draws", 200)
    assert "efficientnet-lite0 on ilsvrc" in " ".join(done.stdout.split())
    assert len(list((tmp_path / "results/rank").glob("critical_*_localize_*.png"))) == 6
