"""A third of what `scripts/bad_inputs.py` tries: every place, every content, not every pair."""

import importlib.util
import signal
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/bad_inputs.py"
SPEC = importlib.util.spec_from_file_location("bad_inputs", SCRIPT)
bad_inputs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(bad_inputs)
THIRDS = 3


@pytest.fixture(scope="session")
def bases(tmp_path_factory, camx_home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMX_HOME", str(camx_home))
        root = tmp_path_factory.mktemp("bases") / "bases"
        return root, bad_inputs.bases(root)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(bad_inputs.PLACES)))
def test_damaged_files(bases, number, monkeypatch):
    monkeypatch.delenv("CAMX_DEBUG", raising=False)
    before = signal.getsignal(signal.SIGALRM)
    contents = list(bad_inputs.CONTENTS)[number % THIRDS :: THIRDS]
    try:
        faults = [
            f"{c}: {wrong}" for c, _, wrong in bad_inputs.tried(*bases, number, contents) if wrong
        ]
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not faults, "\n".join([str(bad_inputs.PLACES[number]), *faults])


@pytest.mark.parametrize(
    ("code", "err", "wrong"),
    [
        (1, "error: mine.csv: no such manifest\n", False),
        (2, "warning: x\nerror: mine.csv: unknown\n", False),
        (0, "", True),
        (1, "error: no such manifest\n", True),
        (1, "error: mine.csv: TypeError: 3\n", True),
        (1, "error: mine.csv: no such manifest\nmore\n", True),
        (3, "error: mine.csv: no such manifest\n", True),
        (1, "", True),
    ],
)
def test_what_is_a_fault(code, err, wrong):
    done = bad_inputs.Done(code, "", err)
    assert bool(bad_inputs.fault(done, "defects", "data/mine.csv", "word")) == wrong
