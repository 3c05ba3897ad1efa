"""A run's folder: one command at a time, one identity for all it holds, ended by signals."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from camx.evaluators import holding

RUN = ("localize", "--protocol", "single", "--method", "layercam", "--layer", "S5")


def test_a_second_command_is_refused_while_the_first_runs(camx, tmp_path):
    with holding.held(tmp_path / "results/localize"):
        error = camx(*RUN, "--limit", 1, code=1).stderr
    assert "results/localize: another process is writing into it" in error
    assert "--out results/localize-2" in error
    camx(*RUN, "--limit", 1)


def test_maps_without_records_are_of_their_protocol_too(camx, tmp_path):
    """What a run killed before its first part left."""
    camx(*RUN, "--limit", 2, "--save-maps")
    run = tmp_path / "results/localize"
    for path in run.glob("records*/*"):
        path.unlink()
    error = camx(*RUN, "--limit", 2, "--save-maps", "--set", "gradient=own", code=1).stderr
    assert "holds a run whose protocol.gradient is 'next', not 'own'" in error
    assert len(list((run / "maps").iterdir())) == 2
    camx(*RUN, "--limit", 2, "--save-maps")


def test_a_run_that_made_nothing_claims_nothing(camx, tmp_path):
    run = tmp_path / "results/localize"
    camx(*RUN, "--limit", 1)
    for path in run.glob("records*/*"):
        path.unlink()
    camx(*RUN, "--limit", 1, "--set", "gradient=own")
    assert json.loads((run / "run.json").read_text())["protocol"]["gradient"] == "own"


def test_a_blacklist_may_grow_and_shrink(camx, tmp_path):
    run, black = tmp_path / "results/localize", tmp_path / "black.txt"

    def images():
        camx(*RUN, "--limit", 4, "--blacklist", "black.txt")
        told = camx("tables", "--runs", "results/localize").stdout
        cells = pd.read_csv(tmp_path / "results/tables/cells.csv")
        counts = cells.loc[cells["row"].eq("LayerCAM") & cells["measured"].notna(), "n"]
        return set(counts.astype(int)), told

    black.write_text("2\n")
    assert images()[0] == {4}
    black.write_text("2\n3\n")
    counts, told = images()
    assert counts == {4}  # 1, 4, 5 and now 6
    assert "2 images left out" in told
    black.write_text("1\n2\n3\n4\n5\n")
    assert images()[0] == {4}  # 6 and 7, 8, 9
    camx(*RUN, "--limit", 4)
    assert not (run / "left_out.txt").exists()
    assert pd.read_parquet(run / "records")["image_id"].nunique() == 9


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_writes_what_is_measured(camx, tmp_path, number, code):
    """And the same command goes on from there."""
    words = [sys.executable, "-m", "camx", *RUN, "--set", "view=ten-crop"]
    with subprocess.Popen(
        words,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # that nohup may have ignored
    ) as process:
        assert process.stdout.readline().startswith("camx localize: mini")  # before torch is there
        assert process.stdout.readline().startswith("mini: 400 images")
        time.sleep(2)
        os.kill(process.pid, number)
        _, said = process.communicate(timeout=120)
    assert process.returncode == code
    assert "finishing what is under way" in said
    assert "error: interrupted; what was measured is recorded" in said
    described = json.loads((tmp_path / "results/localize/run.json").read_text())
    frame = pd.read_parquet(tmp_path / "results/localize/records")
    assert 0 < len(frame) == described["counts"]["records_written"] < 400
    assert not list((tmp_path / "results/localize").rglob("*.tmp"))


def test_an_end_of_file_is_no_interruption(camx, monkeypatch):
    from camx.cli import localize

    def ended(*_arguments, **_options):
        raise EOFError("ran out of input")

    monkeypatch.setattr(localize.command, "callback", ended)
    error = camx("localize", code=1).stderr
    assert "error: EOFError: ran out of input (camx --debug COMMAND shows where)" in error
    assert "interrupted" not in error
