"""The built wheel, started from an empty folder, works as the checkout does."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_runs_from_an_empty_folder(tmp_path, camx_home):
    # From a copy of the sources alone, so that no build folder of the checkout can stand in for a missing file.
    source = tmp_path / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, tracked.split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source]
    subprocess.run(build, check=True, capture_output=True)
    wheel = next(tmp_path.glob("camx-*.whl"))
    assert sum(p.file_size for p in zipfile.ZipFile(wheel).infolist() if p.filename.endswith(".safetensors")) <= 5e6
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def python(code):
        return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=empty, env=environment).stdout

    assert str(site) in python("import cli, configs; print(cli.__file__, configs.__file__)")
    run = "import sys; from cli.main import main; sys.argv = ['camx', *{!r}]; main()"
    assert "LayerCAM" in python(run.format(["list", "methods"]))
    assert "2 images" in python(run.format(["localize", "--protocol", "single", "--limit", "2", "--layer", "S5"]))
    python(run.format(["tables"]))
    assert (empty / "results/tables/cells.csv").is_file()
