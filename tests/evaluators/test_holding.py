"""A run's folder is one process's at a time, and a killed one leaves no lock behind."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from camx.evaluators import files, holding

HOLDER = """
import sys, time
from pathlib import Path
from camx.evaluators.holding import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_another_process_is_refused_until_the_first_ends(tmp_path):
    run = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLDER, run], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        refused = r"run: another process is writing into it.*--out .*run-2"
        with pytest.raises(ValueError, match=refused), holding.held(run):
            pass
        with holding.held(tmp_path / "beside"):
            pass
        holder.send_signal(signal.SIGKILL)
    with holding.held(run):
        pass
    with holding.held(run):
        pass


def test_what_a_killed_writer_left_half_is_swept(tmp_path):
    run = tmp_path / "run"
    (run / "maps").mkdir(parents=True)
    (run / "within").mkdir()
    (run / "within/run.json").write_text("{}")
    half = ".a.png-0123abcd.tmp"
    kept = {run / "maps/.mine.tmp", run / "maps/a.png", run / "within" / half}
    for path in (run / "maps" / half, run / ".run.json-89abcdef.tmp", *kept):
        path.write_text("")
    with holding.held(run):
        assert not (run / "maps" / half).exists()
        assert not (run / ".run.json-89abcdef.tmp").exists()
        assert all(path.exists() for path in kept)


@pytest.mark.parametrize(
    "error", [NotImplementedError("no flock"), OSError(errno.ENOLCK, "No locks available")]
)
def test_without_locks_it_goes_on_and_says_so(tmp_path, monkeypatch, error):
    """And sweeps only what nobody can be writing any more."""
    monkeypatch.setattr(holding.FileLock, "acquire", lambda _: (_ for _ in ()).throw(error))
    run, left = tmp_path / "run", []
    run.mkdir()
    for name, age in ((".a.png-0123abcd.tmp", 0), (".b.png-0123abcd.tmp", 2 * files.STALE)):
        (run / name).write_text("")
        os.utime(run / name, (time.time() - age,) * 2)
    with pytest.warns(holding.Unlocked, match="run"), holding.held(run):
        left += [path.name for path in run.glob(".*.tmp")]
    assert left == [".a.png-0123abcd.tmp"]
    denied = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(holding.FileLock, "acquire", lambda _: (_ for _ in ()).throw(denied))
    with pytest.raises(PermissionError), holding.held(run):
        pass


def test_the_temporary_names_are_those_that_are_swept(tmp_path, monkeypatch):
    names = []
    monkeypatch.setattr(os, "fsync", lambda _: names.extend(p.name for p in tmp_path.iterdir()))
    files.write_bytes(tmp_path / "a.txt", b"x")
    assert files.LEFTOVER.fullmatch(names[0])
