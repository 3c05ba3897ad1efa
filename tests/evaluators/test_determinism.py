"""The same bits again: what torch is told, and what a run says of it."""

import json

import pandas as pd
import pytest
import torch

from camx.evaluators import determinism, records


@pytest.fixture
def restored(monkeypatch):
    before = torch.are_deterministic_algorithms_enabled()
    flags = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    yield
    torch.use_deterministic_algorithms(before)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = flags


def test_a_run_says_whether_its_bits_repeat(restored):
    assert determinism.state("cpu")["deterministic"]
    assert determinism.state("cpu")["threads"] == torch.get_num_threads()
    assert determinism.notice("cpu") == ""
    assert not determinism.state("cuda")["deterministic"]
    assert "on cuda a rerun may differ in the last bits" in determinism.notice("cuda")
    determinism.enforce()
    assert determinism.state("cuda")["deterministic"]
    assert determinism.notice("cuda") == ""


def test_workers_order_and_interruptions_move_no_bit(camx, tmp_path, restored):
    words = ("localize", "--protocol", "single", "--method", "layercam", "--layer", "S5")
    words += ("--layer", "S2", "--save-maps")
    camx(*words, "--limit", 6, "--workers", 1, "--out", "once")
    camx(*words, "--limit", 2, "--workers", 3, "--out", "parts")
    camx(*words, "--limit", 6, "--workers", 4, "--deterministic", "--out", "parts")
    once, parts = (records.read(tmp_path / name) for name in ("once", "parts"))
    pd.testing.assert_frame_equal(once, parts, check_exact=True)
    for path in (tmp_path / "once/maps").iterdir():
        assert path.read_bytes() == (tmp_path / "parts/maps" / path.name).read_bytes()
    for name in ("once", "parts"):
        camx("tables", "--runs", name, "--out", f"tables-{name}", "--table", "I")
    tables = [(tmp_path / f"tables-{n}/table_01.csv").read_bytes() for n in ("once", "parts")]
    assert tables[0] == tables[1]
    described = json.loads((tmp_path / "parts/run.json").read_text())
    assert described["numerics"] == {"deterministic": True, "threads": torch.get_num_threads()}
