"""`camx demo`, and which folders it takes, empties or leaves alone."""

import dataclasses
import json

import pandas as pd
import pytest

from camx.camcore import weights
from camx.cli import demo
from camx.evaluators import datasets, environment, records
from camx.evaluators.tasks.defects import timing

OLD = "an older source"
PAPER, SINGLE = {"name": "paper"}, {"name": "single"}


@pytest.fixture(scope="module")
def mini():
    return {name: datasets.load("mini", name) for name in ("localization", "defects")} | {
        "segmentation": datasets.load("mini", "segmentation", "val")
    }


def identity(data, **changed):
    whole = records.Identity(
        "localize", data.fingerprint, 0, model=data.model, weights_sha256="1", protocol=PAPER
    )
    return dataclasses.replace(whole, **changed)


def write_run(folder, identity, *sources, weights="shipped weights"):
    """A run that each of the sources added to, the last of them now."""
    for source in sources:
        call = records.Invocation(
            {}, {"name": "mini", "root": "."}, "cpu", weights=weights, source=source
        )
        records.begin(folder, identity, call)
        (folder / "records").mkdir(exist_ok=True)
        (folder / "records/part-1.parquet").write_bytes(source.encode())
    return folder


def content(folder):
    """Every file below a folder by its name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def cells_of(results):
    """The cells of the tables by table and metric."""
    return pd.read_csv(results / "tables/cells.csv").set_index(["table", "metric"])


def test_what_is_not_there_or_empty_is_taken(tmp_path):
    assert demo.fresh(tmp_path / "a", "paper") == tmp_path / "a"
    assert not (tmp_path / "a").exists()
    (tmp_path / "a").mkdir()
    assert demo.fresh(tmp_path / "a", "paper") == tmp_path / "a"
    (tmp_path / "a/mine.txt").write_text("kept")
    assert demo.fresh(tmp_path / "a", "paper") == tmp_path / "a"
    assert content(tmp_path) == {"a/mine.txt": b"kept"}


def test_a_run_of_this_source_goes_on(tmp_path, mini, capsys):
    run = write_run(tmp_path / "a", identity(mini["localization"]), environment.source())
    before = content(tmp_path)
    assert demo.fresh(run, "paper") == run
    assert content(tmp_path) == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("sources", [(OLD,), (OLD, "now"), ("now", OLD), ("older still", OLD)])
def test_a_run_of_older_source_is_emptied(tmp_path, mini, capsys, sources):
    sources = [environment.source() if source == "now" else source for source in sources]
    run = write_run(tmp_path / "a", identity(mini["localization"]), *sources)
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/mine.txt").write_text("kept")
    assert demo.fresh(run, "paper") == run
    assert content(tmp_path) == {"beside/mine.txt": b"kept"}
    assert [p.name for p in tmp_path.iterdir()] == ["beside"]
    assert f"camx changed since {run} was measured: starting afresh" in capsys.readouterr().out


def test_what_a_kill_left_half_deleted_goes(tmp_path, mini):
    run = write_run(tmp_path / "a", identity(mini["localization"]), OLD)
    write_run(tmp_path / ".a-0123abcd.tmp", identity(mini["localization"]), OLD)
    theirs = write_run(tmp_path / ".a-old", identity(mini["localization"]), OLD)
    assert demo.fresh(run, "paper") == run
    assert list(tmp_path.iterdir()) == [theirs]  # no name of camx's


@pytest.mark.parametrize("source", [OLD, "now"])
@pytest.mark.parametrize(
    "changed",
    [
        {"protocol": SINGLE},
        {"protocol": {"name": "paper, threshold=0.2"}},
        {"protocol": None},
        {"fingerprint": "of other data"},
        {"model": "mini-resnet"},
        {"seed": 1},
    ],
    ids=str,
)
def test_another_run_is_left_alone(tmp_path, mini, capsys, source, changed):
    source = environment.source() if source == "now" else source
    run = write_run(tmp_path / "a", identity(mini["localization"], **changed), source)
    before = content(tmp_path)
    assert demo.fresh(run, "paper") == tmp_path / "a-2"
    assert content(tmp_path) == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("file", ["results/train/last.safetensors", "DEFAULT"])
def test_a_run_of_weights_of_one_s_own_is_left_alone(tmp_path, mini, file):
    whole = identity(mini["defects"], command="defects", weights_sha256="2")
    run = write_run(tmp_path / "a", whole, OLD, weights=file)
    before = content(tmp_path)
    assert demo.fresh(run, "paper", "defects") == tmp_path / "a-2"
    assert content(tmp_path) == before


def test_the_weights_that_camx_ships_are_called_so(camx, tmp_path):
    """As `fresh` knows them."""
    camx("localize", "--protocol", "single", "--limit", 1, "--layer", "S5", "--quiet")
    run = tmp_path / "results/localize"
    assert demo.fresh(run, "single") == run
    described = json.loads((run / "run.json").read_text())
    described["invocations"][0]["source"] = OLD
    (run / "run.json").write_text(json.dumps(described))
    assert demo.fresh(run, "paper") == tmp_path / "results/localize-2"
    assert demo.fresh(run, "single") == run
    assert not run.exists()


def test_records_of_unknown_origin_are_left_alone(tmp_path, mini):
    run = write_run(tmp_path / "a", identity(mini["localization"]), OLD)
    (run / "run.json").unlink()
    before = content(tmp_path)
    assert demo.fresh(run, "paper") == tmp_path / "a-2"
    assert content(tmp_path) == before


def test_a_torn_run_json_is_named_and_left_alone(tmp_path, mini):
    run = write_run(tmp_path / "a", identity(mini["localization"]), OLD)
    (run / "run.json").write_text('{"command": ')
    before = content(tmp_path)
    with pytest.raises(ValueError, match=r"a/run\.json: not JSON"):
        demo.fresh(run, "paper")
    assert content(tmp_path) == before


def test_the_next_free_name_may_be_older_source_s_too(tmp_path, mini):
    own = identity(mini["localization"])
    kept = write_run(tmp_path / "a", dataclasses.replace(own, seed=3), OLD)
    also = write_run(tmp_path / "a-2", dataclasses.replace(own, protocol=SINGLE), OLD)
    before = content(kept), content(also)
    assert demo.fresh(kept, "paper") == tmp_path / "a-3"
    old = write_run(tmp_path / "a-3", own, OLD)
    further = write_run(tmp_path / "a-4", own, OLD)
    assert demo.fresh(kept, "paper") == old
    assert not old.exists()
    assert (content(kept), content(also)) == before
    assert content(further)


def test_a_run_may_be_within_the_folder(tmp_path, mini):
    """That of camx segment: its trainings go with its measurement."""
    own = identity(mini["segmentation"], command="segment", model=None, weights_sha256=None)
    write_run(tmp_path / "a/evaluate", own, environment.source(), weights=None)
    (tmp_path / "a/train-S5").mkdir()
    (tmp_path / "a/train-S5/last.safetensors").write_text("weights")
    before = content(tmp_path)
    arguments = tmp_path / "a", "paper", "segmentation", "evaluate"
    assert demo.fresh(*arguments) == tmp_path / "a"
    assert content(tmp_path) == before
    described = json.loads((tmp_path / "a/evaluate/run.json").read_text())
    described["invocations"][0]["source"] = OLD
    (tmp_path / "a/evaluate/run.json").write_text(json.dumps(described))
    assert demo.fresh(tmp_path / "a", "single", "segmentation", "evaluate") == tmp_path / "a-2"
    assert content(tmp_path).keys() == before.keys()
    assert demo.fresh(*arguments) == tmp_path / "a"
    assert content(tmp_path) == {}


def test_trainings_of_older_source_go_with_their_measurements(tmp_path, mini):
    """Those of Table V's networks, begun from the weights that camx ships."""
    data = datasets.load("mini", "classification")
    start = {"sha256": weights.sha256(weights.shipped("mini-vgg.safetensors"))}
    own = records.Identity("train wsol", data.fingerprint, 0, model="mini-acol")
    for further in ({"init": start}, {"init": {"sha256": "of others"}}):
        whole = dataclasses.replace(own, model=data.model, further=further)
        write_run(tmp_path / "a/train-acol", whole, OLD, weights="mini-vgg.safetensors")
        (tmp_path / "a/localize-acol").mkdir()
        before = content(tmp_path)
        arguments = tmp_path / "a", "", "classification", "train-acol"
        if start in further.values():
            assert demo.fresh(*arguments) == tmp_path / "a"
            assert content(tmp_path) == {}
        else:
            assert demo.fresh(*arguments) == tmp_path / "a-2"
            assert content(tmp_path) == before


