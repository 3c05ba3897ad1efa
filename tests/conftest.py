"""Shared by all tests: one rendering of the miniature, and camx called as a command."""

import os
import socket
import sys
from types import SimpleNamespace

import pytest

WORKER = os.environ.get("PYTEST_XDIST_WORKER")  # of several that test at once
if WORKER:  # a thread each, before torch counts the cores: more than cores wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from camx.cli import main  # noqa: E402
from camx.evaluators import writer  # noqa: E402


@pytest.fixture(scope="session")
def camx_home(tmp_path_factory):
    """The workers' common one: the miniature is rendered once, or twice at once."""
    if not WORKER:
        return tmp_path_factory.mktemp("camx-home")
    home = tmp_path_factory.getbasetemp().parent / "camx-home"
    home.mkdir(exist_ok=True)
    return home


@pytest.fixture(autouse=True)
def _own_cache(camx_home, monkeypatch):
    monkeypatch.setenv("CAMX_HOME", str(camx_home))


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    """No test, and so no command without --download, reaches another machine."""
    connect = socket.socket.connect

    def local(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("localhost", "127.0.0.1", "::1"):
            raise AssertionError(f"a socket to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)


@pytest.fixture
def two_threads():
    """torch shares its work among two, on one core too: where that may change no bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _untimed(monkeypatch):
    """Parts are of 256 images, however slow the machine is."""
    monkeypatch.setattr(writer, "PART_SECONDS", float("inf"))


@pytest.fixture
def camx_anyhow(tmp_path, monkeypatch, capsys):
    """Run ``camx ARGUMENTS`` in an empty folder of its own, in this process: torch is imported
    once. Gives ``code``, ``out`` and ``err``, whatever they are.
    """

    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["camx", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.delenv("CAMX_DEBUG", raising=False)
        capsys.readouterr()
        code = 0
        try:
            main.main()
        except SystemExit as stop:
            code = stop.code or 0
        return SimpleNamespace(**capsys.readouterr()._asdict(), code=code)

    return run


@pytest.fixture
def camx(camx_anyhow):
    """Run ``camx ARGUMENTS`` that end with `code`."""

    def run(*arguments, code=0):
        done = camx_anyhow(*arguments)
        assert done.code == code, done.out + done.err
        return SimpleNamespace(stdout=done.out, stderr=done.err)

    return run


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """Train `again()` whole, and once more stopped after `when` steps and gone on with: the log and
    weights must be the same, bit for bit. Returns the log's rows; `tmp_path` holds both runs.
    """
    from safetensors.torch import load_file

    from camx.evaluators import training

    def train(again, when):
        whole, broken = tmp_path / "whole", tmp_path / "broken"
        whole.mkdir()
        broken.mkdir()
        rows = training.fit(again(), whole, lambda *_: None)
        monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
        done = []

        def stop(steps, _line):
            done.append(steps)
            if sum(done) == when:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            training.fit(again(), broken, stop)
        assert training.fit(again(), broken, lambda *_: None) == rows
        assert (whole / "log.csv").read_text() == (broken / "log.csv").read_text()
        weights = sorted(path.name for path in whole.glob("*.safetensors"))
        assert weights == sorted(path.name for path in broken.glob("*.safetensors"))
        assert "last.safetensors" in weights
        for name in weights:
            a, b = load_file(whole / name), load_file(broken / name)
            assert set(a) == set(b)
            assert all(a[key].equal(b[key]) for key in a)
        return rows

    return train
