"""What is wider than the window is cut into blocks, or its words are wrapped."""

import itertools
import os

import pytest

from camx.cli import fitting

HEADERS = ["name", "metric", *"abcdefgh"]
ROWS = [[f"method-{n}", "loc1", *[f"{n}{column}" * 4 for column in "abcdefgh"]] for n in range(3)]
SIDES = ["left", *["right"] * 9]


def test_the_window_is_what_columns_says(monkeypatch, capsys):
    for said, columns in (("72", 72), ("", None), ("0", None), ("wide", None)):
        monkeypatch.setenv("COLUMNS", said)
        assert fitting.window() == columns
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((31, 5)))
    monkeypatch.delenv("COLUMNS")
    assert fitting.window() == 31


def test_bold_is_for_terminals_that_can(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not fitting.bold()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert fitting.bold()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not fitting.bold()
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not fitting.bold()


@pytest.mark.parametrize("window", range(30, 100, 3))
def test_blocks_fit_and_lose_nothing(window):
    text = fitting.blocks(HEADERS, ROWS, SIDES, 2, window)
    assert fitting.width(text) <= window
    columns = []
    for block in text.split("\n\n"):
        header, _, *lines = (line.split() for line in block.splitlines())
        assert header[:2] == ["name", "metric"]
        assert len(header) > 2
        columns += header[2:]
        at = [HEADERS.index(name) for name in header]
        assert lines == [[row[i] for i in at] for row in ROWS]
    assert columns == HEADERS[2:]


def test_a_block_holds_as_many_columns_as_fit():
    """No block's first column would have fitted into the block before."""
    text = fitting.blocks(HEADERS, ROWS, SIDES, 2, 50)
    cut = [block.splitlines()[0].split()[2:] for block in text.split("\n\n")]
    assert len(cut) > 1
    for before, after in itertools.pairwise(cut):
        at = [HEADERS.index(name) for name in ("name", "metric", *before, after[0])]
        rows = [[row[i] for i in at] for row in ROWS]
        assert fitting.width(fitting.aligned([HEADERS[i] for i in at], rows, SIDES[: len(at)])) > 50


def test_what_just_fits_is_one_block():
    width = fitting.width(fitting.aligned(HEADERS, ROWS, SIDES))
    assert "\n\n" not in fitting.blocks(HEADERS, ROWS, SIDES, 2, width)
    assert "\n\n" in fitting.blocks(HEADERS, ROWS, SIDES, 2, width - 1)


def test_names_are_wrapped_where_one_column_is_too_much():
    rows = [["layercam-normal S5+S4+S3+S2+S1", "loc1", "1" * 20]]
    text = fitting.blocks(["name", "metric", "a"], rows, ["left", "right", "right"], 2, 50)
    assert fitting.width(text) <= 50
    assert "1" * 20 in text


def test_words_are_wrapped():
    rows = [["cam", "a sentence of many words that goes on and on " * 3], ["gradcam", "short"]]
    text = fitting.wrapped(["name", "title"], rows, ["left", "left"], 1, 40)
    assert 37 < fitting.width(text) <= 40
    assert " ".join(rows[0][1].split()) in " ".join(text.replace("cam", "").split())


def test_the_widest_is_narrowed_first():
    assert fitting.narrowed([5, 30, 20], 60) == [5, 30, 20]
    assert fitting.narrowed([5, 30, 20], 50) == [5, 25, 20]
    assert fitting.narrowed([5, 30, 20], 35) == [5, 15, 15]
    assert fitting.narrowed([5, 30, 20], 3) == [5, 8, 8]


def test_a_sentence_fills_the_window():
    assert fitting.filled("one two three", None) == "one two three"
    assert fitting.filled("one two results/a-long/path", 8) == "one two\nresults/a-long/path"


def test_what_is_invisible_takes_no_room():
    assert fitting.width("\x1b[1m46.50\x1b[0m") == 5


@pytest.mark.parametrize("window", range(40, 90, 7))
def test_words_fit(window):
    rows = [["layercam-normal", "LayerCAM of normal gradients", "Jiang et al. 2021, table XII"]] * 2
    heads = ["name", "title", "source of what is shown here"]
    assert fitting.width(fitting.wrapped(heads, rows, ["left"] * 3, 1, window)) <= window
