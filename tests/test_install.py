"""Installed from a wheel or in editable mode, camx is one package that works in any folder,
whatever the files there are called.
"""

import configparser
import os
import subprocess
import sys
import venv
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("cli", "camcore", "evaluators", "configs")  # installed below camx
SETTINGS = configparser.ConfigParser()
SETTINGS.read(ROOT / "setup.cfg")
PIP = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed"]
TRAPS = ("cli.py", "camcore.py", "evaluators.py", "configs/__init__.py", "scripts/__init__.py")
WEIGHTS_BYTES = 5e6


def tracked(*folders):
    listed = subprocess.run(
        ["git", "ls-files", "-z", *folders], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [name for name in listed.split("\0") if name]


def inside(name):
    """Where a file of the checkout lies in the installed package."""
    return name if name.startswith("camx/") else f"camx/{name}"


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(request, tmp_path_factory):
    """An environment with camx, from a copy of the sources alone, so that no build folder of the
    checkout can stand in for a missing file; and a folder whose files have the names of ours.
    """
    place = tmp_path_factory.mktemp(request.param)
    source, site, here = place / "source", place / "site", place / "here"
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    venv.create(site, symlinks=True)
    packages = next(site.glob("lib/python*/site-packages"))
    # What camx needs comes from where the tests have it, by plain paths: the checkout's own
    # editable installation is a hook there, and stays asleep.
    (packages / "tests.pth").write_text(
        "\n".join(p for p in sys.path if Path(p).name == "site-packages")
    )
    how = ["--editable"] if request.param == "editable" else []
    python = site / "bin/python"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(
        [python, "-m", "pip", "install", *PIP, *how, source],
        check=True,
        capture_output=True,
        env=environment,
    )
    for name in TRAPS:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(f"raise RuntimeError('{name} is not part of camx')\n")

    def run(*command):
        done = subprocess.run(
            [site / "bin" / command[0], *command[1:]],
            capture_output=True,
            text=True,
            cwd=here,
            env={**environment, "CAMX_HOME": os.environ["CAMX_HOME"]},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return SimpleNamespace(kind=request.param, run=run, here=here, source=source, packages=packages)


@pytest.mark.slow
def test_the_command_and_the_module_run_beside_files_of_the_same_names(installed):
    assert "LayerCAM" in installed.run("camx", "list", "methods")
    version = installed.run("camx", "--version")
    assert version == installed.run("python", "-m", "camx", "--version")
    assert SETTINGS["metadata"]["version"] in version


@pytest.mark.slow
def test_what_is_imported_is_what_was_installed(installed):
    names = [f"camx.{folder}" for folder in FOLDERS]
    code = f"import camx, {', '.join(names)}; print({', '.join(f'{n}.__file__' for n in names)})"
    found = [Path(path).parent for path in installed.run("python", "-c", code).split()]
    home = installed.source if installed.kind == "editable" else installed.packages / "camx"
    assert found == [home / folder for folder in FOLDERS]
    with pytest.raises(AssertionError, match=r"cli\.py is not part of camx"):  # the traps work
        installed.run("python", "-c", "import cli")


@pytest.mark.slow
def test_only_camx_is_installed_and_all_of_it(installed):
    added = {p.name for p in installed.packages.iterdir()} - {"tests.pth", "__pycache__"}
    about = f"camx-{SETTINGS['metadata']['version']}.dist-info"
    if installed.kind == "editable":
        assert about in added
        assert all(name == about or name.startswith("__editable__") for name in added)
        return
    assert added == {"camx", about}
    files = [p for p in (installed.packages / "camx").rglob("*") if p.is_file()]
    found = {p.relative_to(installed.packages).as_posix() for p in files if p.suffix != ".pyc"}
    assert found == {inside(name) for name in tracked("camx", *FOLDERS)}
    assert sum(p.stat().st_size for p in files if p.suffix == ".safetensors") <= WEIGHTS_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("installed", ["wheel"], indirect=True)
def test_two_images_are_measured(installed):
    few = ["--protocol", "single", "--limit", "2", "--layer", "S5"]
    assert "2 images" in installed.run("python", "-m", "camx", "localize", *few)
    installed.run("camx", "tables")
    assert (installed.here / "results/tables/cells.csv").is_file()


def test_every_folder_of_python_is_listed():
    python = [Path(inside(name)).parent for name in tracked("camx", *FOLDERS) if name[-3:] == ".py"]
    listed = SETTINGS["options"]["packages"].split()
    assert sorted(listed) == sorted({".".join(folder.parts) for folder in python})
    folders = dict(line.split(" = ") for line in SETTINGS["options"]["package_dir"].split("\n")[1:])
    assert folders == {"camx": "camx", **{f"camx.{folder}": folder for folder in FOLDERS}}
