"""Numbers and tables as they are printed."""

import pandas as pd
import pytest

from camx.cli import printing


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ({"value": 40.0}, "40.00"),
        ({"value": 0.0}, "0.00"),
        ({"value": None}, ""),
        ({"value": 40.0, "paper": 46.62}, "40.00 (46.62)"),
        ({"value": 40.0, "paper": 0.0}, "40.00 (0.00)"),
        ({"value": 40.0, "paper": 0}, "40.00 (0.00)"),
        ({"value": None, "paper": 0.0}, "(0.00)"),
        ({"value": None, "paper": 46.62}, "(46.62)"),
        ({"value": 40.0, "paper": None}, "40.00"),
        ({"value": 40.0, "interval": (30.4, 50.6), "n": 400}, "40.00 [30, 51]"),
        ({"value": 40.0, "interval": (0.0, 0.0), "n": 1}, "40.00 [0, 0]"),
        ({"value": 40.0, "interval": (30.4, 50.6), "n": 999}, "40.00 [30, 51]"),
        ({"value": 40.0, "interval": (30.4, 50.6), "n": 1000}, "40.00 [30.40, 50.60]"),
        ({"value": 40.0, "interval": (30.4, 50.6), "n": None}, "40.00"),
        ({"value": None, "interval": (30.4, 50.6), "n": 400}, ""),
        (
            {"value": 40.0, "paper": 46.62, "interval": (30.4, 50.6), "n": 5000, "mark": "*"},
            "40.00* [30.40, 50.60] (46.62)",
        ),
        ({"value": None, "paper": 1.0, "mark": "*"}, "(1.00)"),
    ],
)
def test_a_number_its_interval_and_the_paper_s(arguments, printed):
    assert printing.number(**arguments) == printed


def test_none_is_an_empty_cell(capsys):
    printing.table([("a", None, 1.5), ("long", "2", "x")], ("", "n", "m"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["n", "m"], ["----", "---", "---"], ["a", "1.5"], ["long", "2", "x"],
    ]  # fmt: skip
    assert lines[3].index("2") == lines[0].index("n")  # to the right
    printing.table([], ("a", "b"))
    assert capsys.readouterr().out.split()[:2] == ["a", "b"]


def test_counts_are_one_or_a_range():
    assert printing.counted(pd.Series([400, 400])) == "n=400"
    assert printing.counted(pd.Series([2.0, 400.0])) == "n=2 to 400"
