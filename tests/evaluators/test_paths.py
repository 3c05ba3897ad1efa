"""Paths that lists and annotations name: below their folder, whatever separates folders."""

from pathlib import Path

import pytest

from camx.evaluators import files
from camx.evaluators.datasets import _paths

FOLDER = Path("data")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", "data/a.jpg"),
        ("a/b.jpg", "data/a/b.jpg"),
        ("./a//b.jpg", "data/a/b.jpg"),
        (r"a\b.jpg", "data/a/b.jpg"),
        (r"a\b/c.jpg", "data/a/b/c.jpg"),
        ("a..b/..c.jpg", "data/a..b/..c.jpg"),
        ("ab:c.jpg", "data/ab:c.jpg"),
    ],
)
def test_paths_below_a_folder(name, expected):
    assert _paths.inside(FOLDER, name, "list, line 1") == Path(expected)


@pytest.mark.parametrize(
    "name",
    ["", "/a.jpg", r"\a.jpg", r"\\host\a.jpg", "..", "../a.jpg", r"..\a.jpg", "a/../b.jpg",
     r"a\..\b.jpg", "C:/a.jpg", r"C:\a.jpg", "c:a.jpg"],
)  # fmt: skip
def test_paths_that_leave_it(name):
    with pytest.raises(ValueError, match=r"line 1: path .* leaves the folder data;") as error:
        _paths.inside(FOLDER, name, "list, line 1")
    assert repr(name) in str(error.value)


def test_a_name_too_long_is_no_file_s(tmp_path):
    path = tmp_path / ("x" * 300)
    with pytest.raises(FileNotFoundError, match="xxx: no such image; 0 of the 1 that list names"):
        _paths.complete([path], "image", "list")
    with pytest.raises(ValueError, match=r"xxx': no such image of the list: .*too long"):
        files.regular(path, "image of the list")
