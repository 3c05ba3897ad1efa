import sys

import pytest

from camx.camcore import plugins


@pytest.fixture(autouse=True)
def _looked_through_anew():
    """What is installed is looked through once a process; here it changes."""
    plugins._entry_points.cache_clear()
    yield
    plugins._entry_points.cache_clear()


def test_names_are_file_names_with_hyphens():
    assert "layercam-normal" in plugins.names("camx.camcore.methods")
    assert {"vgg16", "resnet50", "mini-vgg", "mini-resnet"} <= set(
        plugins.names("camx.camcore.models")
    )
    assert "mini" in plugins.names("camx.evaluators.datasets")


def test_describe_reads_titles():
    rows = {name: title for name, title, _ in plugins.describe("camx.camcore.methods")}
    assert rows["gradcampp"] == "Grad-CAM++"


def test_by_name_file_and_module(tmp_path, monkeypatch):
    (tmp_path / "my_method.py").write_text(
        "def cam(tap):\n    return tap\n\ndef other(tap):\n    return 1\n"
    )
    assert plugins.load("camx.camcore.methods", "cam", "layercam_normal").name == "layercam-normal"
    assert (
        plugins.load("camx.camcore.methods", "cam", str(tmp_path / "my_method.py")).name
        == "my-method"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_method", raising=False)
    assert plugins.load("camx.camcore.methods", "cam", "my_method:cam").name == "my-method"
    (tmp_path / "layercam.py").write_text("def cam(tap):\n    return tap\n")
    with pytest.raises(ValueError, match="recorded as 'layercam', which camx has already"):
        plugins.load("camx.camcore.methods", "cam", "./layercam.py")
    other = plugins.load("camx.camcore.methods", "cam", "my_method:other")
    assert (other.name, other.object(None)) == ("other", 1)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("nope", "known: ablationcam, acol, cam"),
        ("math:nope", "no function 'nope'"),
        ("no_such_module:cam", "no_such_module"),
    ],
)
def test_unknown_ones_say_what_is_known(name, word):
    with pytest.raises(ValueError, match=word):
        plugins.load("camx.camcore.methods", "cam", name)


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"nothing\.py"):
        plugins.load("camx.camcore.methods", "cam", "nothing.py")


def test_entry_points_of_other_packages(tmp_path, monkeypatch):
    from importlib.metadata import EntryPoint

    (tmp_path / "their_package.py").write_text("def theirs(tap):\n    return 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("theirs", "their_package:theirs", "camx.methods")
    monkeypatch.setattr(
        plugins.importlib.metadata,
        "entry_points",
        lambda group: [point] if group == "camx.methods" else [],
    )
    assert "theirs" in plugins.names("camx.camcore.methods")
    assert ("theirs", "their_package:theirs", "entry point") in plugins.describe(
        "camx.camcore.methods"
    )
    assert plugins.load("camx.camcore.methods", "cam", "theirs").object(None) == 2


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("import sys\nsys.exit('usage: mine')\n", "SystemExit: usage: mine"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("def cam(:\n", "SyntaxError"),
        ("import no_such_module\n", "ModuleNotFoundError"),
    ],
)
def test_a_file_that_fails_as_it_loads_is_named(tmp_path, monkeypatch, text, word):
    (tmp_path / "failing_plugin.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    for name in (str(tmp_path / "failing_plugin.py"), "failing_plugin:cam"):
        with pytest.raises(ValueError, match=rf"failing_plugin.*cannot be loaded: {word}"):
            plugins.load("camx.camcore.methods", "cam", name)
    assert set(sys.modules) == before


def test_two_files_of_one_name_are_two_modules(tmp_path, monkeypatch):
    """Dataclasses look their module up by its name while they are made."""
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Answer:\n    value: int = {0}\n"
        "def cam(tap):\n    return Answer()\n"
    )
    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(text.format(value))
    monkeypatch.chdir(tmp_path)
    one, two = (plugins.load("camx.camcore.methods", "cam", f"{f}/mine.py") for f in "ab")
    assert (one.object(None).value, two.object(None).value) == (1, 2)
    for plugin in (one, two):
        assert sys.modules[plugin.module.__name__] is plugin.module
    assert "mine" not in sys.modules
    assert plugins.load("camx.camcore.methods", "cam", "./b/../a/mine.py") == one
    (tmp_path / "a" / "mine.py").write_text(text.format(3))
    assert plugins.load("camx.camcore.methods", "cam", "a/mine.py").object(None).value == 3


def test_a_plugin_may_be_a_module_or_an_object(tmp_path, monkeypatch):
    from importlib.metadata import EntryPoint

    (tmp_path / "whole.py").write_text("class Task:\n    rows = 3\ntask = Task()\n")
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint("theirs", "whole:task", "camx.methods"),
        EntryPoint("their-module", "whole", "camx.methods"),
    ]
    monkeypatch.setattr(plugins.importlib.metadata, "entry_points", lambda group: points)
    shipped = plugins.load("camx.camcore.methods", None, "layercam_normal")
    assert shipped.object is shipped.module
    file = plugins.load("camx.camcore.methods", None, str(tmp_path / "whole.py"))
    assert file.object is file.module
    for name, expected in (("whole:task", "task"), ("theirs", "theirs")):
        plugin = plugins.load("camx.camcore.methods", None, name)
        assert (plugin.name, plugin.object.rows, plugin.module.__name__) == (expected, 3, "whole")
    assert plugins.load("camx.camcore.methods", None, "their-module").object is sys.modules["whole"]
    with pytest.raises(ValueError, match="no object 'nope'"):
        plugins.load("camx.camcore.methods", None, "whole:nope")


def test_a_reference_loads_the_same_from_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "my_method.py").write_text("def cam(tap):\n    return tap\n")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    file = plugins.load("camx.camcore.methods", "cam", "my_method.py")
    shipped = plugins.load("camx.camcore.methods", "cam", "LayerCAM_normal")
    assert file.reference == str(tmp_path / "my_method.py")
    assert shipped.reference == "layercam-normal"
    assert plugins.load("camx.camcore.methods", "cam", "math:sqrt").reference == "math:sqrt"
    monkeypatch.chdir(tmp_path / "other")
    for plugin in (file, shipped):
        assert plugins.load("camx.camcore.methods", "cam", plugin.reference) == plugin