@pytest.mark.slow
def test_the_whole_of_camx_in_one_command(camx, monkeypatch, tmp_path):
    """A cell is timed by a few images, not by hundreds."""
    of_timing = timing.measure

    def measure(plan, cells, image, _iterations, tick):
        return of_timing(dataclasses.replace(plan, batch_size=1), cells, image, 1, tick)

    monkeypatch.setattr(timing, "WARM_UP", 1)
    monkeypatch.setattr(timing, "measure", measure)
    sizes = ["--images", 2, "--score-images", 1, "--occluded", 2, "--settings", 1, "--epochs", 1]
    done = camx("demo", *sizes, "--cmwp-images", 1, "--iterations", 1)
    results = tmp_path / "results"
    assert all(f"\n{step}/12  " in done.stdout for step in range(1, 13))
    counts = {
        name: records.read(results / name)["image_id"].nunique()
        for name in (
            "localize", "localize-scorecam", "values", "occlude", "defects", "pseudo",
            "wsol/localize-vgg16-gap", "wsol/localize-acol", "wsol/localize-adl",
        )
    }  # fmt: skip
    assert counts == {
        "localize": 3, "localize-scorecam": 1, "values": 2, "occlude": 2, "defects": 2, "pseudo": 2,
        "wsol/localize-vgg16-gap": 2, "wsol/localize-acol": 2, "wsol/localize-adl": 2,
    }  # fmt: skip
    own = cells_of(results).loc[("V", "loc1")].set_index("row")["measured"]
    assert own[["CAM", "ACoL", "ADL", "c-MWP", "LayerCAM"]].notna().all()
    frame = pd.read_parquet(results / "segment/evaluate/records")
    assert frame["layer"].unique().tolist() == ["S5"]
    tables = sorted(p.name for p in (results / "tables").iterdir())
    assert tables == ["cells.csv", "runs", *(f"table_{n:02}.csv" for n in range(1, 14))]
    cells = cells_of(results)
    measured = cells["measured"].notna().groupby("table").any()
    assert set(measured[measured].index) == {
        "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "X", "XII", "XIII",
    }  # fmt: skip
    tenth = cells.loc[("X", "mIoU")].set_index("column")["measured"]
    assert tenth[["S5"]].notna().all()
    verdicts = pd.read_csv(results / "claims/claims.csv").drop_duplicates("claim")["verdict"]
    assert (verdicts != "not run").any()
    assert len(list((results / "explain").glob("*.png"))) == 3
    assert (results / "defects.png").is_file()
