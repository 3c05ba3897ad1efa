import sys

import pytest

from camcore import plugins


def test_names_are_file_names_with_hyphens():
    assert "layercam-normal" in plugins.names("camcore.methods")
    assert {"vgg16", "resnet50", "mini-vgg", "mini-resnet"} <= set(plugins.names("camcore.models"))
    assert "mini" in plugins.names("evaluators.datasets")


def test_describe_reads_titles():
    rows = {name: title for name, title, _ in plugins.describe("camcore.methods")}
    assert rows["gradcampp"] == "Grad-CAM++"


def test_by_name_file_and_module(tmp_path, monkeypatch):
    (tmp_path / "my_method.py").write_text("def cam(tap):\n    return tap\n\ndef other(tap):\n    return 1\n")
    assert plugins.load("camcore.methods", "cam", "layercam_normal").name == "layercam-normal"
    assert plugins.load("camcore.methods", "cam", str(tmp_path / "my_method.py")).name == "my-method"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_method", raising=False)
    assert plugins.load("camcore.methods", "cam", "my_method:cam").name == "my-method"
    (tmp_path / "layercam.py").write_text("def cam(tap):\n    return tap\n")
    with pytest.raises(ValueError, match="recorded as 'layercam', which camx has already"):
        plugins.load("camcore.methods", "cam", "./layercam.py")
    found = plugins.load("camcore.methods", "cam", "my_method:other")
    assert (found.name, found.function(None)) == ("other", 1)


@pytest.mark.parametrize(
    ("name", "word"), [("nope", "known: cam, cmwp, gradcam"), ("math:nope", "no function 'nope'"), ("no_such_module:cam", "no_such_module")]
)
def test_unknown_ones_say_what_is_known(name, word):
    with pytest.raises(ValueError, match=word):
        plugins.load("camcore.methods", "cam", name)


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"nothing\.py"):
        plugins.load("camcore.methods", "cam", "nothing.py")


def test_entry_points_of_other_packages(tmp_path, monkeypatch):
    from importlib.metadata import EntryPoint

    (tmp_path / "their_package.py").write_text("def theirs(tap):\n    return 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("theirs", "their_package:theirs", "camx.methods")
    monkeypatch.setattr(plugins.importlib.metadata, "entry_points", lambda group: [point] if group == "camx.methods" else [])
    assert "theirs" in plugins.names("camcore.methods")
    assert ("theirs", "their_package:theirs", "entry point") in plugins.describe("camcore.methods")
    assert plugins.load("camcore.methods", "cam", "theirs").function(None) == 2
