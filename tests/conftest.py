"""Shared by all tests: one rendering of the miniature, and camx called as a command."""

import sys
from types import SimpleNamespace

import pytest

from camx.cli import main


@pytest.fixture(scope="session")
def camx_home(tmp_path_factory):
    return tmp_path_factory.mktemp("camx-home")


@pytest.fixture(autouse=True)
def _own_cache(camx_home, monkeypatch):
    monkeypatch.setenv("CAMX_HOME", str(camx_home))


@pytest.fixture
def camx(tmp_path, monkeypatch, capsys):
    """Run ``camx ARGUMENTS`` in an empty folder of its own, in this process: torch is imported
    once.
    """

    def run(*arguments, code=0):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["camx", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.delenv("CAMX_DEBUG", raising=False)
        capsys.readouterr()
        found = 0
        try:
            main.main()
        except SystemExit as stop:
            found = stop.code or 0
        done = SimpleNamespace(**capsys.readouterr()._asdict(), code=found)
        assert found == code, done.out + done.err
        return SimpleNamespace(stdout=done.out, stderr=done.err)

    return run
